"""Where the provider's words do not fit the payment, and what a person may decide."""

import asyncio

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.payment import Payment, PaymentStatus
from domain.report import Attention, Outcome
from domain.resolution import ResolveAction
from tests.workflows.disputes import parked
from tests.workflows.scripted import Fault, notification, report, unknown
from tests.workflows.shop import BRISK, PaymentRun, Shop, refusal


async def test_another_amount_parks_the_payment_until_a_person_closes_it(shop: Shop) -> None:
    run, payment = await parked(shop, await shop.order())

    await shop.resolve(run, ResolveAction.CLOSE)

    ended = await run.result()
    assert (ended.status, ended.captured, ended.attention) == (PaymentStatus.CLOSED, 0, None)
    assert (await shop.row(payment)).attention is None
    assert shop.merchants.heard(payment) == ["payment.attention", "payment.closed"]


async def test_what_was_decided_on_does_not_come_back(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await parked(shop, order)
    held = shop.hangs(payment)
    await shop.resolve(run, ResolveAction.CLOSE)

    await shop.notify(run, order, amount=500)
    held.set()

    assert (await run.result()).status is PaymentStatus.CLOSED
    assert (await shop.row(payment)).attention is None


async def test_a_parked_payment_can_be_accepted_as_paid(shop: Shop) -> None:
    run, payment = await parked(shop, await shop.order())

    resolved = await shop.resolve(run, ResolveAction.ACCEPT)

    assert (resolved.status, resolved.captured) == (PaymentStatus.SUCCEEDED, 500)
    await run.result()
    assert (await shop.row(payment)).captured == 500


async def test_a_parked_payment_can_be_given_back(shop: Shop) -> None:
    run, payment = await parked(shop, await shop.order())

    await shop.resolve(run, ResolveAction.REFUND)
    await run.result()

    await shop.refunded(payment, 500)
    assert (await shop.row(payment)).status is PaymentStatus.CLOSED


async def test_a_parked_payment_can_be_asked_about_again(shop: Shop) -> None:
    run, payment = await parked(shop, await shop.order())
    shop.provider.pay(payment.reference)

    await shop.resolve(run, ResolveAction.ASK_AGAIN)

    ended = await run.result()
    assert (ended.status, ended.captured) == (PaymentStatus.SUCCEEDED, 1999)


async def test_a_provider_that_insists_parks_the_payment_again(shop: Shop) -> None:
    run, payment = await parked(shop, await shop.order(policy=BRISK))
    wrong = Fault(report=report(payment, Outcome.PAID, amount=500))
    shop.provider.script("query", payment.reference, *[wrong] * 2)

    await shop.resolve(run, ResolveAction.ASK_AGAIN)

    await shop.sent("query", payment.reference, 3)
    await shop.flagged(payment, Attention.AMOUNT_MISMATCH)
    await shop.resolve(run, ResolveAction.CLOSE)
    assert (await run.result()).status is PaymentStatus.CLOSED


async def test_a_right_notification_ends_the_parking(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await parked(shop, order)

    await shop.notify(run, order)

    ended = await run.result()
    assert (ended.status, ended.captured) == (PaymentStatus.SUCCEEDED, 1999)
    assert (await shop.row(payment)).attention is None


async def test_a_mismatch_that_the_provider_denies_does_not_hold_the_payment_up(
    shop: Shop,
) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)

    await shop.notify(run, order, amount=1)

    ended = await run.result()
    assert (ended.status, ended.captured) == (PaymentStatus.SUCCEEDED, 1999)
    assert ended.attention is None
    assert shop.merchants.heard(payment) == ["payment.attention", "payment.succeeded"]


async def test_a_repeated_mismatch_does_not_drown_the_providers_denial(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)
    gate = asyncio.Event()
    shop.provider.script("query", payment.reference, Fault(gate=gate))
    await shop.notify(run, order, amount=1)
    await shop.sent("query", payment.reference)

    await shop.notify(run, order, amount=1)
    gate.set()

    assert (await run.result()).status is PaymentStatus.SUCCEEDED


async def test_a_mismatch_waits_for_a_person_where_the_provider_cannot_be_asked(
    shop: Shop,
) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    shop.provider.script("query", payment.reference, *[Fault(error=unknown())] * 9)
    await shop.notify(run, order, amount=1)
    await shop.flagged(payment, Attention.AMOUNT_MISMATCH)
    await shop.env.fast_forward(run, 31)

    resolved = await shop.resolve(run, ResolveAction.CLOSE)

    assert resolved.status is PaymentStatus.CLOSED


async def test_nothing_to_resolve_is_said_clearly(shop: Shop) -> None:
    run, _ = await shop.pending(await shop.order())

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.resolve(run, ResolveAction.CLOSE)

    assert refusal(refused.value) == "not_resolvable"


@pytest.mark.parametrize("why", [Attention.ACCOUNT_MISMATCH, Attention.REFERENCE_MISMATCH])
@pytest.mark.parametrize("action", [ResolveAction.ACCEPT, ResolveAction.REFUND])
async def test_money_that_is_not_ours_can_be_neither_accepted_nor_given_back(
    shop: Shop, why: Attention, action: ResolveAction
) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    foreign = report(payment, Outcome.PAID).model_copy(update={"mismatch": why})
    shop.provider.script("query", payment.reference, Fault(report=foreign))
    await shop.say(run, notification(foreign))
    await shop.flagged(payment, why)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.resolve(run, action)

    assert refusal(refused.value) == "not_resolvable"
    assert (await shop.resolve(run, ResolveAction.CLOSE)).captured == 0


async def test_a_decision_that_comes_with_the_answer_does_not_hang_the_run(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await parked(shop, order)
    shop.outages.script("finalise", payment.id, held := asyncio.Event())

    decision = asyncio.create_task(shop.resolve(run, ResolveAction.ASK_AGAIN))
    await shop.notify(run, order)
    held.set()

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    await asyncio.gather(decision, return_exceptions=True)


async def holding(shop: Shop) -> str:
    """A provider's number that another captured payment holds already."""
    payment = await shop.paid(await shop.order())
    assert payment.provider_reference is not None
    return payment.provider_reference


async def contradicted(shop: Shop) -> tuple[PaymentRun, Payment]:
    number = await holding(shop)
    run, payment = await shop.pending(await shop.order(policy=BRISK))
    claimed = report(payment, Outcome.PAID).model_copy(update={"provider_reference": number})
    await shop.say(run, notification(claimed))
    await shop.flagged(payment, Attention.CONTRADICTION)
    return run, payment


async def test_a_providers_number_that_is_taken_parks_the_payment(shop: Shop) -> None:
    run, payment = await contradicted(shop)

    await shop.resolve(run, ResolveAction.CLOSE)

    ended = await run.result()
    assert (ended.status, ended.captured) == (PaymentStatus.CLOSED, 0)
    assert (await shop.row(payment)).attention is None
    assert shop.merchants.heard(payment) == ["payment.attention", "payment.closed"]


async def test_accepting_a_number_that_is_taken_parks_the_payment_again(shop: Shop) -> None:
    run, payment = await contradicted(shop)

    resolved = await shop.resolve(run, ResolveAction.ACCEPT)

    assert (resolved.status, resolved.captured) == (PaymentStatus.PENDING, 0)
    await shop.flagged(payment, Attention.CONTRADICTION)
    await shop.resolve(run, ResolveAction.CLOSE)
    assert (await run.result()).status is PaymentStatus.CLOSED


async def test_a_right_word_ends_a_contradiction_without_a_person(shop: Shop) -> None:
    run, payment = await contradicted(shop)

    await shop.say(run, notification(report(payment, Outcome.PAID)))

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert (await shop.row(payment)).attention is None


async def test_money_that_an_operator_closed_over_is_not_flagged_by_a_later_workflow(
    shop: Shop,
) -> None:
    order = await shop.order()
    run, payment = await parked(shop, order)
    await shop.resolve(run, ResolveAction.CLOSE)
    closed = await run.result()
    paid = report(payment, Outcome.PAID, 500)
    shop.provider.script("query", payment.reference, *[Fault(report=paid)] * 9)

    await (await shop.late(order, closed, notification(paid))).result()

    assert (await shop.row(payment)).attention is None
    assert shop.merchants.heard(payment) == ["payment.attention", "payment.closed"]


async def test_a_trade_told_of_under_another_order_number_is_flagged_after_the_end(
    shop: Shop,
) -> None:
    order = await shop.order()
    payment = await shop.paid(order)
    strange = report(payment, Outcome.PAID).model_copy(
        update={"mismatch": Attention.REFERENCE_MISMATCH}
    )

    await (await shop.late(order, payment, notification(strange))).result()

    assert (await shop.row(payment)).attention is Attention.REFERENCE_MISMATCH
