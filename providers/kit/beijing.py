"""Beijing time, in which China's providers write every moment and count every day."""

from datetime import UTC, datetime, timedelta, timezone

# China has no summer time and one zone.
BEIJING = timezone(timedelta(hours=8))


def in_beijing(moment: datetime) -> datetime:
    """Return the aware moment with Beijing's date and hour, whatever the host's zone."""
    return moment.astimezone(BEIJING)


def parse_beijing(text: str, form: str) -> datetime | None:
    """Return the moment that `text` is in Beijing, in UTC; None where it is none.

    `form` is strptime's. None too for the calendar's first hours of Beijing, which do not exist in
    UTC, the zone of the database.
    """
    try:
        return datetime.strptime(text, form).replace(tzinfo=BEIJING).astimezone(UTC)
    except (ValueError, OverflowError):
        return None
