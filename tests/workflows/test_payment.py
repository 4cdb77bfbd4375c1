import pytest
from temporalio.client import WorkflowFailureError, WorkflowUpdateFailedError

from domain.payment import Channel, PaymentStatus
from domain.report import Attention, Outcome
from domain.resolution import Resolution, ResolveAction
from tests.workflows.conftest import Shop
from tests.workflows.scripted import Fault, Order, rejected, report, unknown
from workflows.payment import PaymentWorkflow


async def test_a_notified_payment_succeeds_and_the_merchant_hears_it_once(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.paid(order)

    assert payment.status is PaymentStatus.SUCCEEDED
    assert (await shop.row(payment)).captured == 1999
    assert shop.merchants.heard(payment) == ["payment.succeeded"]
    assert shop.provider.sent("query", payment.reference) == 0


async def test_the_checkout_is_answered_before_the_payer_pays(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.checkout(order)

    assert payment.checkout is not None
    assert payment.checkout.value == f"qr:{payment.reference}"
    assert payment.status is PaymentStatus.PENDING
    assert (await shop.row(payment)).checkout == payment.checkout


async def test_a_repeated_create_makes_one_provider_order(shop: Shop) -> None:
    order = await shop.order()
    first = await shop.checkout(order)
    second = await shop.checkout(order)

    assert first == second
    assert shop.provider.sent("create", first.reference) == 1


async def test_another_body_under_the_same_key_is_refused(shop: Shop) -> None:
    order = await shop.order()
    await shop.checkout(order)
    other = order.model_copy(
        update={"payment": order.payment.model_copy(update={"request_hash": "other"})}
    )

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.checkout(other)

    assert refused.value.cause.type == "idempotency_key_reused"


async def test_a_silent_provider_is_asked_and_the_payment_found(shop: Shop) -> None:
    order = await shop.order()
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    shop.provider.pay(payment.reference)

    await shop.env.fast_forward(handle, 60)

    assert (await handle.result()).status is PaymentStatus.SUCCEEDED
    assert shop.merchants.heard(payment) == ["payment.succeeded"]


async def test_an_unpaid_payment_is_closed_at_the_provider_too(shop: Shop) -> None:
    order = await shop.order(expires_in=120)
    handle = await shop.start(order)
    payment = await shop.checkout(order)

    await shop.env.fast_forward(handle, 200)

    assert (await handle.result()).status is PaymentStatus.CLOSED
    assert shop.provider.orders[payment.reference].state is Outcome.CLOSED
    assert shop.merchants.heard(payment) == ["payment.closed"]


async def test_paid_in_the_last_moment_wins_over_the_expiry(shop: Shop) -> None:
    order = await shop.order(expires_in=120)
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    shop.provider.script("query", payment.reference, *[Fault(error=unknown())] * 6)
    shop.provider.pay(payment.reference)

    await shop.env.fast_forward(handle, 200)

    assert (await handle.result()).status is PaymentStatus.SUCCEEDED


async def test_a_rejected_order_fails_by_the_providers_own_word(shop: Shop) -> None:
    order = await shop.order()
    shop.provider.script("create", order.payment.reference, Fault(error=rejected("TOTAL_FEE")))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.FAILED
    assert payment.failure is not None
    assert payment.failure.provider_code == "TOTAL_FEE"
    assert (await shop.row(payment)).status is PaymentStatus.FAILED


async def test_a_rejection_after_a_lost_success_is_not_believed(shop: Shop) -> None:
    order = await shop.order(channel=Channel.BARCODE)
    reference = order.payment.reference
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)
    shop.provider.script("create", reference, Fault(error=rejected("AUTH_CODE_USED")))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.SUCCEEDED


async def test_a_lost_answer_is_asked_about_before_the_order_is_sent_again(shop: Shop) -> None:
    order = await shop.order(channel=Channel.BARCODE)
    reference = order.payment.reference
    shop.provider.script("create", reference, Fault(error=unknown(), executed=True))
    shop.provider.orders[reference] = Order(order.payment.amount, Outcome.PAID)

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("create", reference) == 1


async def test_an_order_that_never_arrived_is_sent_again_with_the_same_reference(
    shop: Shop,
) -> None:
    order = await shop.order()
    reference = order.payment.reference
    shop.provider.script("create", reference, Fault(error=unknown()))

    payment = await shop.checkout(order)

    assert payment.checkout is not None
    assert payment.checkout.value == f"qr:{reference}"
    assert shop.provider.sent("create", reference) == 2


async def test_a_hanging_provider_leaves_the_payment_pending(shop: Shop) -> None:
    order = await shop.order(expires_in=120)
    reference = order.payment.reference
    shop.provider.script("create", reference, Fault(hang=True))

    payment = await shop.checkout(order)

    assert payment.status is PaymentStatus.PENDING
    assert payment.checkout is not None


async def test_a_notification_with_another_amount_parks_the_payment(shop: Shop) -> None:
    order = await shop.order()
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    wrong = report(payment, Outcome.PAID, amount=1)
    shop.provider.script("query", payment.reference, Fault(report=wrong))

    await shop.notify(handle, order, amount=1)
    result = await handle.execute_update(
        PaymentWorkflow.resolve,
        Resolution(action=ResolveAction.CLOSE, note="test"),
    ) if await _parked(shop, payment) else None

    assert result is not None
    ended = await handle.result()
    assert ended.status is PaymentStatus.CLOSED
    assert ended.captured == 0
    assert shop.merchants.heard(payment) == ["payment.attention", "payment.closed"]


async def test_a_mismatch_that_the_provider_denies_does_not_hold_the_payment_up(
    shop: Shop,
) -> None:
    order = await shop.order()
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    shop.provider.pay(payment.reference)

    await shop.notify(handle, order, amount=1)

    ended = await handle.result()
    assert ended.status is PaymentStatus.SUCCEEDED
    assert ended.captured == 1999
    assert ended.attention is None
    assert shop.merchants.heard(payment) == ["payment.attention", "payment.succeeded"]


async def test_a_parked_payment_can_be_given_back(shop: Shop, eventually) -> None:
    order = await shop.order()
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    wrong = report(payment, Outcome.PAID, amount=500)
    shop.provider.script("query", payment.reference, Fault(report=wrong))
    await shop.notify(handle, order, amount=500)
    assert await _parked(shop, payment)

    await handle.execute_update(
        PaymentWorkflow.resolve, Resolution(action=ResolveAction.REFUND, note="wrong amount")
    )
    await handle.result()

    async def given_back() -> bool:
        return (await shop.row(payment)).refunded == 500

    assert await eventually(given_back)


async def test_a_cancelled_payment_is_closed_at_the_provider(shop: Shop) -> None:
    order = await shop.order()
    handle = await shop.start(order)
    payment = await shop.checkout(order)

    cancelled = await handle.execute_update(PaymentWorkflow.cancel, "the customer left")

    assert cancelled.status is PaymentStatus.CLOSED
    assert shop.provider.orders[payment.reference].state is Outcome.CLOSED


async def test_a_payment_that_was_paid_already_wins_over_its_cancellation(shop: Shop) -> None:
    order = await shop.order()
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    shop.provider.pay(payment.reference)

    cancelled = await handle.execute_update(PaymentWorkflow.cancel, "too late")

    assert cancelled.status is PaymentStatus.SUCCEEDED


async def test_sync_finds_a_payment_at_once(shop: Shop) -> None:
    order = await shop.order()
    handle = await shop.start(order)
    payment = await shop.checkout(order)
    shop.provider.pay(payment.reference)

    assert (await handle.execute_update(PaymentWorkflow.sync)).status is PaymentStatus.SUCCEEDED


async def test_nothing_to_resolve_is_said_clearly(shop: Shop) -> None:
    order = await shop.order()
    handle = await shop.start(order)
    await shop.checkout(order)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await handle.execute_update(
            PaymentWorkflow.resolve, Resolution(action=ResolveAction.CLOSE, note="test")
        )

    assert refused.value.cause.type == "not_resolvable"


async def test_the_second_payment_of_an_order_is_given_back(shop: Shop, eventually) -> None:
    first = await shop.order()
    second = await shop.order(
        merchant_id=first.payment.merchant_id, order_no=first.payment.order_no
    )
    await shop.checkout(second)
    await shop.paid(first)
    shop.provider.pay(second.payment.reference)
    handle = shop.handle(second)
    await shop.notify(handle, second)

    ended = await handle.result()

    assert ended.duplicate

    async def given_back() -> bool:
        return (await shop.row(second.payment)).refunded == 1999

    assert await eventually(given_back)
    assert shop.provider.refunded(first.payment.reference) == 0


async def test_an_order_that_is_paid_already_is_refused_up_front(shop: Shop) -> None:
    first = await shop.order()
    await shop.paid(first)
    second = await shop.order(
        merchant_id=first.payment.merchant_id, order_no=first.payment.order_no
    )
    handle = await shop.start(second)

    with pytest.raises(WorkflowUpdateFailedError) as refused:
        await shop.checkout(second)

    assert refused.value.cause.type == "order_already_paid"
    with pytest.raises(WorkflowFailureError):
        await handle.result()
    assert shop.provider.sent("create", second.payment.reference) == 0


async def _parked(shop: Shop, payment) -> bool:
    import asyncio

    for _ in range(200):
        if (await shop.row(payment)).attention is Attention.AMOUNT_MISMATCH:
            return True
        await asyncio.sleep(0.05)
    return False
