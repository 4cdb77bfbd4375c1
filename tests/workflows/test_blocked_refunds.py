"""A refund that the provider refuses for what our account is waits, and is sent until it is taken.

The balance is too low, a limit is reached, a key or a permission is missing: the payer is owed the
money all the same.
"""

from domain.alarm import AlarmKind
from domain.errors import ProviderBlocked
from domain.identity import automatic_refund_id, refund_workflow_id
from domain.payment import Payment, PaymentStatus
from domain.refund import Refund, RefundStatus
from domain.report import Attention, RefundOutcome
from domain.resolution import ResolveAction
from tests.workflows.scripted import Fault, unknown
from tests.workflows.shop import Shop, eventually
from workflows.refund import RefundOrder


def blocked(wait: float | None = 0.05) -> Fault:
    return Fault(
        error=ProviderBlocked(
            "scripted answered NOT_ENOUGH: top up",
            provider="scripted",
            provider_code="NOT_ENOUGH",
            provider_message="top up",
            retry_after=wait,
        )
    )


async def refund_of(shop: Shop, *faults: Fault) -> tuple[Payment, RefundOrder]:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 700)
    shop.provider.script("refund", order.refund.reference, *faults)
    return payment, order


async def test_a_refund_without_balance_waits_with_an_operator_called_and_is_then_paid(
    shop: Shop,
) -> None:
    payment, order = await refund_of(shop, *[blocked()] * 4)

    refund = await (await shop.start_refund(order)).result()

    assert (refund.status, refund.attention) == (RefundStatus.SUCCEEDED, None)
    assert shop.provider.refunded(payment.reference) == 700
    assert (await shop.row(payment)).refunded == 700
    assert shop.merchants.heard(payment)[1:] == ["payment.attention", "refund.succeeded"]
    stored = await shop.refunds.get(refund.id)
    assert stored is not None
    assert stored.attention is None


async def test_a_refund_that_stays_blocked_keeps_its_reason(shop: Shop) -> None:
    payment, order = await refund_of(shop, *[blocked(0.4)] * 3)
    impatient = order.policy.model_copy(update={"alarm_after": 0.1})

    await (await shop.start_refund(order.model_copy(update={"policy": impatient}))).result()

    told = shop.merchants.heard(payment)[1:]
    assert told == ["payment.attention", "refund.succeeded"], "one attention, for one reason"


async def test_an_operator_can_end_a_refund_that_waits_for_balance(shop: Shop) -> None:
    payment, order = await refund_of(shop, *[blocked(3600)] * 50)
    run = await shop.start_refund(order)
    await shop.refund_flagged(order.refund, Attention.REFUND_BLOCKED)

    ended = await shop.resolve_refund(run, ResolveAction.CLOSE)
    await run.result()

    assert ended.status is RefundStatus.FAILED
    assert ended.failure is not None
    assert ended.failure.code == "closed_by_operator"
    row = await shop.row(payment)
    assert (row.refunded, row.refund_reserved) == (0, 0)


async def test_the_account_whose_refund_is_refused_raises_an_alarm(shop: Shop) -> None:
    _, order = await refund_of(shop, blocked())

    await (await shop.start_refund(order)).result()

    raised = await shop.alarms.list_newest()
    # Other tests share the database, and raise alarms of other accounts.
    found = [
        alarm
        for alarm in raised
        if alarm.kind is AlarmKind.ACCOUNT_BLOCKED and alarm.subject == "scripted/main"
    ]
    assert len(found) == 1
    assert "NOT_ENOUGH" in found[0].detail


async def test_a_refund_found_missing_while_polled_waits_for_balance_too(shop: Shop) -> None:
    """Taken at first, unknown at the provider afterwards, and refused when it is sent again."""
    payment, order = await refund_of(shop)
    reference = order.refund.reference
    pending = shop.provider.refund_report(order.refund, RefundOutcome.PENDING)
    shop.provider.script("refund", reference, Fault(report=pending), *[blocked()] * 3)
    missing = shop.provider.refund_report(order.refund, RefundOutcome.NOT_FOUND)
    shop.provider.script("query_refund", reference, *[Fault(report=missing)] * 8)

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.SUCCEEDED
    assert "payment.attention" in shop.merchants.heard(payment)


async def test_a_refusal_after_a_lost_answer_is_no_end_either(shop: Shop) -> None:
    payment, order = await refund_of(shop, Fault(error=unknown()), *[blocked()] * 2)

    refund = await (await shop.start_refund(order)).result()

    assert refund.status is RefundStatus.SUCCEEDED
    assert shop.merchants.heard(payment)[1:] == ["payment.attention", "refund.succeeded"]


async def test_a_duplicate_payment_is_given_back_once_the_balance_allows_it(shop: Shop) -> None:
    first = await shop.order()
    second = await shop.order(again=first)
    run, payment = await shop.pending(second)
    await shop.paid(first)
    owed = automatic_refund_id(payment.id, "automatic:duplicate_payment")
    shop.provider.script("refund", owed.hex, *[blocked()] * 3)
    shop.provider.pay(payment.reference)
    await shop.notify(run, second)
    await run.result()

    returned = shop.client.get_workflow_handle(refund_workflow_id(owed), result_type=Refund)
    assert (await returned.result()).status is RefundStatus.SUCCEEDED
    assert shop.provider.refunded(payment.reference) == payment.amount


async def test_a_blocked_refund_whose_workflow_was_lost_goes_on(shop: Shop) -> None:
    payment, order = await refund_of(shop, *[blocked(3600)] * 2)
    run = await shop.start_refund(order)
    await shop.sent("refund", order.refund.reference, times=2)
    await run.terminate("lost")

    again = await shop.start_refund(order.model_copy(update={"resumed": True}))

    assert (await again.result()).status is RefundStatus.SUCCEEDED
    assert shop.provider.refunded(payment.reference) == 700


async def test_a_refused_account_fails_an_order_at_once_and_raises_an_alarm(shop: Shop) -> None:
    order = await shop.order()
    shop.provider.script("create", order.payment.reference, blocked())

    ended = await (await shop.start(order)).result()

    assert ended.status is PaymentStatus.FAILED
    assert ended.failure is not None
    assert (ended.failure.code, ended.failure.provider_code) == ("provider_rejected", "NOT_ENOUGH")

    async def raised() -> bool:
        kinds = [alarm.kind for alarm in await shop.alarms.list_newest()]
        return AlarmKind.ACCOUNT_BLOCKED in kinds

    await eventually(raised)
