"""Alarms: one row a kind, subject and day, so that a flood of causes is one line for operators."""

import logging
from typing import Any

from sqlalchemy import bindparam, func, select, text
from sqlalchemy.dialects.postgresql import insert

from domain.alarm import Alarm, RaisedAlarm
from storage.database import Database
from storage.tables import alarms

LARGEST_LIST = 1000
_TODAY = text("(now() AT TIME ZONE 'UTC')::date")

_log = logging.getLogger(__name__)

_INSERT = insert(alarms).values(
    kind=bindparam("of_kind"),
    subject=bindparam("about"),
    day=select(_TODAY).scalar_subquery(),
    detail=bindparam("what"),
)
_RAISE = _INSERT.on_conflict_do_update(
    index_elements=[alarms.c.kind, alarms.c.subject, alarms.c.day],
    set_={
        "count": alarms.c.count + 1,
        "last_at": func.now(),
        "detail": _INSERT.excluded.detail,
    },
).returning(alarms.c.count)


class AlarmStore:
    """Raises and lists alarms."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def raise_alarm(self, alarm: Alarm) -> int:
        """Count the alarm; returns how often it was raised today. Only the first is logged."""
        values: dict[str, Any] = {
            "of_kind": alarm.kind.value,
            "about": alarm.subject,
            "what": alarm.detail,
        }
        async with self._database.statement() as connection:
            count: int = (await connection.execute(_RAISE, values)).scalar_one()
        if count == 1:
            _log.error("alarm %s about %s: %s", alarm.kind, alarm.subject, alarm.detail)
        return count

    async def list_newest(self, limit: int = LARGEST_LIST) -> list[RaisedAlarm]:
        """The alarms of the newest days first."""
        newest = select(alarms).order_by(alarms.c.day.desc(), alarms.c.last_at.desc()).limit(limit)
        async with self._database.statement() as connection:
            rows = (await connection.execute(newest)).mappings().all()
        return [RaisedAlarm.model_validate(dict(row)) for row in rows]
