"""The payment's last moments: at expiry, at a silent provider, and words that come too late."""

import asyncio

import pytest

from domain.errors import ReportMismatch
from domain.merchant import LatePolicy
from domain.payment import PaymentStatus
from domain.report import Attention, Outcome
from domain.resolution import ResolveAction
from tests.workflows.scripted import Fault, notification, rejected, report, unknown
from tests.workflows.shop import BRISK, Shop


async def test_paid_in_the_last_moment_wins_over_the_expiry(shop: Shop) -> None:
    order = await shop.order(policy=BRISK, expires_in=2)
    run, payment = await shop.pending(order)
    shop.provider.script("query", payment.reference, *[Fault(error=unknown())] * 2)
    shop.provider.pay(payment.reference)

    assert (await run.result()).status is PaymentStatus.SUCCEEDED


async def test_a_provider_that_will_not_close_is_asked_until_it_does(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order(policy=BRISK))
    pending = Fault(report=report(payment, Outcome.PENDING))
    busy = Fault(error=rejected("USER_PAYING"))
    shop.provider.script("close", payment.reference, busy, pending)
    shop.provider.script("query", payment.reference, *[pending] * 9)

    assert (await shop.cancel(run)).status is PaymentStatus.CLOSED
    assert shop.provider.sent("close", payment.reference) >= 3


async def test_a_failure_found_at_the_close_fails_the_payment(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order())
    shop.provider.orders[payment.reference].state = Outcome.FAILED

    assert (await shop.cancel(run)).status is PaymentStatus.FAILED


async def test_an_order_that_the_provider_never_knew_is_closed(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order())
    del shop.provider.orders[payment.reference]

    assert (await shop.cancel(run)).status is PaymentStatus.CLOSED


async def test_a_notification_during_the_close_wins(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    run, payment = await shop.pending(order)
    shop.provider.script("close", payment.reference, Fault(hang=True))
    cancelling = asyncio.create_task(shop.cancel(run))
    await shop.sent("close", payment.reference)
    shop.provider.pay(payment.reference)

    await shop.notify(run, order)

    assert (await cancelling).status is PaymentStatus.SUCCEEDED
    assert (await run.result()).captured == 1999


async def test_an_unknown_end_calls_a_person_and_heals_by_itself(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order(policy=BRISK, expires_in=1))
    shop.provider.script("close", payment.reference, *[Fault(error=unknown())] * 2)

    await shop.flagged(payment, Attention.OUTCOME_UNKNOWN)

    assert (await run.result()).status is PaymentStatus.CLOSED
    assert (await shop.row(payment)).attention is None
    assert shop.merchants.heard(payment) == ["payment.attention", "payment.closed"]


async def test_a_provider_that_stays_silent_calls_a_person_once(shop: Shop) -> None:
    hasty = BRISK.model_copy(update={"alarm_after": 0.5})
    run, payment = await shop.pending(await shop.order(policy=hasty, expires_in=1))
    shop.provider.script("close", payment.reference, *[Fault(error=unknown())] * 3)

    assert (await run.result()).status is PaymentStatus.CLOSED
    assert shop.merchants.heard(payment) == ["payment.attention", "payment.closed"]


async def test_an_unknown_end_can_be_decided_by_a_person(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order(policy=BRISK, expires_in=1))
    shop.provider.script("close", payment.reference, *[Fault(error=unknown())] * 99)
    await shop.flagged(payment, Attention.OUTCOME_UNKNOWN)

    with pytest.raises(Exception, match="Workflow update failed"):
        await shop.resolve(run, ResolveAction.ACCEPT)
    decided = await shop.resolve(run, ResolveAction.CLOSE)

    assert (decided.status, decided.attention) == (PaymentStatus.CLOSED, None)


async def test_money_that_comes_while_the_end_is_written_down_is_given_back(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    run, payment = await shop.pending(order)
    shop.outages.down("finalise", payment.id, 3)
    shop.outages.script("finalise", payment.id, written := asyncio.Event())
    cancelling = asyncio.create_task(shop.cancel(run))
    await shop.outages.reached("finalise", payment.id)
    shop.provider.pay(payment.reference)

    await shop.notify(run, order)
    written.set()

    assert (await cancelling).status is PaymentStatus.CLOSED
    ended = await run.result()
    await shop.refunded(payment, 1999)
    assert (ended.status, ended.late) == (PaymentStatus.CLOSED, True)
    assert shop.merchants.heard(payment)[0] == "payment.closed"


@pytest.mark.parametrize("late", LatePolicy)
async def test_money_that_comes_while_the_merchant_is_told_follows_its_policy(
    shop: Shop, late: LatePolicy
) -> None:
    order = await shop.order(late=late)
    run, payment = await shop.pending(order)
    told = shop.hangs(payment)
    await shop.cancel(run)
    shop.provider.pay(payment.reference)

    await shop.notify(run, order)
    told.set()

    ended = await run.result()
    if late is LatePolicy.ACCEPT:
        assert (ended.status, ended.captured) == (PaymentStatus.SUCCEEDED, 1999)
        assert shop.merchants.heard(payment) == ["payment.closed", "payment.succeeded"]
    else:
        await shop.refunded(payment, 1999)
        assert (await shop.row(payment)).status is PaymentStatus.CLOSED


async def test_a_mismatch_that_comes_while_the_merchant_is_told_calls_a_person(
    shop: Shop,
) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    told = shop.hangs(payment)
    await shop.cancel(run)

    await shop.notify(run, order, amount=1)
    told.set()

    assert (await run.result()).attention is Attention.AMOUNT_MISMATCH
    row = await shop.row(payment)
    assert (row.attention, row.captured) == (Attention.AMOUNT_MISMATCH, 0)
    assert shop.merchants.heard(payment) == ["payment.closed", "payment.attention"]


async def test_late_money_under_a_number_that_is_taken_calls_a_person(shop: Shop) -> None:
    other = await shop.paid(await shop.order())
    order = await shop.order()
    run, payment = await shop.pending(order)
    told = shop.hangs(payment)
    await shop.cancel(run)
    taken = {"provider_reference": other.provider_reference}

    await shop.say(run, notification(report(payment, Outcome.PAID).model_copy(update=taken)))
    told.set()

    ended = await run.result()
    assert (ended.attention, ended.captured) == (Attention.CONTRADICTION, 0)
    row = await shop.row(payment)
    assert (row.attention, row.captured) == (Attention.CONTRADICTION, 0)
    assert shop.provider.refunded(payment.reference) == 0


async def test_sync_while_the_merchant_is_told_answers_what_is_written(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order())
    told = shop.hangs(payment)
    await shop.cancel(run)

    synced = await shop.sync(run)
    told.set()

    assert synced.status is PaymentStatus.CLOSED
    await run.result()
    assert shop.provider.sent("query", payment.reference) == 1


async def test_an_end_that_our_books_refuse_in_one_step_is_not_written_by_another(
    shop: Shop,
) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    shop.outages.script("finalise", payment.id, ReportMismatch("another payment holds it"))
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)

    await shop.flagged(payment, Attention.CONTRADICTION)

    assert (await shop.row(payment)).status is PaymentStatus.PENDING
    await shop.resolve(run, ResolveAction.ACCEPT)
    assert (await run.result()).status is PaymentStatus.SUCCEEDED
