from typing import Any

import pytest

from domain.identity import automatic_refund_id
from domain.merchant import LatePolicy
from domain.payment import PaymentStatus
from domain.refund import RefundCause
from domain.report import Attention, Outcome, RefundOutcome
from tests.workflows.scripted import Fault, notification, rejected, report, unknown
from tests.workflows.shop import BRISK, Shop
from webhooks.answers import WebhookAnswer


async def test_money_for_a_closed_payment_is_given_back(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)

    late = await (await shop.late(order, payment)).result()

    await shop.refunded(payment, 1999)
    assert late.late
    assert (await shop.row(payment)).status is PaymentStatus.CLOSED
    assert shop.provider.refunded(payment.reference) == 1999


async def test_money_for_a_closed_payment_is_accepted_where_the_merchant_wants_it(
    shop: Shop,
) -> None:
    order = await shop.order(late=LatePolicy.ACCEPT)
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)

    await (await shop.late(order, payment)).result()

    row = await shop.row(payment)
    assert (row.status, row.late, row.captured) == (PaymentStatus.SUCCEEDED, True, 1999)
    assert shop.merchants.heard(payment) == ["payment.closed", "payment.succeeded"]
    assert shop.provider.refunded(payment.reference) == 0


async def test_late_money_that_the_provider_never_confirms_calls_a_person(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.closed(order)

    await (await shop.late(order, payment)).result()

    row = await shop.row(payment)
    assert (row.status, row.captured) == (PaymentStatus.CLOSED, 0)
    assert row.attention is Attention.CONTRADICTION
    assert shop.merchants.heard(payment) == ["payment.closed", "payment.attention"]


async def test_late_money_that_a_lagging_query_does_not_show_at_first_is_found(
    shop: Shop,
) -> None:
    order = await shop.order()
    payment = await shop.closed(order)
    lagging = report(payment, Outcome.CLOSED)
    shop.provider.script("query", payment.reference, Fault(report=lagging))
    shop.provider.pay(payment.reference)

    await (await shop.late(order, payment)).result()

    await shop.refunded(payment, 1999)
    assert (await shop.row(payment)).attention is None


async def test_a_repeat_for_a_succeeded_payment_changes_nothing(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.paid(order)

    await (await shop.late(order, payment)).result()

    assert shop.merchants.heard(payment) == ["payment.succeeded"]
    assert (await shop.row(payment)).refunded == 0


async def test_late_money_is_given_back_once_however_often_it_is_told(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)

    for _ in range(5):
        await shop.late(order, payment)
    await (await shop.late(order, payment)).result()

    await shop.refunded(payment, 1999)
    assert len(shop.provider.orders[payment.reference].refunds) == 1


async def test_a_late_word_about_another_amount_calls_a_person(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.closed(order)
    wrong = report(payment, Outcome.PAID, amount=1)
    shop.provider.script("query", payment.reference, Fault(report=wrong))

    await (await shop.late(order, payment, notification(wrong))).result()

    row = await shop.row(payment)
    assert row.attention is Attention.AMOUNT_MISMATCH
    assert row.captured == 0


async def test_a_payment_whose_run_was_ended_by_force_is_put_right(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    await run.terminate("an operator's mistake")
    shop.provider.pay(payment.reference)

    await (await shop.late(order, payment)).result()

    assert (await shop.row(payment)).status is PaymentStatus.SUCCEEDED
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_duplicate_whose_run_was_ended_by_force_is_given_back(shop: Shop) -> None:
    first = await shop.order()
    second = await shop.order(again=first)
    run, payment = await shop.pending(second)
    await run.terminate("an operator's mistake")
    await shop.paid(first)
    shop.provider.pay(payment.reference)

    await (await shop.late(second, payment)).result()

    await shop.refunded(payment, 1999)
    [refund] = await shop.refunds.list_for_payment(payment.id)
    assert refund.cause is RefundCause.DUPLICATE_PAYMENT


async def test_a_veto_of_a_payment_that_was_put_right_gives_the_money_back(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    await run.terminate("an operator's mistake")
    shop.provider.pay(payment.reference)
    shop.merchants.answers[payment.id] = [WebhookAnswer(status=200, decision="refund")]

    await (await shop.late(order, payment)).result()

    await shop.refunded(payment, 1999)


async def test_a_late_duplicate_is_given_back_even_where_late_money_is_welcome(
    shop: Shop,
) -> None:
    first = await shop.order(late=LatePolicy.ACCEPT)
    second = await shop.order(again=first, late=LatePolicy.ACCEPT)
    payment = await shop.closed(second)
    await shop.paid(first)
    shop.provider.pay(payment.reference)

    await (await shop.late(second, payment)).result()

    await shop.refunded(payment, 1999)
    [refund] = await shop.refunds.list_for_payment(payment.id)
    assert refund.cause is RefundCause.DUPLICATE_PAYMENT


async def test_late_money_that_is_welcome_is_accepted_once(shop: Shop) -> None:
    order = await shop.order(late=LatePolicy.ACCEPT)
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)

    for _ in range(3):
        await (await shop.late(order, payment)).result()

    assert shop.merchants.heard(payment) == ["payment.closed", "payment.succeeded"]


async def test_a_refund_that_nobody_here_asked_for_is_recorded_once(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.paid(order)
    refund = shop.refund_order(payment, 500).refund
    word = notification(shop.provider.refund_report(refund))

    await (await shop.late(order, payment, word, word)).result()
    await (await shop.late(order, payment, word)).result()

    row = await shop.row(payment)
    assert (row.attention, row.refunded, row.refund_reserved) == (None, 500, 0)
    [recorded] = await shop.refunds.list_for_payment(payment.id)
    assert (recorded.cause, recorded.amount) == (RefundCause.PROVIDER, 500)
    assert recorded.provider_reference == refund.reference
    # Both notifications deliver the one event, which may arrive twice where they do so at once.
    sent = {event.id: event.type for event in shop.merchants.told[payment.id]}
    assert list(sent.values()) == ["payment.succeeded", "refund.succeeded"]


@pytest.mark.parametrize(
    "leaves_open",
    [
        {"amount": None},
        {"amount": 2000},
        {"outcome": RefundOutcome.PENDING},
        {"outcome": RefundOutcome.FAILED},
        {"reference": "0" * 32},
        {"mismatch": Attention.ACCOUNT_MISMATCH},
    ],
    ids=["no amount", "more than was paid", "pending", "failed", "another order", "mismatch"],
)
async def test_a_refund_made_without_us_that_leaves_something_open_calls_an_operator(
    shop: Shop, leaves_open: dict[str, Any]
) -> None:
    order = await shop.order()
    payment = await shop.paid(order)
    said = shop.provider.refund_report(shop.refund_order(payment, 500).refund)
    word = notification(said.model_copy(update=leaves_open))

    await (await shop.late(order, payment, word, word)).result()

    row = await shop.row(payment)
    assert (row.attention is not None, row.refunded) == (True, 0)
    assert await shop.refunds.list_for_payment(payment.id) == []
    assert shop.merchants.heard(payment) == ["payment.succeeded", "payment.attention"]


async def test_words_that_come_together_are_answered_together(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)
    refund = shop.refund_order(payment, 500).refund
    paid = notification(report(payment, Outcome.PAID))

    handle = await shop.late(
        order, payment, paid, notification(shop.provider.refund_report(refund)), paid
    )
    await handle.result()

    await shop.refunded(payment, 1999)
    assert (await shop.row(payment)).attention is Attention.EXTERNAL_REFUND


async def test_the_truth_is_asked_for_until_the_provider_says_it(shop: Shop) -> None:
    order = await shop.order(policy=BRISK)
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)
    shop.provider.script("query", payment.reference, Fault(error=unknown()))

    await (await shop.late(order, payment)).result()

    await shop.refunded(payment, 1999)


async def test_a_provider_that_refuses_to_say_is_a_case_for_a_person_and_asked_again(
    shop: Shop,
) -> None:
    order = await shop.order()
    payment = await shop.closed(order)
    shop.provider.script("query", payment.reference, *[Fault(error=rejected("NO_AUTH"))] * 4)
    shop.provider.pay(payment.reference)

    await (await shop.late(order, payment)).result()

    assert shop.merchants.heard(payment)[:2] == ["payment.closed", "payment.attention"]
    await shop.refunded(payment, 1999)
    assert (await shop.row(payment)).attention is None


async def test_late_money_under_a_number_that_is_taken_is_a_case_for_a_person(
    shop: Shop,
) -> None:
    other = await shop.paid(await shop.order())
    order = await shop.order()
    payment = await shop.closed(order)
    taken = report(payment, Outcome.PAID).model_copy(
        update={"provider_reference": other.provider_reference}
    )
    shop.provider.script("query", payment.reference, Fault(report=taken))

    await (await shop.late(order, payment, notification(taken))).result()

    row = await shop.row(payment)
    assert (row.attention, row.captured) == (Attention.CONTRADICTION, 0)


async def test_money_on_its_way_back_is_not_accepted_by_a_later_policy(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)
    await (await shop.late(order, payment)).result()
    await shop.refunded(payment, 1999)
    changed = order.model_copy(update={"late_policy": LatePolicy.ACCEPT})

    await (await shop.late(changed, payment)).result()

    row = await shop.row(payment)
    assert (row.status, row.refunded) == (PaymentStatus.CLOSED, 1999)
    assert "payment.succeeded" not in shop.merchants.heard(payment)


async def test_money_given_back_elsewhere_calls_a_person(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.paid(order)
    told = report(payment, Outcome.PAID).model_copy(update={"refunded": 700})
    shop.provider.script("query", payment.reference, Fault(report=told))

    await (await shop.late(order, payment, notification(told))).result()

    row = await shop.row(payment)
    assert (row.attention, row.refunded) == (Attention.EXTERNAL_REFUND, 0)


async def test_a_refund_that_is_under_way_is_not_started_again(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)
    refund = automatic_refund_id(payment.id, "automatic:late_payment")
    shop.outages.down("reserve", refund)

    for _ in range(2):
        await (await shop.late(order, payment)).result()

    await shop.refunded(payment, 1999)
    assert len(shop.provider.orders[payment.reference].refunds) == 1
