"""What a notification claims of a refund that has ended never counts before a query."""

from collections.abc import AsyncIterator
from dataclasses import replace

import pytest
from temporalio.testing import WorkflowEnvironment

from domain.report import Attention, RefundOutcome
from storage.database import Database
from tests.api.house import House, ProviderSide, eventually
from tests.security.refunding import FAILED, PENDING, SUCCEEDED, claims, ended
from tests.workflows.scripted import Fault, claim, rejected
from tests.workflows.shop import Shop
from tests.workflows.stage import open_shop, open_temporal


@pytest.fixture(scope="module")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    async with open_temporal() as env:
        yield env


@pytest.fixture(scope="module")
async def shop(temporal: WorkflowEnvironment, database: Database) -> AsyncIterator[Shop]:
    async with open_shop(temporal, database) as shop:
        yield shop


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


async def test_unionpays_signed_success_never_records_a_refund_that_its_query_calls_failed(
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
