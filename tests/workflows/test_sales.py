"""A payment whose goods a store sells: paid by a purchase, and never refunded by us."""

from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError

from domain.merchant import LatePolicy
from domain.payment import PaymentStatus
from domain.purchase import Offer
from domain.report import Attention
from domain.resolution import ResolveAction
from tests.workflows.scripted import Fault
from tests.workflows.selling import bought, paid_report, purchase, renewed, sale, sold, waiting
from tests.workflows.shop import Shop, eventually, refusal
from webhooks.answers import WebhookAnswer


async def test_a_purchase_pays_the_payment_and_is_granted_with_it(shop: Shop) -> None:
    order = await sale(shop)
    found = purchase(order.payment)

    payment = await bought(shop, order, found)

    assert (payment.status, payment.captured) == (PaymentStatus.SUCCEEDED, 1999)
    [entitlement] = await shop.entitlements.list_for_payment(payment.id)
    assert entitlement.transaction_id == found.transaction_id
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_purchase_that_nobody_told_of_is_found_by_asking(shop: Shop) -> None:
    _, run, payment = await waiting(shop)
    report = paid_report(payment, purchase(payment))
    shop.provider.script("query", payment.reference, Fault(report=report))

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert len(await shop.entitlements.list_for_payment(payment.id)) == 1


async def test_a_purchase_found_by_a_query_after_its_refund_is_notified_as_both(shop: Shop) -> None:
    _, run, payment = await waiting(shop)
    found = purchase(payment, revoked_at=payment.created_at)
    report = paid_report(payment, found)
    shop.provider.script("query", payment.reference, Fault(report=report))

    assert (await run.result()).status is PaymentStatus.SUCCEEDED
    assert (await shop.row(payment)).refunded == 1999
    assert shop.merchants.heard(payment) == ["payment.succeeded", "refund.succeeded"]


@pytest.mark.parametrize("policy", list(LatePolicy))
async def test_late_money_that_the_store_had_refunded_is_notified_as_refunded(
    shop: Shop, policy: LatePolicy
) -> None:
    order = await sale(shop, late=policy)
    payment = await shop.closed(order)
    found = purchase(payment, revoked_at=payment.created_at)
    shop.provider.script("query", payment.reference, Fault(report=paid_report(payment, found)))

    late = await shop.late(order, payment, sold(payment, found), policy=order.policy)
    await late.result()

    row = await shop.row(payment)
    assert (row.status, row.captured, row.refunded) == (PaymentStatus.CLOSED, 1999, 1999)
    assert shop.merchants.heard(payment) == ["payment.closed", "refund.succeeded"]


async def test_what_a_person_closes_is_granted_to_nobody(shop: Shop) -> None:
    _, run, payment = await waiting(shop)
    wrong = purchase(payment, product_id="com.shop.gold")
    shop.provider.script("query", payment.reference, Fault(report=paid_report(payment, wrong)))
    await shop.say(run, sold(payment, wrong))
    await shop.flagged(payment, Attention.PRODUCT_MISMATCH)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.resolve(run, ResolveAction.REFUND)
    assert refusal(refused.value) == "not_resolvable"
    closed = await shop.resolve(run, ResolveAction.CLOSE)

    assert (closed.status, closed.captured) == (PaymentStatus.CLOSED, 0)
    assert await shop.entitlements.list_for_payment(payment.id) == []
    await run.result()


async def test_a_purchase_that_paid_another_payment_pays_no_second_one(shop: Shop) -> None:
    first = await sale(shop)
    found = purchase(first.payment)
    await bought(shop, first, found)
    _, run, payment = await waiting(shop)

    await shop.say(run, sold(payment, found))
    await shop.flagged(payment, Attention.CONTRADICTION)
    with pytest.raises(WorkflowUpdateFailedError, match="failed") as refused:
        await shop.resolve(run, ResolveAction.REFUND)
    assert "itself refunds this" in str(refused.value.cause)
    closed = await shop.resolve(run, ResolveAction.CLOSE)

    assert (closed.status, closed.captured) == (PaymentStatus.CLOSED, 0)
    await run.result()
    assert (await shop.entitlements.owners(found)).transaction == first.payment.id


async def test_money_that_comes_late_is_accepted_and_granted(shop: Shop) -> None:
    order = await sale(shop, late=LatePolicy.ACCEPT)
    payment = await shop.closed(order)
    found = purchase(payment)
    shop.provider.script("query", payment.reference, Fault(report=paid_report(payment, found)))

    late = await (
        await shop.late(order, payment, sold(payment, found), policy=order.policy)
    ).result()

    assert (late.status, late.late, late.captured) == (PaymentStatus.SUCCEEDED, True, 1999)
    assert len(await shop.entitlements.list_for_payment(payment.id)) == 1
    assert shop.merchants.heard(payment) == ["payment.closed", "payment.succeeded"]


async def test_money_that_comes_while_the_merchant_is_told_of_the_close_is_granted(
    shop: Shop,
) -> None:
    order, run, payment = await waiting(shop, late=LatePolicy.ACCEPT)
    found = purchase(payment)
    await shop.cancel(run)
    await shop.say(run, sold(payment, found))

    ended = await run.result()
    if not ended.late:
        # The run was over: what comes then is the late run's.
        shop.provider.script("query", payment.reference, Fault(report=paid_report(payment, found)))
        await (await shop.late(order, ended, sold(payment, found), policy=order.policy)).result()

    assert (await shop.row(payment)).status is PaymentStatus.SUCCEEDED
    assert len(await shop.entitlements.list_for_payment(payment.id)) == 1


async def test_a_second_payment_of_an_order_calls_a_person_for_only_the_store_refunds(
    shop: Shop,
) -> None:
    first = await sale(shop)
    second = await sale(shop, again=first)
    run, payment = await shop.pending(second)
    await bought(shop, first, purchase(first.payment))

    await shop.say(run, sold(payment, purchase(payment)))
    ended = await run.result()

    assert ended.duplicate
    assert shop.merchants.heard(payment) == ["payment.succeeded", "payment.attention"]
    assert (await shop.row(payment)).attention is Attention.REFUND_FAILED
    assert await shop.refunds.list_for_payment(payment.id) == []


async def test_a_merchant_that_cannot_deliver_has_a_person_called(shop: Shop) -> None:
    order = await sale(shop)
    shop.merchants.answers[order.payment.id] = [
        WebhookAnswer(status=200, decision="refund", reason="sold out")
    ]

    payment = await bought(shop, order, purchase(order.payment))

    assert shop.merchants.heard(payment) == ["payment.succeeded", "payment.attention"]
    assert (await shop.row(payment)).attention is Attention.REFUND_FAILED
    assert await shop.refunds.list_for_payment(payment.id) == []


@pytest.mark.parametrize(
    ("changes", "attention"),
    [
        ({"offer": Offer.CODE, "price": 990, "currency": "USD"}, Attention.REFUND_FAILED),
        ({"offer": Offer.INTRODUCTORY, "price": 0, "currency": "CNY"}, None),
        ({"test": True, "test_in_production": True, "price": 990, "currency": "USD"}, None),
    ],
    ids=["dollars", "free", "test"],
)
async def test_what_cannot_be_fulfilled_needs_an_operator_where_the_buyer_was_charged(
    shop: Shop, changes: dict[str, Any], attention: Attention | None
) -> None:
    order = await sale(shop)
    shop.merchants.answers[order.payment.id] = [
        WebhookAnswer(status=200, decision="refund", reason="sold out")
    ]

    payment = await bought(shop, order, purchase(order.payment, **changes))

    assert (payment.status, payment.captured) == (PaymentStatus.SUCCEEDED, 0)
    row = await shop.row(payment)
    assert (row.captured, row.attention, row.test) == (0, attention, changes.get("test", False))
    assert (row.store_price, row.store_currency) == (changes["price"], changes["currency"])
    assert row.offer == changes.get("offer")


async def test_the_payment_that_loses_a_subscription_is_sent_an_event(shop: Shop) -> None:
    first = await sale(shop)
    found = purchase(first.payment)
    lost = await bought(shop, first, found)
    second = await sale(shop)
    again = renewed(found).model_copy(update={"token": second.payment.id, "renewal": False})

    kept = await bought(shop, second, again)

    async def notified() -> bool:
        return shop.merchants.heard(lost) == ["payment.succeeded", "entitlement.changed"]

    await eventually(notified)
    assert shop.merchants.heard(kept) == ["payment.succeeded"]


async def test_a_late_purchase_that_takes_a_subscription_over_is_an_event_of_the_one_that_had_it(
    shop: Shop,
) -> None:
    first = await sale(shop)
    found = purchase(first.payment)
    lost = await bought(shop, first, found)
    order = await sale(shop, late=LatePolicy.ACCEPT)
    payment = await shop.closed(order)
    again = renewed(found).model_copy(update={"token": payment.id, "renewal": False})
    shop.provider.script("query", payment.reference, Fault(report=paid_report(payment, again)))

    await (await shop.late(order, payment, sold(payment, again), policy=order.policy)).result()

    assert shop.merchants.heard(lost) == ["payment.succeeded", "entitlement.changed"]
    assert shop.merchants.heard(payment) == ["payment.closed", "payment.succeeded"]
