from base64 import urlsafe_b64encode
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from domain.errors import InvalidRequest
from domain.event import EventType
from domain.payment import Channel, Payment, PaymentStatus
from domain.report import Attention
from storage import page as pages
from storage.events import EventStore
from storage.page import LARGEST_PAGE, decode_cursor, encode_cursor
from storage.payment_filters import PaymentFilters
from storage.payments import PaymentStore
from tests.storage.making import NewPayment, succeeded

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
HOUR = timedelta(hours=1)


@given(st.datetimes(timezones=st.just(UTC)), st.uuids())
def test_a_cursor_says_where_it_was_made(created_at: datetime, row_id: UUID) -> None:
    assert decode_cursor(encode_cursor((created_at, row_id))) == (created_at, row_id)


@example(urlsafe_b64encode(b"2026-11-22T12:00:00|" + b"0" * 32).decode())
@given(st.text() | st.binary().map(lambda raw: urlsafe_b64encode(raw).decode()))
def test_a_made_up_cursor_is_the_merchants_mistake_and_nothing_else(cursor: str) -> None:
    with pytest.raises(InvalidRequest):
        decode_cursor(cursor)


@pytest.mark.parametrize("limit", [0, -1, LARGEST_PAGE + 1])
async def test_a_page_has_a_size_within_reason(payments: PaymentStore, limit: int) -> None:
    with pytest.raises(InvalidRequest) as refused:
        await payments.list_for_merchant("m", limit=limit)
    assert refused.value.param == "limit"


async def test_pages_hold_each_payment_once_newest_first_even_in_one_instant(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    made = [await payments.record(new_payment(created_at=NOON)) for _ in range(3)]
    made += [
        await payments.record(new_payment(created_at=NOON + timedelta(seconds=second)))
        for second in (1, 2)
    ]
    seen: list[Payment] = []
    cursor = None
    while True:
        page = await payments.list_for_merchant(made[0].merchant_id, cursor=cursor, limit=2)
        seen += page.items
        if (cursor := page.next_cursor) is None:
            break
        await payments.record(new_payment(created_at=NOON + timedelta(hours=1)))

    assert seen == sorted(made, key=lambda row: (row.created_at, row.id), reverse=True)


async def test_a_last_page_that_is_full_says_that_it_is_the_last(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    made = [await payments.record(new_payment()) for _ in range(2)]

    page = await payments.list_for_merchant(made[0].merchant_id, limit=2)

    assert (len(page.items), page.next_cursor) == (2, None)


@pytest.mark.parametrize(
    ("wanted", "made"),
    [
        ({"provider": "wechatpay"}, {"provider": "wechatpay"}),
        ({"channel": Channel.JSAPI}, {"channel": Channel.JSAPI}),
        ({"order_no": "the-one"}, {"order_no": "the-one"}),
        ({"created_from": NOON}, {"created_at": NOON}),
        ({"created_to": NOON - HOUR}, {"created_at": NOON - 2 * HOUR}),
        ({"status": PaymentStatus.SUCCEEDED}, {}),
        ({"attention": True}, {}),
    ],
)
async def test_each_filter_picks_the_one_that_it_names(
    payments: PaymentStore,
    new_payment: NewPayment,
    wanted: dict[str, Any],
    made: dict[str, Any],
) -> None:
    plain = {"created_at": NOON - timedelta(minutes=1)}
    await payments.record(new_payment(**plain))
    one = await payments.record(new_payment(**(plain | made)))
    if "status" in wanted:
        await payments.finalise(succeeded(one))
    if "attention" in wanted:
        await payments.flag(one.id, Attention.CONTRADICTION, "")

    page = await payments.list_for_merchant(one.merchant_id, filters=PaymentFilters(**wanted))

    assert [payment.id for payment in page.items] == [one.id]


async def test_payments_that_need_nobody_are_listed_by_attention_false(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    calm, flagged = [await payments.record(new_payment()) for _ in range(2)]
    await payments.flag(flagged.id, Attention.CONTRADICTION, "")

    page = await payments.list_for_merchant(
        calm.merchant_id, filters=PaymentFilters(attention=False)
    )

    assert page.items == [calm]


async def test_another_merchants_payments_are_never_listed(
    payments: PaymentStore, new_payment: NewPayment
) -> None:
    await payments.record(new_payment())

    assert (await payments.list_for_merchant(f"m-{uuid4()}")).items == []


@pytest.mark.parametrize(
    "wanted",
    [
        {"status": PaymentStatus.CLOSED},
        {"provider": "wechatpay"},
        {"channel": Channel.JSAPI},
        {"status": PaymentStatus.CLOSED, "created_from": NOON - HOUR},
    ],
    ids=str,
)
async def test_a_filter_that_matches_nothing_reads_a_bounded_number_of_rows_a_page(
    payments: PaymentStore,
    new_payment: NewPayment,
    monkeypatch: pytest.MonkeyPatch,
    wanted: dict[str, Any],
) -> None:
    monkeypatch.setattr(pages, "MOST_SCANNED", 3)
    made = [await payments.record(new_payment()) for _ in range(7)]

    found = await _pages(payments, made[0].merchant_id, PaymentFilters(**wanted), limit=20)

    assert found == [[], [], []]


async def test_short_pages_hold_each_payment_that_matches_once_newest_first(
    payments: PaymentStore, new_payment: NewPayment, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(pages, "MOST_SCANNED", 3)
    wanted = {0, 1, 2, 4, 6, 10}
    made = [
        await payments.record(
            new_payment(
                created_at=NOON - timedelta(seconds=place),
                channel=Channel.JSAPI if place in wanted else Channel.QR,
            )
        )
        for place in range(12)
    ]

    filters = PaymentFilters(channel=Channel.JSAPI)
    found = await _pages(payments, made[0].merchant_id, filters, limit=2)

    listed = [payment for page in found for payment in page]
    assert listed == [payment for place, payment in enumerate(made) if place in wanted]


async def test_events_of_a_type_that_never_came_are_looked_for_in_bounded_pages(
    payments: PaymentStore,
    events: EventStore,
    new_payment: NewPayment,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(pages, "MOST_SCANNED", 2)
    for _ in range(3):
        one = await payments.record(new_payment())
        await payments.finalise(succeeded(one))

    first = await events.list_for_merchant(one.merchant_id, type=EventType.REFUND_FAILED)
    last = await events.list_for_merchant(
        one.merchant_id, type=EventType.REFUND_FAILED, cursor=first.next_cursor
    )

    assert (first.items, last.items, last.next_cursor) == ([], [], None)
    assert first.next_cursor is not None


async def _pages(
    payments: PaymentStore, merchant_id: str, filters: PaymentFilters, limit: int
) -> list[list[Payment]]:
    cursor: str | None = None
    found: list[list[Payment]] = []
    while not found or cursor is not None:
        page = await payments.list_for_merchant(
            merchant_id, filters=filters, cursor=cursor, limit=limit
        )
        found.append(page.items)
        cursor = page.next_cursor
    return found
