from collections.abc import AsyncIterator
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from uuid import UUID

import pytest

from domain.errors import OutcomeUnknown
from domain.notification import Notification, NotificationKind
from domain.product import ProductType
from domain.purchase import Purchase
from domain.report import PaymentReport
from domain.store_change import Change, StoreChange
from providers.apple_iap.recall import OVERLAP, SLICE, Recall, Wanted
from tests.providers.apple_iap.appstore import NOW

HOUR = timedelta(hours=1)
TEN = Wanted("tea.credits.10", 1)
Span = tuple[datetime, datetime | None]


def sale(
    number: int,
    at: datetime,
    *,
    ours: bool = True,
    test: bool = False,
    transaction: str = "",
    of: Wanted = TEN,
) -> Notification:
    purchase = Purchase(
        provider="apple_iap",
        account="main",
        app="com.shop/Production",
        transaction_id=transaction or str(number),
        original_transaction_id=str(number),
        product_id=of.product_id or "",
        quantity=of.quantity,
        product_type=ProductType.CONSUMABLE,
        token=UUID(int=number),
        purchased_at=at,
        signed_at=at,
        test=test,
    )
    change = StoreChange(purchase=purchase, change=Change.PURCHASED, raw_type="X", signed_at=at)
    reference = UUID(int=number).hex
    return Notification(
        provider="apple_iap",
        account="main",
        notification_id=str(number),
        kind=NotificationKind.PAYMENT,
        reference=reference,
        payment=PaymentReport.of_purchase(reference, purchase, "X"),
        change=change if ours else None,
    )


@dataclass
class History:
    """What the store has told; once `fails_after` spans were read, the next is cut off."""

    sales: list[Notification] = field(default_factory=list)
    read: list[Span] = field(default_factory=list)
    fails_after: int | None = None

    async def __call__(self, begin: datetime, end: datetime | None) -> AsyncIterator[Notification]:
        if self.fails_after == len(self.read):
            raise OutcomeUnknown("cut", provider="apple_iap")
        self.read.append((begin, end))
        for told in self.sales:
            at = told.payment.paid_at if told.payment else None
            if at and begin <= at and (end is None or at <= end):
                yield told


@pytest.fixture
def history() -> History:
    return History()


@pytest.fixture
def recall(history: History) -> Recall:
    return Recall(history, most=3)


async def found(recall: Recall, reference: str, since: datetime, now: datetime) -> str | None:
    return await recall.find(reference, since, now, TEN)


def reference(number: int) -> str:
    return UUID(int=number).hex


async def test_a_sale_is_found_and_then_known_without_querying(
    recall: Recall, history: History
) -> None:
    history.sales.append(sale(1, NOW - HOUR))
    for _ in range(2):
        assert await found(recall, reference(1), NOW - 2 * HOUR, NOW) == "1"
    assert history.read == [(NOW - 2 * HOUR, None)]


@pytest.mark.parametrize("test_first", [True, False])
async def test_a_test_purchase_never_hides_the_real_one(
    recall: Recall,
    history: History,
    test_first: bool,  # noqa: FBT001
) -> None:
    told = [
        sale(1, NOW - HOUR, test=True, transaction="tested"),
        sale(1, NOW - HOUR, transaction="real"),
    ]
    history.sales.extend(told if test_first else reversed(told))
    assert await found(recall, reference(1), NOW - 2 * HOUR, NOW) == "real"


@pytest.mark.parametrize("other", [Wanted("tea.sticker", 1), Wanted("tea.credits.10", 2)])
async def test_another_product_or_number_never_hides_the_right_purchase(
    recall: Recall, history: History, other: Wanted
) -> None:
    history.sales += [
        sale(1, NOW - HOUR, transaction="cheap", of=other),
        sale(1, NOW - HOUR, transaction="cheap too", of=other),
    ]
    assert await found(recall, reference(1), NOW - 2 * HOUR, NOW) == "cheap"

    history.sales.append(sale(1, NOW, transaction="right"))
    assert await found(recall, reference(1), NOW - 2 * HOUR, NOW) == "right"


async def test_a_history_that_breaks_off_does_not_pass_another_product_off_as_all_there_is(
    recall: Recall, history: History
) -> None:
    history.sales.append(sale(1, NOW - 4 * SLICE, of=Wanted("tea.sticker", 1)))
    history.fails_after = 1
    with pytest.raises(OutcomeUnknown):
        await found(recall, reference(1), NOW - 4 * SLICE, NOW)


async def test_what_was_read_once_is_not_read_for_the_next_payment(
    recall: Recall, history: History
) -> None:
    begin = NOW - 3 * HOUR
    assert await found(recall, reference(1), begin, NOW) is None
    assert await found(recall, reference(2), begin + HOUR, NOW + HOUR) is None
    assert history.read == [(begin, None), (NOW - OVERLAP, None)]


async def test_a_sale_reported_late_and_dated_early_is_found(
    recall: Recall, history: History
) -> None:
    assert await found(recall, reference(1), NOW - 3 * HOUR, NOW) is None
    history.sales.append(sale(1, NOW - OVERLAP / 2))
    assert await found(recall, reference(1), NOW - 3 * HOUR, NOW + HOUR / 4) == "1"


async def test_an_older_payment_needs_only_what_came_before(
    recall: Recall, history: History
) -> None:
    history.sales.append(sale(1, NOW - 19 * HOUR))
    await found(recall, reference(9), NOW - HOUR, NOW)
    assert await found(recall, reference(1), NOW - 20 * HOUR, NOW) == "1"
    first = NOW - HOUR
    assert history.read[1:-1] == [
        (first - SLICE, first),
        (first - 2 * SLICE, first - SLICE),
        (first - 3 * SLICE, first - 2 * SLICE),
        (NOW - 20 * HOUR, first - 3 * SLICE),
    ]


async def test_a_long_history_that_breaks_off_goes_on_where_it_broke(
    recall: Recall, history: History
) -> None:
    begin = NOW - 4 * SLICE - HOUR
    history.fails_after = 2
    with pytest.raises(OutcomeUnknown):
        await found(recall, reference(1), begin, NOW)
    history.fails_after = None
    assert await found(recall, reference(1), begin, NOW) is None
    assert history.read[2] == (begin + 2 * SLICE - OVERLAP, begin + 3 * SLICE - OVERLAP)
    assert history.read[-1][1] is None


async def test_a_way_back_that_breaks_off_goes_on_where_it_broke(
    recall: Recall, history: History
) -> None:
    await found(recall, reference(9), NOW, NOW)
    history.fails_after = 2
    with pytest.raises(OutcomeUnknown):
        await found(recall, reference(1), NOW - 3 * SLICE, NOW)
    history.fails_after = None
    assert await found(recall, reference(1), NOW - 3 * SLICE, NOW) is None
    assert history.read[1:4] == [
        (NOW - step * SLICE, NOW - (step - 1) * SLICE) for step in (1, 2, 3)
    ]


async def test_a_reading_that_fails_after_the_sale_has_found_it(
    recall: Recall, history: History
) -> None:
    history.sales.append(sale(1, NOW - 4 * SLICE))
    history.fails_after = 1
    assert await found(recall, reference(1), NOW - 4 * SLICE, NOW) == "1"


async def test_the_first_sale_of_a_payment_counts(recall: Recall, history: History) -> None:
    second = sale(2, NOW).model_copy(update={"reference": reference(1)})
    history.sales += [sale(1, NOW - HOUR), second]
    assert await found(recall, reference(1), NOW - HOUR, NOW) == "1"


async def test_a_sale_in_another_app_is_nothing_of_ours(recall: Recall, history: History) -> None:
    history.sales.append(sale(1, NOW, ours=False))
    assert await found(recall, reference(1), NOW - HOUR, NOW) is None


async def test_what_was_forgotten_is_read_again(recall: Recall, history: History) -> None:
    begin = NOW - 5 * HOUR
    history.sales += [sale(number, begin + number * HOUR / 2) for number in range(1, 8)]
    assert await found(recall, reference(1), begin, NOW) == "1"
    assert await found(recall, reference(7), begin, NOW) == "7"
    assert len(history.read) == 1
    assert await found(recall, reference(1), begin, NOW) == "1"
    assert history.read[1] == (begin, begin + 2 * HOUR + timedelta(seconds=1))


async def test_a_memory_that_lost_everything_begins_anew(history: History) -> None:
    recall = Recall(history, most=0)
    history.sales.append(sale(1, NOW))
    for _ in range(2):
        assert await found(recall, reference(1), NOW - HOUR, NOW) == "1"
    assert history.read == [(NOW - HOUR, None)] * 2
