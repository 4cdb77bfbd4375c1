"""The late run asks until the truth is known, and calls a person while it is not."""

import pytest

from domain.payment import Payment, PaymentStatus
from domain.report import Attention, Outcome
from tests.workflows.scripted import Fault, notification, rejected, report, unknown
from tests.workflows.shop import BRISK, LateRun, Shop
from workflows import search_attributes
from workflows.payment import PaymentOrder
from workflows.policies import Attempts

_AT_ONCE = Attempts(timeout=5, first_wait=0.1, backoff=1, longest_wait=0.1)
# Half a second of silence is an outage.
HASTY = BRISK.model_copy(update={"alarm_after": 0.5, "call_slow": _AT_ONCE})


async def closed_then_paid(shop: Shop) -> tuple[PaymentOrder, Payment]:
    order = await shop.order()
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)
    return order, payment


async def in_one_outage(shop: Shop, payment: Payment, error: Exception) -> None:
    """The provider answers nothing until it is told to."""
    shop.provider.script("query", payment.reference, *[Fault(error=error)] * 999)


def back(shop: Shop, payment: Payment, *said: Outcome) -> None:
    """It answers again, at first perhaps what a lagging replica says."""
    words = [Fault(report=report(payment, outcome)) for outcome in said]
    shop.provider.faults["query", payment.reference] = words


async def shown(run: LateRun) -> str | None:
    return (await run.describe()).typed_search_attributes.get(search_attributes.ATTENTION)


async def test_a_run_cancelled_in_the_temporal_ui_settles_the_money_all_the_same(
    shop: Shop,
) -> None:
    order, payment = await closed_then_paid(shop)
    await in_one_outage(shop, payment, unknown())
    run = await shop.late(order, payment, policy=HASTY)
    await shop.sent("query", payment.reference)

    await run.cancel()
    back(shop, payment)

    settled = await run.result()
    assert (settled.late, settled.captured) == (True, payment.amount)
    await shop.refunded(payment, payment.amount)


@pytest.mark.parametrize("error", [unknown(), rejected("NO_AUTH")], ids=["away", "refuses"])
async def test_a_person_is_called_once_and_the_flag_falls_with_the_truth(
    shop: Shop, error: Exception
) -> None:
    order, payment = await closed_then_paid(shop)
    await in_one_outage(shop, payment, error)
    run = await shop.late(order, payment, policy=HASTY)
    await shop.flagged(payment, Attention.OUTCOME_UNKNOWN)
    asked = shop.provider.sent("query", payment.reference)
    await shop.sent("query", payment.reference, asked + 2)
    assert (await shop.row(payment)).captured == 0

    back(shop, payment)

    await run.result()
    await shop.refunded(payment, 1999)
    assert (await shop.row(payment)).attention is None
    assert await shown(run) is None
    assert shop.merchants.heard(payment)[:2] == ["payment.closed", "payment.attention"]
    assert shop.merchants.heard(payment).count("payment.attention") == 1


async def test_a_second_outage_raises_the_flag_again(shop: Shop) -> None:
    order, payment = await closed_then_paid(shop)
    await in_one_outage(shop, payment, unknown())
    run = await shop.late(order, payment, policy=HASTY)
    await shop.flagged(payment, Attention.OUTCOME_UNKNOWN)
    back(shop, payment, Outcome.CLOSED)
    await in_one_outage(shop, payment, unknown())
    await shop.unflagged(payment)

    await shop.flagged(payment, Attention.OUTCOME_UNKNOWN)

    back(shop, payment)
    await run.result()
    await shop.refunded(payment, 1999)
    assert (await shop.row(payment)).attention is None


async def test_an_outage_does_not_take_down_what_the_run_called_a_person_for(shop: Shop) -> None:
    order, payment = await closed_then_paid(shop)
    foreign = shop.refund_order(payment, 500).refund
    await in_one_outage(shop, payment, unknown())
    run = await shop.late(
        order,
        payment,
        notification(shop.provider.refund_report(foreign)),
        notification(report(payment, Outcome.PAID)),
        policy=HASTY,
    )
    await shop.flagged(payment, Attention.OUTCOME_UNKNOWN)

    back(shop, payment)

    await run.result()
    assert (await shop.row(payment)).attention is Attention.EXTERNAL_REFUND
    assert await shown(run) == Attention.EXTERNAL_REFUND
    assert shop.merchants.heard(payment).count("payment.attention") == 2


async def test_a_replica_that_lags_through_every_wait_but_the_last_is_believed_at_the_last(
    shop: Shop,
) -> None:
    order, payment = await closed_then_paid(shop)
    back(shop, payment, *[Outcome.CLOSED] * len(BRISK.confirmation_waits))

    await (await shop.late(order, payment)).result()

    await shop.refunded(payment, 1999)
    assert (await shop.row(payment)).attention is None


async def test_a_word_of_money_that_does_not_fit_is_not_waited_for(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.closed(order)
    asked = shop.provider.sent("query", payment.reference)

    await (await shop.late(order, payment, notification(report(payment, Outcome.PAID, 1)))).result()

    assert shop.provider.sent("query", payment.reference) == asked + 1
    row = await shop.row(payment)
    assert (row.status, row.captured, row.attention) == (PaymentStatus.CLOSED, 0, None)
