"""A provider whose rule is to confirm by a query: its notification alone never ends a refund."""

import asyncio
from collections.abc import AsyncIterator
from itertools import product

import pytest
from temporalio.testing import WorkflowEnvironment

from domain.payment import Failure, Payment
from domain.refund import RefundStatus
from domain.report import Attention, RefundOutcome
from domain.resolution import Resolution, ResolveAction
from storage.database import Database
from tests.domain.making import refund, refund_report
from tests.security.refunding import ABNORMAL, FAILED, LATER, PENDING, SUCCEEDED, claims, taken
from tests.workflows.scripted import Fault, rejected, unknown
from tests.workflows.shop import RefundRun, Shop
from tests.workflows.stage import open_shop, open_temporal
from workflows.refund import RefundOrder
from workflows.refund_state import RefundState


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    async with open_temporal() as env:
        yield env


@pytest.fixture(scope="module")
async def shop(temporal: WorkflowEnvironment, database: Database) -> AsyncIterator[Shop]:
    async with open_shop(temporal, database) as shop:
        yield shop


# The state alone, without a server


@pytest.mark.parametrize("claims", [*product([SUCCEEDED, FAILED, ABNORMAL, PENDING], repeat=3)])
def test_no_order_of_claims_ever_ends_a_refund(claims: tuple[RefundOutcome, ...]) -> None:
    state = RefundState(refund())

    for outcome in claims:
        state.hear_claim(refund_report(outcome))

    assert (state.refund.status, state.doubt) == (RefundStatus.PENDING, None)
    assert (state.moved, state.to_confirm) == (True, True)


def test_a_claim_of_another_sum_never_counts_as_this_refund() -> None:
    state = RefundState(refund())

    state.hear_claim(refund_report(SUCCEEDED, amount=1))

    assert (state.doubt, state.claimed) == (Attention.AMOUNT_MISMATCH, None)


def test_a_definite_no_never_ends_a_refund_that_is_claimed_to_be_done() -> None:
    state = RefundState(refund())
    state.hear_claim(refund_report(SUCCEEDED))

    state.reject(Failure(code="provider_rejected", message="no"))

    assert (state.refund.status, state.doubt) == (RefundStatus.PENDING, Attention.CONTRADICTION)


def test_a_claim_that_is_queried_again_is_not_forgotten() -> None:
    state = RefundState(refund())
    state.hear_claim(refund_report(SUCCEEDED))
    state.hear(refund_report(FAILED))
    state.resolve(Resolution(action=ResolveAction.ASK_AGAIN, note="test"))

    state.hear(refund_report(FAILED))

    assert (state.refund.status, state.doubt) == (RefundStatus.PENDING, Attention.CONTRADICTION)


@pytest.mark.parametrize("claimed", [SUCCEEDED, PENDING, ABNORMAL])
def test_a_claim_that_agrees_with_the_end_queries_nobody(claimed: RefundOutcome) -> None:
    state = RefundState(refund())
    state.hear_claim(refund_report(SUCCEEDED))
    state.hear(refund_report(SUCCEEDED))
    state.settle(state.refund)

    state.hear_claim(refund_report(claimed))

    assert (state.unsettled, state.take_claim()) == (False, None)


def test_a_claim_against_an_end_that_is_not_stored_yet_waits_for_that() -> None:
    state = RefundState(refund())
    state.hear(refund_report(FAILED))
    state.hear_claim(refund_report(SUCCEEDED))
    assert (state.unsettled, state.take_claim()) == (False, None)

    state.settle(state.refund)

    claimed = state.take_claim()
    assert claimed is not None
    assert claimed.outcome is SUCCEEDED


# While the refund is under way


@pytest.mark.parametrize("outcome", [SUCCEEDED, FAILED])
async def test_a_claim_that_the_query_does_not_confirm_never_moves_money(
    shop: Shop, outcome: RefundOutcome
) -> None:
    payment, order, run = await taken(shop)

    await claims(shop, run, order, outcome)
    # The confirming query, and polls after it.
    await shop.sent("query_refund", order.refund.reference, 3)

    row = await shop.row(payment)
    assert (row.refunded, row.refund_reserved) == (0, 700)
    assert (await shop.refund_row(order.refund)).status is RefundStatus.PENDING
    shop.provider.refund_states[order.refund.reference] = SUCCEEDED
    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert (await shop.row(payment)).refunded == 700
    assert shop.merchants.heard(payment) == ["payment.succeeded", "refund.succeeded"]


async def test_a_claim_that_the_query_confirms_ends_the_refund_by_one_query(shop: Shop) -> None:
    payment, order, run = await taken(shop)
    shop.provider.refund_states[order.refund.reference] = SUCCEEDED

    await claims(shop, run, order, SUCCEEDED)

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert shop.provider.sent("query_refund", order.refund.reference) == 1
    assert (await shop.row(payment)).refunded == 700


async def test_a_claimed_failure_never_frees_money_that_was_given_back(shop: Shop) -> None:
    payment, order, run = await taken(shop)
    shop.provider.refund_states[order.refund.reference] = SUCCEEDED

    await claims(shop, run, order, FAILED)

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    row = await shop.row(payment)
    assert (row.refunded, row.refund_reserved) == (700, 0)


async def denied(shop: Shop) -> tuple[Payment, RefundOrder, RefundRun]:
    """A refund that a notification calls done and the query failed."""
    payment, order, run = await taken(shop)
    shop.provider.refund_states[order.refund.reference] = FAILED
    await claims(shop, run, order, SUCCEEDED)
    await shop.refund_flagged(order.refund, Attention.CONTRADICTION)
    return payment, order, run


@pytest.mark.parametrize(
    ("action", "status", "refunded"),
    [
        (ResolveAction.ACCEPT, RefundStatus.SUCCEEDED, 700),
        (ResolveAction.CLOSE, RefundStatus.FAILED, 0),
    ],
)
async def test_success_that_is_claimed_and_denied_never_ends_without_an_operator(
    shop: Shop, *, action: ResolveAction, status: RefundStatus, refunded: int
) -> None:
    payment, order, run = await denied(shop)
    held = await shop.row(payment)
    assert (held.refunded, held.refund_reserved) == (0, 700)
    assert (await shop.refund_row(order.refund)).status is RefundStatus.PENDING

    assert (await shop.resolve_refund(run, action)).status is status

    await run.result()
    row = await shop.row(payment)
    assert (row.refunded, row.refund_reserved) == (refunded, 0)


async def test_a_repeat_of_a_denied_claim_is_queried_again(shop: Shop) -> None:
    payment, order, run = await denied(shop)
    await claims(shop, run, order, SUCCEEDED)
    await shop.sent("query_refund", order.refund.reference, 2)
    assert (await shop.refund_row(order.refund)).attention is Attention.CONTRADICTION

    shop.provider.refund_states[order.refund.reference] = SUCCEEDED
    await claims(shop, run, order, SUCCEEDED)

    ended = await run.result()
    assert (ended.status, ended.attention) == (RefundStatus.SUCCEEDED, None)
    assert (await shop.row(payment)).refunded == 700
    heard = shop.merchants.heard(payment)
    assert heard == ["payment.succeeded", "payment.attention", "refund.succeeded"]


async def test_a_confirming_query_that_fails_never_loses_the_claim(shop: Shop) -> None:
    payment, order, run = await taken(shop)
    no_answer = [Fault(error=unknown())] * 2
    shop.provider.script("query_refund", order.refund.reference, *no_answer)
    shop.provider.refund_states[order.refund.reference] = FAILED

    await claims(shop, run, order, SUCCEEDED)

    await shop.refund_flagged(order.refund, Attention.CONTRADICTION)
    assert (await shop.row(payment)).refund_reserved == 700
    await run.terminate("the test is over")


async def test_a_confirming_query_without_an_answer_is_followed_by_polling(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    # Refused for good: the query gives up at once, the poll does not.
    shop.provider.refund_states[order.refund.reference] = PENDING
    patient = order.policy.model_copy(update={"grace": LATER})
    run = await shop.start_refund(order.model_copy(update={"policy": patient}))
    await run.execute_update("submitted", order.refund.request_hash)
    shop.provider.script("query_refund", order.refund.reference, Fault(error=rejected("NO_AUTH")))
    shop.provider.refund_states[order.refund.reference] = SUCCEEDED

    await claims(shop, run, order, SUCCEEDED)

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert shop.provider.sent("query_refund", order.refund.reference) == 2


async def test_a_claim_during_the_submission_never_sends_the_money_twice(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    reference, sending = order.refund.reference, asyncio.Event()
    lost, slow = Fault(error=unknown()), Fault(error=unknown(), gate=sending, executed=True)
    shop.provider.script("refund", reference, lost, slow)
    run = await shop.start_refund(order)
    await shop.sent("refund", reference, 2)

    await claims(shop, run, order, SUCCEEDED)
    sending.set()

    assert (await run.result()).status is RefundStatus.SUCCEEDED
    assert shop.provider.orders[payment.reference].refunds == {reference: 700}
    assert (await shop.row(payment)).refunded == 700


async def test_a_claimed_refund_that_is_rejected_again_and_again_waits_for_an_operator(
    shop: Shop,
) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    reference, sending = order.refund.reference, asyncio.Event()
    refused = Fault(error=rejected(), gate=sending)
    shop.provider.script("refund", reference, Fault(error=unknown()), *[refused] * 3)
    run = await shop.start_refund(order)
    await shop.sent("refund", reference, 2)

    await claims(shop, run, order, SUCCEEDED)
    sending.set()

    await shop.refund_flagged(order.refund, Attention.CONTRADICTION)
    assert (await shop.row(payment)).refund_reserved == 700
    assert (await shop.resolve_refund(run, ResolveAction.CLOSE)).status is RefundStatus.FAILED
    await run.result()
    assert (await shop.row(payment)).refund_reserved == 0
