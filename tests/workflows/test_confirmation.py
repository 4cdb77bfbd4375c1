"""A provider whose notification is believed only once a query has said the same."""

from collections.abc import Awaitable, Callable

from temporalio.client import WorkflowUpdateStage

from domain.errors import ProviderUnavailable
from domain.payment import PaymentStatus
from domain.report import Attention, Outcome
from domain.resolution import Resolution, ResolveAction
from tests.workflows.conftest import Shop
from tests.workflows.scripted import Fault, notification, report, unknown
from workflows.payment import PaymentOrder, PaymentWorkflow

Eventually = Callable[[Callable[[], Awaitable[bool]]], Awaitable[bool]]


async def confirmed_order(shop: Shop, expires_in: float = 900) -> PaymentOrder:
    order = await shop.order(expires_in=expires_in)
    return order.model_copy(update={"policy": order.policy.model_copy(update={"confirm": True})})


async def test_a_notification_is_confirmed_by_one_query(shop: Shop) -> None:
    order = await confirmed_order(shop)
    payment = await shop.paid(order)

    assert payment.status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("query", payment.reference) == 1
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_notification_that_the_query_does_not_confirm_pays_nothing(shop: Shop) -> None:
    order = await confirmed_order(shop)
    handle = await shop.start(order)
    payment = await shop.checkout(order)

    await shop.notify(handle, order)
    _ = await handle.execute_update(PaymentWorkflow.sync)
    assert (await shop.row(payment)).status is PaymentStatus.PENDING
    shop.provider.pay(payment.reference)
    await shop.env.fast_forward(handle, 60)

    assert (await handle.result()).status is PaymentStatus.SUCCEEDED
    assert (await shop.row(payment)).captured == payment.amount


async def test_a_query_that_fails_is_asked_again_until_it_confirms(shop: Shop) -> None:
    order = await confirmed_order(shop)
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    shop.provider.script("query", payment.reference, Fault(error=unknown()), Fault(error=unknown()))

    shop.provider.pay(payment.reference)
    await shop.notify(handle, order)
    await shop.env.fast_forward(handle, 60)

    assert (await handle.result()).status is PaymentStatus.SUCCEEDED


async def test_money_that_was_told_and_never_confirmed_calls_a_person_at_the_end(
    shop: Shop, eventually: Eventually
) -> None:
    order = await confirmed_order(shop, expires_in=120)
    handle = await shop.start(order)
    payment = await shop.checkout(order)

    await shop.notify(handle, order)
    await shop.env.fast_forward(handle, 200)

    async def flagged() -> bool:
        return (await shop.row(payment)).attention is Attention.CONTRADICTION

    await eventually(flagged)
    decision = Resolution(action=ResolveAction.CLOSE, note="nothing arrived, says the bank")
    _ = await handle.execute_update(PaymentWorkflow.resolve, decision)
    ended = await handle.result()
    assert (ended.status, ended.captured) == (PaymentStatus.CLOSED, 0)


async def test_a_repeated_notification_is_asked_about_once_more_and_changes_nothing(
    shop: Shop,
) -> None:
    order = await confirmed_order(shop)
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    shop.provider.pay(payment.reference)
    for _ in range(5):
        await shop.notify(handle, order)

    assert (await handle.result()).status is PaymentStatus.SUCCEEDED
    assert (await shop.row(payment)).captured == payment.amount
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_a_notification_of_another_sum_parks_the_payment_at_once(
    shop: Shop, eventually: Eventually
) -> None:
    order = await confirmed_order(shop)
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    shop.provider.script("query", payment.reference, Fault(report=report(payment, Outcome.PAID, 1)))

    await shop.notify(handle, order, amount=1)

    async def flagged() -> bool:
        return (await shop.row(payment)).attention is Attention.AMOUNT_MISMATCH

    await eventually(flagged)
    assert (await shop.row(payment)).captured == 0
    await handle.terminate("the test is over")


async def test_a_failure_that_is_told_is_believed_by_the_query_alone(shop: Shop) -> None:
    order = await confirmed_order(shop)
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    shop.provider.pay(payment.reference)

    told = notification(payment, report(payment, Outcome.FAILED))
    await handle.signal(PaymentWorkflow.notify, told)

    assert (await handle.result()).status is PaymentStatus.SUCCEEDED


def no_close_for(seconds: float) -> Fault:
    return Fault(
        error=ProviderUnavailable("no close exists", provider="scripted", retry_after=seconds)
    )


async def test_a_cancelled_order_that_nobody_can_close_ends_with_its_time(shop: Shop) -> None:
    order = await confirmed_order(shop, expires_in=120)
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    shop.provider.script("close", payment.reference, no_close_for(150))

    await handle.start_update(
        PaymentWorkflow.cancel, "no longer wanted", wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )
    await shop.env.fast_forward(handle, 200)

    ended = await handle.result()
    assert (ended.status, ended.attention) == (PaymentStatus.CLOSED, None)
    assert shop.provider.sent("close", payment.reference) == 2


async def test_a_payer_who_pays_while_a_cancelled_order_waits_has_paid(
    shop: Shop, eventually: Eventually
) -> None:
    order = await confirmed_order(shop)
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    shop.provider.script("close", payment.reference, no_close_for(930))
    await handle.start_update(
        PaymentWorkflow.cancel, "no longer wanted", wait_for_stage=WorkflowUpdateStage.ACCEPTED
    )

    async def closing() -> bool:
        return shop.provider.sent("close", payment.reference) == 1

    await eventually(closing)
    shop.provider.pay(payment.reference)
    await shop.notify(handle, order)

    assert (await handle.result()).status is PaymentStatus.SUCCEEDED
    assert shop.merchants.heard(payment) == ["payment.succeeded"]
