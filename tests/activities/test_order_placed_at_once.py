"""An order written down and submitted by one step, whose first half counts without the second."""

import asyncio
from datetime import timedelta

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.fast_path import NOT_SENT, Bounded, FastPathActivities, Placed
from domain.checkout import Checkout, CheckoutKind, Created
from domain.payment import Channel, Payer, Payment, PaymentStatus
from domain.report import Outcome
from storage.database import Database
from storage.payments import PaymentStore
from tests.workflows.scripted import Fault, ScriptedProvider, rejected, unknown
from tests.workflows.stores import Outages


@pytest.fixture
def order(ordered: Payment) -> Payment:
    return ordered.model_copy(
        update={"provider": "scripted", "payer": Payer(client_ip="203.0.113.7")}
    )


async def place(
    fast_path: FastPathActivities, order: Payment, first: float = 10, second: float = 10
) -> Placed:
    bounded = Bounded(payment=order, first=first, second=second)
    placed: Placed = await ActivityEnvironment().run(fast_path.record_and_submit, bounded)
    return placed


async def stored(database: Database, order: Payment) -> Payment | None:
    return await PaymentStore(database).get(order.id)


async def test_the_order_is_written_down_and_submitted(
    fast_path: FastPathActivities, provider: ScriptedProvider, database: Database, order: Payment
) -> None:
    placed = await place(fast_path, order)

    checkout = Checkout(kind=CheckoutKind.QR, value=f"qr:{order.reference}")
    assert placed.created == Created(checkout=checkout)
    assert (placed.resumed, placed.rejected) == (False, None)
    row = await stored(database, order)
    assert row is not None
    assert row.checkout == checkout
    # What the payer showed is for the provider alone.
    assert placed.payment.payer == Payer()
    assert provider.sent("query", order.reference) == 0


async def test_a_definite_no_leaves_the_order_in_the_database(
    fast_path: FastPathActivities, provider: ScriptedProvider, database: Database, order: Payment
) -> None:
    provider.script("create", order.reference, Fault(error=rejected("NO")))

    placed = await place(fast_path, order)

    assert placed.rejected is not None
    assert (placed.rejected.provider_code, placed.created) == ("NO", None)
    assert await stored(database, order) == placed.payment


@pytest.mark.parametrize(
    "fault",
    [Fault(error=unknown(), executed=True), Fault(hang=True, executed=True)],
    ids=["lost", "late"],
)
async def test_an_answer_that_does_not_come_is_neither_yes_nor_no(
    fast_path: FastPathActivities,
    provider: ScriptedProvider,
    database: Database,
    order: Payment,
    fault: Fault,
) -> None:
    provider.script("create", order.reference, fault)

    placed = await place(fast_path, order, second=0.2)

    assert (placed.maybe_sent, placed.created, placed.rejected) == (True, None, None)
    assert await stored(database, order) == placed.payment


async def test_an_order_that_another_request_wrote_down_is_queried_first(
    fast_path: FastPathActivities, provider: ScriptedProvider, order: Payment
) -> None:
    barcode = order.model_copy(update={"channel": Channel.BARCODE})
    await place(fast_path, barcode)
    provider.pay(order.reference)
    later = barcode.model_copy(update={"created_at": barcode.created_at + timedelta(seconds=1)})

    placed = await place(fast_path, later)

    assert placed.resumed
    assert placed.created is not None
    assert placed.created.report is not None
    assert placed.created.report.outcome is Outcome.PAID
    assert placed.payment.created_at == barcode.created_at
    assert provider.calls == [("create", order.reference), ("query", order.reference)]


async def test_nothing_is_sent_for_an_order_that_the_database_rejects(
    fast_path: FastPathActivities, provider: ScriptedProvider, order: Payment
) -> None:
    await place(fast_path, order)
    other = order.model_copy(update={"request_hash": "another"})

    with pytest.raises(ApplicationError) as refused:
        await place(fast_path, other)

    assert (refused.value.type, refused.value.non_retryable) == ("idempotency_key_reused", True)
    assert provider.sent("create", order.reference) == 1


async def test_nothing_is_sent_where_the_order_cannot_be_written_down(
    fast_path: FastPathActivities, provider: ScriptedProvider, outages: Outages, order: Payment
) -> None:
    outages.down("record", order.id, 1)

    with pytest.raises(ApplicationError) as refused:
        await place(fast_path, order)

    assert (refused.value.type, refused.value.non_retryable) == (NOT_SENT, False)
    assert provider.calls == []


async def test_nothing_is_sent_where_writing_the_order_down_takes_too_long(
    fast_path: FastPathActivities, provider: ScriptedProvider, outages: Outages, order: Payment
) -> None:
    outages.script("record", order.id, asyncio.Event())

    with pytest.raises(ApplicationError) as refused:
        await place(fast_path, order, first=0.05)

    assert (refused.value.type, refused.value.non_retryable) == (NOT_SENT, False)
    assert provider.calls == []


async def test_nothing_is_sent_for_a_payment_that_has_ended(
    fast_path: FastPathActivities, provider: ScriptedProvider, order: Payment, database: Database
) -> None:
    await PaymentStore(database).record(order)
    await PaymentStore(database).finalise(order.model_copy(update={"status": PaymentStatus.CLOSED}))

    placed = await place(fast_path, order)

    assert (placed.payment.status, placed.created) == (PaymentStatus.CLOSED, None)
    assert provider.calls == []
