"""The shapes on WeChat Pay's wire, read strictly; `mapping.py` says what they mean.

Only fields that decide something are named. What is not as documented is Malformed: never a
guess, never a crash.
"""

import json
from datetime import UTC, datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError

from domain.text import keepable
from providers.kit.fields import (
    EmptyText,
    Informational,
    NumberText,
    whole_number,
    without_null,
)

# The largest genuine message (a list of several certificates) is about 20 kB.
LARGEST_MESSAGE = 256 * 1024


class Malformed(ValueError):  # noqa: N818 - the name says what it is
    """Bytes that are not the documented message."""


def _instant(value: object) -> datetime | None:
    # A time is for display. A success is not turned away because its time is unreadable.
    try:
        instant = datetime.fromisoformat(value) if isinstance(value, str) else None
        # Our books count in UTC, and there the calendar's first hours of Beijing are not.
        return instant.astimezone(UTC) if instant and instant.tzinfo else None
    except (ValueError, OverflowError):
        return None


Instant = Annotated[datetime | None, BeforeValidator(_instant)]


class Wire(BaseModel):
    """One JSON object: no coercion, unknown fields ignored, values kept out of error messages."""

    model_config = ConfigDict(frozen=True, strict=True, extra="ignore", hide_input_in_errors=True)


class Amount(Wire):
    """Fen. `total` is the order's, before coupons (`payer_total` would be after them)."""

    total: int | None = None
    refund: int | None = None
    currency: str | None = None


# Null is no sum: a report of money without one does not fit its payment.
Amounts = Annotated[Amount, BeforeValidator(without_null(default={}))]


class Transaction(Wire):
    """An order: the query's answer, and the plaintext of a payment notification."""

    appid: str | None = None
    mchid: str | None = None
    out_trade_no: str
    transaction_id: str | None = None
    trade_state: str
    trade_state_desc: Informational = None
    success_time: Instant = None
    amount: Amounts = Amount()


class RefundAnswer(Wire):
    """A refund, as the API answers it."""

    refund_id: Informational = None
    out_refund_no: str
    out_trade_no: str
    status: str
    success_time: Instant = None
    amount: Amounts = Amount()


class RefundNotice(Wire):
    """A refund, as a notification tells it: `refund_status`, and whose merchant id."""

    mchid: str | None = None
    refund_id: Informational = None
    transaction_id: Informational = None
    out_refund_no: str
    out_trade_no: str
    refund_status: str
    success_time: Instant = None
    amount: Amounts = Amount()


class Prepay(Wire):
    """Answer of the app and jsapi order calls."""

    # It goes into a signed text of lines.
    prepay_id: Annotated[str, Field(pattern=r"^[!-~]{1,128}$")]


class CodeUrl(Wire):
    """Answer of the native order call."""

    code_url: str


class H5Url(Wire):
    """Answer of the h5 order call."""

    h5_url: str


class Resource(Wire):
    """An encrypted value."""

    algorithm: str
    ciphertext: str
    nonce: str
    associated_data: EmptyText = ""


class Event(Wire):
    """What every notification's body has, of whatever product."""

    id: NumberText
    event_type: str


class Content(Wire):
    """What an encrypted resource is of, where it says so."""

    original_type: Informational = None


class Labelled(Wire):
    """A notification's body, as far as it says what it is about."""

    resource: Content = Content()


class Envelope(Event):
    """A notification of an order or a refund."""

    resource: Resource


class CertificateEntry(Wire):
    """One platform certificate in the download."""

    serial_no: str
    encrypt_certificate: Resource


class CertificateList(Wire):
    """The download of platform certificates."""

    data: list[CertificateEntry]


class Refusal(Wire):
    """The body of an error."""

    code: str
    message: Informational = None


Model = TypeVar("Model", bound=Wire)


def read(model: type[Model], body: bytes) -> Model:
    """Parse the bytes as the model; raises Malformed."""
    parsed = _parse(body)
    try:
        return model.model_validate(parsed)
    except ValidationError as error:
        first = error.errors(include_input=False, include_url=False)[0]
        place = ".".join(str(part) for part in first["loc"])
        raise Malformed(f"{model.__name__} {place}: {first['msg']}") from None


def _parse(body: bytes) -> Any:
    # Not the model's own parser: it lets keys come twice, and turns a whole message away for half
    # of an emoji that somebody cut in a field that nobody reads.
    if len(body) > LARGEST_MESSAGE:
        raise Malformed("the message is too large")
    try:
        return json.loads(
            body.decode(errors="replace"),
            object_pairs_hook=_without_repeats,
            parse_int=whole_number,
        )
    except Malformed:
        raise
    # Deep nesting exhausts the stack.
    except (ValueError, RecursionError):
        raise Malformed("the message is not JSON") from None


def _without_repeats(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    # With a key twice, two readers of the same signed bytes may see two different values.
    found = dict(pairs)
    if len(found) != len(pairs):
        raise Malformed("the message has a key twice")
    return {key: keepable(value) if isinstance(value, str) else value for key, value in pairs}
