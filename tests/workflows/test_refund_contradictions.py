"""Words about a refund that come after its end, and merchants that listen slowly."""

import asyncio

import pytest

from domain.payment import Payment
from domain.refund import Refund, RefundCause, RefundStatus
from domain.report import Attention, RefundOutcome
from tests.workflows.scripted import notification
from tests.workflows.shop import RefundRun, Shop, eventually


async def telling(
    shop: Shop, state: RefundOutcome, *, cause: RefundCause = RefundCause.REQUESTED
) -> tuple[Payment, Refund, RefundRun, asyncio.Event]:
    """A refund that has ended so, while its merchant does not answer until the event is set."""
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    refund = order.refund.model_copy(update={"cause": cause})
    shop.provider.refund_states[refund.reference] = state
    told = shop.hangs(payment)
    run = await shop.start_refund(order.model_copy(update={"refund": refund}))

    async def being_told() -> bool:
        return len(shop.merchants.heard(payment)) > 1

    await eventually(being_told)
    return payment, refund, run, told


@pytest.mark.parametrize(
    ("ended", "said"),
    [
        (RefundOutcome.FAILED, RefundOutcome.SUCCEEDED),
        (RefundOutcome.SUCCEEDED, RefundOutcome.FAILED),
    ],
)
async def test_a_word_against_the_end_calls_a_person_and_moves_no_money(
    shop: Shop, *, ended: RefundOutcome, said: RefundOutcome
) -> None:
    payment, refund, run, told = await telling(shop, ended)
    before = await shop.row(payment)

    for _ in range(2):
        await shop.say(run, notification(shop.provider.refund_report(refund, said)))

    await shop.refund_flagged(refund, Attention.CONTRADICTION)
    await shop.flagged(payment, Attention.CONTRADICTION)
    told.set()
    result, row = await run.result(), await shop.row(payment)
    assert (result.status, result.attention) == (ended.value, Attention.CONTRADICTION)
    assert (row.refunded, row.refund_reserved) == (before.refunded, before.refund_reserved)
    assert shop.merchants.heard(payment)[2:] == ["payment.attention"] * 2


async def test_a_mismatching_word_after_the_end_calls_a_person(shop: Shop) -> None:
    payment, refund, run, told = await telling(shop, RefundOutcome.SUCCEEDED)
    wrong = shop.provider.refund_report(refund).model_copy(update={"amount": 1})

    await shop.say(run, notification(wrong))

    await shop.refund_flagged(refund, Attention.AMOUNT_MISMATCH)
    told.set()
    await run.result()
    assert (await shop.row(payment)).refunded == 700


@pytest.mark.parametrize(
    "said", [RefundOutcome.SUCCEEDED, RefundOutcome.PENDING, RefundOutcome.ABNORMAL]
)
async def test_a_word_that_agrees_or_says_nothing_calls_nobody(
    shop: Shop, *, said: RefundOutcome
) -> None:
    payment, refund, run, told = await telling(shop, RefundOutcome.SUCCEEDED)

    await shop.say(run, notification(shop.provider.refund_report(refund, said)))
    told.set()

    assert (await run.result()).attention is None
    assert (await shop.row(payment)).attention is None


async def test_a_broken_promise_does_not_wait_for_a_merchant_that_does_not_listen(
    shop: Shop,
) -> None:
    payment, _, run, told = await telling(
        shop, RefundOutcome.FAILED, cause=RefundCause.DUPLICATE_PAYMENT
    )

    await shop.flagged(payment, Attention.REFUND_FAILED)

    told.set()
    assert (await run.result()).status is RefundStatus.FAILED
