from domain.merchant import LatePolicy
from domain.payment import Payment, PaymentStatus
from domain.report import Attention, Outcome
from tests.workflows.conftest import Shop
from tests.workflows.scripted import Fault, notification, report
from workflows.payment import PaymentOrder


async def test_money_for_a_closed_payment_is_given_back(shop: Shop, eventually) -> None:
    order = await shop.order()
    payment = await _close(shop, order)
    shop.provider.pay(payment.reference)

    late = await (await shop.late(order, payment)).result()

    async def given_back() -> bool:
        return (await shop.row(payment)).refunded == 1999

    assert await eventually(given_back)
    assert late.late
    assert (await shop.row(payment)).status is PaymentStatus.CLOSED
    assert shop.provider.refunded(payment.reference) == 1999


async def test_money_for_a_closed_payment_is_accepted_where_the_merchant_wants_it(
    shop: Shop,
) -> None:
    order = await shop.order(late=LatePolicy.ACCEPT)
    payment = await _close(shop, order)
    shop.provider.pay(payment.reference)

    await (await shop.late(order, payment)).result()

    row = await shop.row(payment)
    assert (row.status, row.late, row.captured) == (PaymentStatus.SUCCEEDED, True, 1999)
    assert shop.merchants.heard(payment) == ["payment.closed", "payment.succeeded"]
    assert shop.provider.refunded(payment.reference) == 0


async def test_a_late_word_that_the_provider_does_not_confirm_changes_nothing(shop: Shop) -> None:
    order = await shop.order()
    payment = await _close(shop, order)

    await (await shop.late(order, payment)).result()

    row = await shop.row(payment)
    assert (row.status, row.captured) == (PaymentStatus.CLOSED, 0)


async def test_a_repeat_for_a_succeeded_payment_changes_nothing(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.paid(order)

    await (await shop.late(order, payment)).result()

    assert shop.merchants.heard(payment) == ["payment.succeeded"]
    assert (await shop.row(payment)).refunded == 0


async def test_late_money_is_given_back_once_however_often_it_is_told(
    shop: Shop, eventually
) -> None:
    order = await shop.order()
    payment = await _close(shop, order)
    shop.provider.pay(payment.reference)

    for _ in range(5):
        await shop.late(order, payment)
    await (await shop.late(order, payment)).result()

    async def given_back() -> bool:
        return (await shop.row(payment)).refunded == 1999

    assert await eventually(given_back)
    assert len(shop.provider.orders[payment.reference].refunds) == 1


async def test_a_late_word_about_another_amount_calls_a_person(shop: Shop) -> None:
    order = await shop.order()
    payment = await _close(shop, order)
    wrong = report(payment, Outcome.PAID, amount=1)
    shop.provider.script("query", payment.reference, Fault(report=wrong))

    await (await shop.late(order, payment, notice=notification(payment, wrong))).result()

    row = await shop.row(payment)
    assert row.attention is Attention.AMOUNT_MISMATCH
    assert row.captured == 0


async def test_a_payment_whose_run_was_ended_by_force_is_put_right(shop: Shop) -> None:
    order = await shop.order()
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    await handle.terminate("an operator's mistake")
    shop.provider.pay(payment.reference)

    await (await shop.late(order, payment)).result()

    assert (await shop.row(payment)).status is PaymentStatus.SUCCEEDED
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def _close(shop: Shop, order: PaymentOrder) -> Payment:
    handle = await shop.start(order)
    await shop.checkout(order)
    await handle.execute_update("cancel", "gone")
    return await handle.result()
