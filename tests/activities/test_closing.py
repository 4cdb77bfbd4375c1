"""What counts as closed at the provider, and when nobody can say yet."""

from datetime import UTC, datetime, timedelta
from typing import cast

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import STILL_PENDING
from activities.provider_calls import Closed, Closing, ProviderActivities
from domain.payment import Channel, Payment
from domain.report import Outcome
from providers.registry import Registry
from storage.alarms import AlarmStore
from storage.payments import PaymentStore
from tests.domain.making import payment
from tests.workflows.scripted import Fault, Order, ScriptedProvider, report

MINUTE = timedelta(minutes=1)
ORDER = payment().model_copy(update={"provider": "scripted", "account": "main"})


async def close(
    provider: ScriptedProvider, doubtful: timedelta | None = None, order: Payment = ORDER
) -> Closed:
    """`doubtful` is for how long from now a submission may still arrive."""
    steps = ProviderActivities(
        Registry([provider]), cast("PaymentStore", None), cast("AlarmStore", None)
    )
    until = None if doubtful is None else datetime.now(UTC) + doubtful
    closing = Closing(payment=order, doubtful_until=until)
    return await ActivityEnvironment().run(steps.close_payment, closing)


def knowing(state: Outcome, order: Payment = ORDER) -> ScriptedProvider:
    provider = ScriptedProvider()
    provider.orders[order.reference] = Order(order.amount, state)
    return provider


async def test_an_order_nobody_knows_is_not_closed_while_its_submission_may_arrive() -> None:
    with pytest.raises(ApplicationError) as later:
        await close(ScriptedProvider(), MINUTE)

    assert (later.value.type, later.value.non_retryable) == (STILL_PENDING, False)
    wait = later.value.next_retry_delay
    assert wait is not None
    assert MINUTE - timedelta(seconds=10) < wait <= MINUTE


@pytest.mark.parametrize("doubtful", [None, -MINUTE], ids=["never", "no longer"])
async def test_an_order_nobody_knows_is_closed_unseen(doubtful: timedelta | None) -> None:
    closed = await close(ScriptedProvider(), doubtful)

    assert (closed.report.outcome, closed.unknown_there) == (Outcome.CLOSED, True)


async def test_what_arrived_meanwhile_and_was_paid_is_found_in_spite_of_the_doubt() -> None:
    provider = knowing(Outcome.PAID)
    unseen = Fault(report=report(ORDER, Outcome.NOT_FOUND))
    provider.script("close", ORDER.reference, unseen)

    closed = await close(provider, MINUTE)

    assert (closed.report.outcome, closed.unknown_there) == (Outcome.PAID, False)


async def test_what_arrived_between_the_close_and_the_question_is_closed_again() -> None:
    provider = knowing(Outcome.PENDING)
    provider.script("close", ORDER.reference, Fault(report=report(ORDER, Outcome.NOT_FOUND)))

    with pytest.raises(ApplicationError) as later:
        await close(provider)

    assert later.value.type == STILL_PENDING


async def test_an_order_that_the_provider_closed_was_seen_there_whatever_a_replica_says() -> None:
    provider = knowing(Outcome.PENDING)
    provider.script("query", ORDER.reference, Fault(report=report(ORDER, Outcome.NOT_FOUND)))

    closed = await close(provider, MINUTE)

    assert (closed.report.outcome, closed.unknown_there) == (Outcome.CLOSED, False)


async def test_a_query_that_lags_behind_a_cancel_in_store_makes_no_success() -> None:
    till = ORDER.model_copy(update={"channel": Channel.BARCODE})
    provider = knowing(Outcome.PENDING, till)
    provider.script("query", till.reference, Fault(report=report(till, Outcome.PAID)))

    with pytest.raises(ApplicationError) as later:
        await close(provider, order=till)

    assert later.value.type == STILL_PENDING
    assert (await close(provider, order=till)).report.outcome is Outcome.CLOSED


async def test_a_cancel_that_gave_the_money_back_is_believed_without_a_query() -> None:
    till = ORDER.model_copy(update={"channel": Channel.BARCODE})
    undone = report(till, Outcome.CLOSED).model_copy(update={"refunded": till.amount})
    provider = knowing(Outcome.PAID, till)
    provider.script("close", till.reference, Fault(report=undone))

    assert (await close(provider, order=till)).report == undone
