"""What a parser made of a message is something that our books can keep."""

from datetime import UTC, datetime
from typing import Any

from pydantic import BaseModel

from activities.errors import failure_of
from domain.purchase import Purchase
from tests.fuzz.mangling import Message
from tests.fuzz.under_fuzz import Parser


async def reading(under_fuzz: Parser, message: Message) -> object:
    """What is understood; None where it was refused as foreseen."""
    try:
        understood = await under_fuzz.read(message)
    except under_fuzz.refusals as error:
        assert_our_books_keep(failure_of(error))
        return None
    for one in understood if isinstance(understood, list) else [understood]:
        if isinstance(one, BaseModel):
            assert_our_books_keep(one)
    return understood


def assert_our_books_keep(value: BaseModel) -> None:
    """Temporal takes it as JSON, PostgreSQL its texts and times."""
    written = value.model_dump_json()
    assert type(value).model_validate_json(written) == value
    for part in walk(value.model_dump()):
        if isinstance(part, str):
            assert "\0" not in part
        if isinstance(part, datetime):
            part.astimezone(UTC)
    for purchase in purchases(value):
        assert 0 < purchase.quantity < 2**31
        assert purchase.price is None or abs(purchase.price) < 2**63


def purchases(value: object) -> list[Purchase]:
    if isinstance(value, Purchase):
        return [value]
    if isinstance(value, BaseModel):
        return [found for _, part in value for found in purchases(part)]
    return []


def walk(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [found for part in value.values() for found in walk(part)]
    return [value]
