"""Whatever bytes arrive: understood, or refused in the one way that is foreseen. Never a crash."""

import time
import tracemalloc
from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import BaseModel

from activities.errors import failure_of
from domain.errors import PaymentError
from domain.purchase import Purchase
from tests.fuzz.mangling import Message, bombs, mangled, retold, tampered, thorough
from tests.fuzz.parsers import PARSERS, genuine_messages, parser
from tests.fuzz.under_fuzz import Parser
from webhooks.sender import LARGEST_ANSWER

# docs/reliability.md says this figure.
MOST_MEMORY = 16 * 1024 * 1024
MOST_CPU_SECONDS = 2.0
# As large as our own door and the providers' client let through.
AT_THE_DOOR, IN_AN_ANSWER = 64 * 1024, 256 * 1024

# One of those that read alike, and the most that reaches it.
BOMBED = {
    "alipay notification": AT_THE_DOOR,
    "wechatpay notification": AT_THE_DOOR,
    "wechatpay notification, inside": AT_THE_DOOR,
    "alipay answer to query": IN_AN_ANSWER,
    "wechatpay answer to query": IN_AN_ANSWER,
    "wechatpay refusal 400": IN_AN_ANSWER,
    "wechatpay certificates": IN_AN_ANSWER,
    "wechatpay certificate, inside": IN_AN_ANSWER,
    "unionpay notification": AT_THE_DOOR,
    "unionpay certificate, inside": AT_THE_DOOR,
    "unionpay answer to query": IN_AN_ANSWER,
    "apple_iap notification": AT_THE_DOOR,
    "apple_iap notification, inside": AT_THE_DOOR,
    "apple_iap brought transaction": AT_THE_DOOR,
    "apple_iap header": AT_THE_DOOR,
    "apple_iap answer to history": IN_AN_ANSWER,
    "webhook answer": LARGEST_ANSWER,
    "webhook Retry-After": LARGEST_ANSWER,
}

each = pytest.mark.parametrize("name", PARSERS)


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


@each
async def test_what_is_genuine_is_understood(name: str) -> None:
    """Else the rest would prove nothing."""
    under_fuzz = parser(name)
    for content in under_fuzz.contents:
        understood = await reading(under_fuzz, under_fuzz.seal(content))
        assert understood is not None or "refusal" in name


@each
@thorough(25)
@given(data=st.data())
async def test_what_is_tampered_with_is_refused_or_says_the_same(
    name: str, data: st.DataObject
) -> None:
    under_fuzz = parser(name)
    genuine = data.draw(st.sampled_from(genuine_messages(name)))
    message = data.draw(tampered(genuine))

    understood = await reading(under_fuzz, message)

    if under_fuzz.distrust and understood is not None:
        assert unsigned(understood) == unsigned(await under_fuzz.read(genuine))


@each
@thorough(40)
@given(data=st.data())
async def test_whatever_the_provider_really_signs_is_understood_or_refused(
    name: str, data: st.DataObject
) -> None:
    under_fuzz = parser(name)
    content = data.draw(st.sampled_from(under_fuzz.contents).flatmap(retold))

    await reading(under_fuzz, under_fuzz.seal(content))


@each
@thorough(10)
@given(data=st.data())
async def test_a_changed_message_under_no_signature_of_its_own_is_distrusted(
    name: str, data: st.DataObject
) -> None:
    """The content is altered, the old signature kept: a forgery is the one error, no other."""
    under_fuzz = parser(name)
    if under_fuzz.distrust is None:
        return
    content = under_fuzz.contents[0]
    genuine = under_fuzz.seal(content)
    changed = data.draw(mangled(content))
    if under_fuzz.forge is not None:
        forged = under_fuzz.forge(content, changed)
    else:
        other = under_fuzz.seal(changed)
        forged = Message(other.body, genuine.headers)
        if forged.headers == other.headers:
            # The signature stands in the body: put the old one there.
            forged = Message(genuine.body.replace(content, changed), genuine.headers)
    if forged == genuine:
        return
    try:
        understood = await under_fuzz.read(forged)
    except PaymentError as error:
        assert isinstance(error, under_fuzz.distrust)  # noqa: PT017 - both ways are tried
    else:
        assert unsigned(understood) == unsigned(await under_fuzz.read(genuine))


@pytest.mark.parametrize("name", BOMBED)
async def test_a_bomb_costs_no_more_than_is_stated(name: str) -> None:
    under_fuzz = parser(name)
    size = BOMBED[name]
    headers = under_fuzz.seal(under_fuzz.contents[0]).headers
    costly = []
    for bomb in bombs(size):
        for message in (
            Message(bombs(size)[bomb], headers),
            under_fuzz.seal(bombs(size * 3 // 5)[bomb]),
        ):
            memory, seconds = await cost(under_fuzz, message)
            if memory > MOST_MEMORY or seconds > MOST_CPU_SECONDS:
                costly.append((bomb, memory, seconds))
    assert costly == []


async def cost(under_fuzz: Parser, message: Message) -> tuple[int, float]:
    """The most memory that Python held meanwhile, in bytes, and the seconds of our own CPU."""
    tracemalloc.start()
    started = time.process_time()
    try:
        await reading(under_fuzz, message)
        return tracemalloc.get_traced_memory()[1], time.process_time() - started
    finally:
        tracemalloc.stop()


def unsigned(understood: object) -> object:
    """Without what is ours and new each time: a nonce and its signature in a checkout."""
    checkout = getattr(understood, "checkout", None)
    if checkout is None or not checkout.parameters:
        return understood
    return {
        key: checkout.parameters[key]
        for key in ("prepayid", "tradeNO", "tn")
        if key in checkout.parameters
    }
