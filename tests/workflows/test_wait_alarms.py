"""Whatever waits has a limit: an operator is called once, and the wait goes on."""

from datetime import timedelta
from typing import Any

import pytest

from activities.sweep import OVERDUE_REFUND
from domain.payment import Channel, Payment
from domain.refund import Refund, RefundStatus
from domain.report import Attention, RefundOutcome
from domain.resolution import ResolveAction
from domain.store_change import Change
from providers.alipay import mapping as alipay
from providers.base import ChannelRules
from providers.unionpay import mapping as unionpay
from tests.workflows import selling
from tests.workflows.scripted import claim
from tests.workflows.shop import BRISK, RefundRun, Shop, eventually
from tests.workflows.test_owed_refunds import end, owed_run, vetoed_while_all_is_held
from workflows.policies import payment_policy, refund_policy, store_policy
from workflows.refund import RefundOrder


async def pending_refund(
    shop: Shop, state: RefundOutcome = RefundOutcome.PENDING
) -> tuple[Payment, Refund, RefundRun]:
    """A refund that the provider takes and then reports in this state."""
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    shop.provider.refund_states[order.refund.reference] = state
    run = await shop.start_refund(_limited(order))
    return payment, order.refund, run


def _limited(order: RefundOrder) -> RefundOrder:
    policy = order.policy.model_copy(update={"final_within": 1})
    return order.model_copy(update={"policy": policy})


async def test_a_refund_that_stays_pending_calls_an_operator_once_and_is_queried_on(
    shop: Shop,
) -> None:
    payment, refund, run = await pending_refund(shop)

    await shop.refund_flagged(refund, Attention.OUTCOME_UNKNOWN)

    queried = shop.provider.sent("query_refund", refund.reference)
    await shop.sent("query_refund", refund.reference, queried + 3)
    row = await shop.row(payment)
    assert (row.refund_reserved, row.refunded) == (700, 0)
    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED
    ended = await run.result()
    assert (ended.status, ended.attention) == (RefundStatus.SUCCEEDED, None)
    assert (await shop.refund_row(refund)).attention is None
    assert shop.provider.refunded(payment.reference) == 700
    heard = shop.merchants.heard(payment)
    assert heard == ["payment.succeeded", "payment.attention", "refund.succeeded"]


async def test_a_refund_that_stays_pending_is_ended_by_an_operator(shop: Shop) -> None:
    payment, refund, run = await pending_refund(shop)
    await shop.refund_flagged(refund, Attention.OUTCOME_UNKNOWN)

    await shop.resolve_refund(run, ResolveAction.CLOSE)

    assert (await run.result()).status is RefundStatus.FAILED
    row = await shop.row(payment)
    assert (row.refund_reserved, row.refunded, row.refundable) == (0, 0, 1999)


async def test_a_refund_that_an_operator_has_queried_again_needs_no_operator_any_more(
    shop: Shop,
) -> None:
    _, refund, run = await pending_refund(shop)
    await shop.refund_flagged(refund, Attention.OUTCOME_UNKNOWN)

    resolved = await shop.resolve_refund(run, ResolveAction.ASK_AGAIN)

    assert resolved.attention is None
    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED
    assert (await run.result()).attention is None


async def test_an_alarm_does_not_hide_what_an_operator_is_called_for_already(shop: Shop) -> None:
    _, refund, run = await pending_refund(shop, RefundOutcome.ABNORMAL)
    await shop.refund_flagged(refund, Attention.REFUND_ABNORMAL)
    queried = shop.provider.sent("query_refund", refund.reference)

    await shop.sent("query_refund", refund.reference, queried + 3)

    assert (await shop.refund_row(refund)).attention is Attention.REFUND_ABNORMAL
    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED
    await run.result()


HASTY = refund_policy().model_copy(update={"alarm_after": 1, "ledger_slow": BRISK.ledger_slow})


async def test_an_automatic_refund_that_waits_for_others_calls_an_operator(shop: Shop) -> None:
    payment, held = await vetoed_while_all_is_held(shop, HASTY)

    await shop.flagged(payment, Attention.OUTCOME_UNKNOWN)

    await end(shop, held, RefundStatus.FAILED)
    assert (await owed_run(shop, payment).result()).status is RefundStatus.SUCCEEDED
    await shop.refunded(payment, 1999)
    assert (await shop.row(payment)).attention is None


async def test_a_stores_change_that_waits_for_its_payment_calls_an_operator_and_is_applied(
    shop: Shop,
) -> None:
    _, run, payment = await selling.waiting(shop)
    found = selling.purchase(payment)
    changes = [
        selling.word(payment, Change.REFUNDED, found, days=40),
        selling.word(payment, Change.RENEWED, selling.renewed(found)),
    ]
    policy = selling.WORDS.model_copy(update={"alarm_after": 1})
    telling = await selling.tell(shop, payment, *changes, policy=policy)

    await shop.flagged(payment, Attention.OUTCOME_UNKNOWN)

    await shop.say(run, selling.sold(payment, found))
    await run.result()
    await telling.result()
    row = await shop.row(payment)
    assert (row.refunded, row.attention) == (payment.amount, None)


@pytest.mark.parametrize("channel", list(Channel))
def test_every_wait_for_a_provider_a_payment_or_a_store_has_a_limit(channel: Channel) -> None:
    assert payment_policy(channel).alarm_after <= 3600
    assert store_policy().alarm_after is not None
    refunds = refund_policy()
    assert refunds.alarm_after <= 3600
    assert refunds.final_within is not None
    assert timedelta(seconds=refunds.final_within) < OVERDUE_REFUND


@pytest.mark.parametrize("plans", [alipay.PLANS, unionpay.PLANS], ids=["alipay", "unionpay"])
def test_a_provider_that_knows_sooner_is_not_waited_for_so_long(plans: Any) -> None:
    for plan in plans.values():
        assert plan.rules.refund_final_within < ChannelRules().refund_final_within


async def test_an_alarm_stays_until_the_last_change_that_waited_is_applied(shop: Shop) -> None:
    _, run, payment = await selling.waiting(shop)
    found = selling.purchase(payment)
    changes = [selling.word(payment, Change.REFUNDED, found, days=days) for days in (40, 41)]
    policy = selling.WORDS.model_copy(update={"alarm_after": 1})
    telling = await selling.tell(shop, payment, *changes, policy=policy)

    async def both_called() -> bool:
        events = await shop.events.list_for_merchant(payment.merchant_id)
        return len([event for event in events.items if event.type == "payment.attention"]) == 2

    await eventually(both_called)

    await shop.say(run, selling.sold(payment, found))
    await run.result()
    await telling.result()
    assert (await shop.row(payment)).attention is None


async def test_a_notification_between_queries_does_not_put_the_alarm_off(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = _limited(shop.refund_order(payment, 700))
    refund = order.refund
    shop.provider.refund_states[refund.reference] = RefundOutcome.PENDING
    run = await shop.start_refund(order)
    await shop.sent("query_refund", refund.reference)

    said = shop.provider.refund_report(refund, RefundOutcome.SUCCEEDED)
    await shop.say(run, claim(said))

    await shop.refund_flagged(refund, Attention.OUTCOME_UNKNOWN)
    shop.provider.refund_states[refund.reference] = RefundOutcome.SUCCEEDED
    assert (await run.result()).status is RefundStatus.SUCCEEDED
