"""A provider whose rule is to confirm by a query: its notification alone never ends a refund."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from itertools import product

import pytest
from temporalio.testing import WorkflowEnvironment

from domain.payment import Failure, Payment
from domain.refund import RefundStatus
from domain.report import Attention, RefundOutcome
from domain.resolution import Resolution, ResolveAction
from storage.database import Database
from tests.api.house import House, ProviderSide, eventually
from tests.domain.making import refund, refund_report
from tests.workflows.scripted import Fault, claim, rejected, unknown
from tests.workflows.shop import RefundRun, Shop
from tests.workflows.stage import open_shop, open_temporal
from workflows.refund import RefundOrder
from workflows.refund_state import RefundState

SUCCEEDED, FAILED = RefundOutcome.SUCCEEDED, RefundOutcome.FAILED
PENDING, ABNORMAL = RefundOutcome.PENDING, RefundOutcome.ABNORMAL
LATER = 60.0


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


def test_a_claim_that_is_asked_about_again_is_not_forgotten() -> None:
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


async def taken(shop: Shop) -> tuple[Payment, RefundOrder, RefundRun]:
    """A refund of 700 that the provider has accepted and not done; it is not polled soon."""
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    patient = order.policy.model_copy(update={"grace": LATER})
    order = order.model_copy(update={"policy": patient})
    shop.provider.refund_states[order.refund.reference] = PENDING
    run = await shop.start_refund(order)
    await run.execute_update("submitted", order.refund.request_hash)
    return payment, order, run


async def claims(shop: Shop, run: RefundRun, order: RefundOrder, outcome: RefundOutcome) -> None:
    await shop.say(run, claim(shop.provider.refund_report(order.refund, outcome)))


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


async def test_a_claimed_refund_that_is_refused_again_and_again_waits_for_an_operator(
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


# After the end


async def ended(
    shop: Shop, outcome: RefundOutcome
) -> tuple[Payment, RefundOrder, RefundRun, asyncio.Event]:
    """A refund that has ended so; its workflow lives until the merchant answers."""
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    shop.provider.refund_states[order.refund.reference] = outcome
    told = shop.hangs(payment)
    run = await shop.start_refund(order)

    async def delivering() -> bool:
        return len(shop.merchants.heard(payment)) > 1

    await eventually(delivering)
    return payment, order, run, told


async def test_a_claimed_failure_after_the_end_never_alarms_where_the_query_denies_it(
    shop: Shop,
) -> None:
    payment, order, run, told = await ended(shop, SUCCEEDED)

    await claims(shop, run, order, FAILED)
    await shop.sent("query_refund", order.refund.reference)
    told.set()

    assert (await run.result()).attention is None
    row = await shop.row(payment)
    assert (row.refunded, row.attention) == (700, None)


@pytest.mark.parametrize("answer", [SUCCEEDED, FAILED, PENDING])
async def test_a_claimed_success_after_a_failure_never_goes_unseen(
    shop: Shop, answer: RefundOutcome
) -> None:
    payment, order, run, told = await ended(shop, FAILED)
    before = await shop.row(payment)
    shop.provider.script("query_refund", order.refund.reference, Fault(error=rejected("NO_AUTH")))
    shop.provider.refund_states[order.refund.reference] = answer

    await claims(shop, run, order, SUCCEEDED)

    await shop.refund_flagged(order.refund, Attention.CONTRADICTION)
    await shop.flagged(payment, Attention.CONTRADICTION)
    assert shop.provider.sent("query_refund", order.refund.reference) >= 2
    told.set()
    await run.result()
    row = await shop.row(payment)
    assert (row.refunded, row.refund_reserved) == (before.refunded, before.refund_reserved)


@pytest.mark.parametrize(
    ("stored", "claimed", "answer", "attention"),
    [
        (SUCCEEDED, FAILED, SUCCEEDED, None),
        (SUCCEEDED, FAILED, FAILED, Attention.EXTERNAL_REFUND),
        (FAILED, SUCCEEDED, SUCCEEDED, Attention.EXTERNAL_REFUND),
        (FAILED, SUCCEEDED, FAILED, Attention.CONTRADICTION),
    ],
)
async def test_a_claim_after_the_workflow_never_counts_before_the_query(
    shop: Shop,
    *,
    stored: RefundOutcome,
    claimed: RefundOutcome,
    answer: RefundOutcome,
    attention: Attention | None,
) -> None:
    payment_order = await shop.order()
    payment = await shop.paid(payment_order)
    order = shop.refund_order(payment, 700)
    shop.provider.refund_states[order.refund.reference] = stored
    await (await shop.start_refund(order)).result()
    before = await shop.row(payment)
    shop.provider.refund_states[order.refund.reference] = answer

    said = claim(shop.provider.refund_report(order.refund, claimed))
    await (await shop.late(payment_order, payment, said)).result()

    row = await shop.row(payment)
    assert row.attention is attention
    assert (row.refunded, row.refund_reserved) == (before.refunded, before.refund_reserved)
    assert shop.provider.sent("query_refund", order.refund.reference) >= 1


@pytest.mark.parametrize("reference", [None, "made-at-the-console"])
async def test_a_refund_that_nobody_here_made_never_stays_unseen(
    shop: Shop, reference: str | None
) -> None:
    payment_order = await shop.order()
    payment = await shop.paid(payment_order)
    report = shop.provider.refund_report(shop.refund_order(payment, 500).refund)
    report = report.model_copy(update={"refund_reference": reference or report.refund_reference})

    await (await shop.late(payment_order, payment, claim(report))).result()

    row = await shop.row(payment)
    assert (row.attention, row.refunded) == (Attention.EXTERNAL_REFUND, 0)


async def test_a_late_claim_of_another_sum_never_goes_unseen(shop: Shop) -> None:
    payment_order = await shop.order()
    payment = await shop.paid(payment_order)
    order = shop.refund_order(payment, 700)
    await (await shop.start_refund(order)).result()
    wrong = shop.provider.refund_report(order.refund).model_copy(update={"amount": 1})

    await (await shop.late(payment_order, payment, claim(wrong))).result()

    assert (await shop.row(payment)).attention is Attention.AMOUNT_MISMATCH


# The whole way from UnionPay's signed form


async def test_unionpays_signed_success_never_books_a_refund_that_its_query_calls_failed(
    house: House, provider: ProviderSide
) -> None:
    merchant = await house.shop()
    made = await merchant.pending(provider="unionpay", account="main", channel="app")
    await provider.pay(made)
    await provider.notify(made)
    await merchant.reaches(made, "succeeded")
    unionpay = replace(provider, provider="unionpay")
    await unionpay.fault("refund", "refund_status", then="PROCESSING")
    refunding = (await merchant.refund(made, "r1", amount=700)).json()
    reference = refunding["id"].replace("-", "")
    await unionpay.fault("notify", "resp_code", code="00")

    named = {"provider": "unionpay", "refund_reference": reference, "status": "CLOSED"}
    done = await provider.control.post("/_sandbox/refunds/complete", json=named)
    assert done.status_code == 200, done.text

    async def flagged() -> bool:
        answer = await merchant.http.get(f"/v1/refunds/{refunding['id']}")
        assert answer.json()["status"] == "pending"
        return bool(answer.json()["attention"] == "contradiction")

    await eventually(flagged)
    found = await merchant.read(made)
    assert (found["refunded"], found["refund_reserved"]) == (0, 700)
