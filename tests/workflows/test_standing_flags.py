"""A run takes down its own flag when its reason is settled, and nobody else's."""

from domain.event import DeliveryStatus
from domain.payment import Payment, PaymentStatus
from domain.report import Attention
from domain.resolution import ResolveAction
from tests.workflows.disputes import parked
from tests.workflows.scripted import Fault, notification, unknown
from tests.workflows.shop import BRISK, PaymentRun, Shop, eventually
from workflows import search_attributes


async def shown(run: PaymentRun) -> str | None:
    """What operators see of the run in the list."""
    return (await run.describe()).typed_search_attributes.get(search_attributes.ATTENTION)


async def flag_elsewhere(shop: Shop, payment: Payment) -> None:
    """Somebody else calls a person, and the merchant knows."""
    event = await shop.payments.flag(payment.id, Attention.EXTERNAL_REFUND, "seen in the console")
    assert event is not None
    await shop.events.mark(event, DeliveryStatus.DELIVERED)


async def test_a_flag_that_a_person_raised_meanwhile_outlives_the_end(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    await flag_elsewhere(shop, payment)
    shop.provider.pay(payment.reference)

    await shop.notify(run, order)

    ended = await run.result()
    assert (ended.status, ended.attention) == (PaymentStatus.SUCCEEDED, Attention.EXTERNAL_REFUND)
    assert (await shop.row(payment)).attention is Attention.EXTERNAL_REFUND


async def test_a_flag_of_the_late_run_outlives_the_end(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    refund = shop.refund_order(payment, 500).refund
    word = notification(shop.provider.refund_report(refund))
    await (await shop.late(order, payment, word)).result()
    shop.provider.pay(payment.reference)

    await shop.notify(run, order)

    await run.result()
    assert (await shop.row(payment)).attention is Attention.EXTERNAL_REFUND
    assert shop.merchants.heard(payment) == ["payment.attention", "payment.succeeded"]


async def test_a_flag_raised_over_the_runs_own_outlives_the_end(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await parked(shop, order)
    await flag_elsewhere(shop, payment)

    await shop.resolve(run, ResolveAction.CLOSE)

    assert (await run.result()).attention is Attention.EXTERNAL_REFUND
    assert (await shop.row(payment)).attention is Attention.EXTERNAL_REFUND


async def test_the_runs_own_flag_is_taken_down_everywhere(shop: Shop) -> None:
    run, payment = await shop.pending(await shop.order(policy=BRISK, expires_in=1))
    shop.provider.script("close", payment.reference, *[Fault(error=unknown())] * 2)
    await shop.flagged(payment, Attention.OUTCOME_UNKNOWN)

    assert (await run.result()).attention is None

    assert (await shop.row(payment)).attention is None
    assert await shown(run) is None


async def test_a_flag_that_stays_is_still_listed_after_the_end(shop: Shop) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    await flag_elsewhere(shop, payment)
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    await run.result()

    async def listed() -> bool:
        return await shown(run) == Attention.EXTERNAL_REFUND

    assert await eventually(listed)


async def test_two_refunds_that_are_not_ours_are_two_alarms(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.paid(order)
    words = [
        notification(shop.provider.refund_report(shop.refund_order(payment, amount).refund))
        for amount in (2500, 2700)  # more than was paid, so that none is recorded
    ]

    await (await shop.late(order, payment, *words, *words)).result()

    expected = ["payment.succeeded", "payment.attention", "payment.attention"]
    assert shop.merchants.heard(payment) == expected


async def test_the_same_foreign_refund_told_to_two_runs_is_one_alarm(shop: Shop) -> None:
    order = await shop.order()
    payment = await shop.paid(order)
    word = notification(shop.provider.refund_report(shop.refund_order(payment, 2500).refund))

    for _ in range(2):
        await (await shop.late(order, payment, word)).result()

    assert shop.merchants.heard(payment) == ["payment.succeeded", "payment.attention"]
