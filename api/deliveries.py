"""Where a verified notification goes, decided by our books, and what came of it.

A notification may be acknowledged only where its word is durable at Temporal or changes nothing.
"""

from dataclasses import dataclass

from api.dependencies import Dependencies
from api.runs import RunOver, tell_late, tell_payment, tell_refund
from domain.identity import parse_reference
from domain.merchant import LatePolicy
from domain.notification import Notification, NotificationOutcome
from domain.payment import Payment, PaymentStatus
from domain.refund import Refund, RefundStatus
from domain.report import Attention, PaymentReport, RefundReport
from workflows.late_payment import LateOrder
from workflows.policies import payment_policy

ACKNOWLEDGED = frozenset(
    {NotificationOutcome.SIGNALLED, NotificationOutcome.DUPLICATE, NotificationOutcome.LATE}
)


@dataclass(frozen=True)
class Delivered:
    """What a notification led to; `detail` is for our own books and logs."""

    outcome: NotificationOutcome
    detail: str = ""

    @property
    def acknowledged(self) -> bool:
        """True where the provider may stop sending it."""
        return self.outcome in ACKNOWLEDGED


_UNKNOWN = Delivered(NotificationOutcome.UNKNOWN_REFERENCE, "no such record in our books")


async def deliver(dependencies: Dependencies, notification: Notification) -> Delivered:
    """Hand the word to the run that it is for.

    Raises:
        RPCError: Temporal did not take it; the provider must send it again.
        DatabaseUnavailable: likewise.
    """
    payment_id = parse_reference(notification.reference)
    payment = await dependencies.stores.payments.get(payment_id) if payment_id else None
    if payment is None:
        return _UNKNOWN
    if notification.payment is not None:
        return await _payment_word(dependencies, notification, notification.payment, payment)
    if notification.refund is not None:
        return await _refund_word(dependencies, notification, notification.refund, payment)
    return Delivered(NotificationOutcome.IGNORED, "says nothing of a payment or refund")


async def _payment_word(
    dependencies: Dependencies, notification: Notification, report: PaymentReport, payment: Payment
) -> Delivered:
    mismatch = _foreign(notification, payment) or payment.mismatch(report)
    if mismatch is not None:
        return await _mismatched_payment(dependencies, notification, payment, mismatch)
    if await dependencies.stores.notifications.seen(notification):
        return Delivered(NotificationOutcome.DUPLICATE, "signalled before")
    try:
        await tell_payment(dependencies.temporal, payment.id, notification)
    except RunOver:
        # The run may have ended since we looked: only now do our books have the last word.
        stored = await dependencies.stores.payments.get(payment.id) or payment
        if _tells_nothing_new(stored, report):
            return Delivered(NotificationOutcome.DUPLICATE, f"already {stored.status}")
        return await _late(dependencies, notification, stored)
    return Delivered(NotificationOutcome.SIGNALLED)


async def _refund_word(
    dependencies: Dependencies, notification: Notification, report: RefundReport, payment: Payment
) -> Delivered:
    refund_id = parse_reference(report.refund_reference)
    refund = await dependencies.stores.refunds.get(refund_id) if refund_id else None
    if refund is None:
        if _foreign(notification, payment) or report.mismatch:
            return _UNKNOWN
        # Made at the provider's own console: the money moved without us, a person must know.
        return await _late(dependencies, notification, payment)
    mismatch = _foreign(notification, payment) or refund.mismatch(report)
    if mismatch is not None:
        return await _mismatched_refund(dependencies, notification, refund, mismatch)
    if await dependencies.stores.notifications.seen(notification):
        return Delivered(NotificationOutcome.DUPLICATE, "signalled before")
    try:
        await tell_refund(dependencies.temporal, refund.id, notification)
    except RunOver:
        return await _refund_run_over(dependencies, refund, report)
    return Delivered(NotificationOutcome.SIGNALLED)


async def _refund_run_over(
    dependencies: Dependencies, refund: Refund, report: RefundReport
) -> Delivered:
    """A settled refund's word is final; what does not agree with it is for a person."""
    refunds = dependencies.stores.refunds
    stored = await refunds.get(refund.id) or refund
    if stored.status is not RefundStatus.PENDING and _agrees(stored, report):
        return Delivered(NotificationOutcome.DUPLICATE, f"already {stored.status}")
    detail = f"our refund is {stored.status}, the provider says {report.raw_status}"
    await refunds.flag(stored.id, Attention.CONTRADICTION, detail)
    return Delivered(NotificationOutcome.LATE, detail)


async def _mismatched_payment(
    dependencies: Dependencies, notification: Notification, payment: Payment, why: Attention
) -> Delivered:
    """The run parks; it may not find the mismatch by itself, so the report carries it."""
    if payment.attention is not why:
        marked = _marked(notification, why)
        try:
            await tell_payment(dependencies.temporal, payment.id, marked)
        except RunOver:
            await dependencies.stores.payments.flag(payment.id, why, "notification after the end")
    return Delivered(NotificationOutcome.MISMATCH, why)


async def _mismatched_refund(
    dependencies: Dependencies, notification: Notification, refund: Refund, why: Attention
) -> Delivered:
    if refund.attention is not why:
        marked = _marked(notification, why)
        try:
            await tell_refund(dependencies.temporal, refund.id, marked)
        except RunOver:
            await dependencies.stores.refunds.flag(refund.id, why, "notification after the end")
    return Delivered(NotificationOutcome.MISMATCH, why)


async def _late(
    dependencies: Dependencies, notification: Notification, payment: Payment
) -> Delivered:
    merchant = await dependencies.stores.merchants.get(payment.merchant_id)
    order = LateOrder(
        payment=payment,
        policy=payment_policy(payment.channel),
        late_policy=merchant.late_policy if merchant else LatePolicy.REFUND,
    )
    await tell_late(dependencies.temporal, order, notification)
    return Delivered(NotificationOutcome.LATE)


def _foreign(notification: Notification, payment: Payment) -> Attention | None:
    """Another account's notification, however well signed, is not about this payment."""
    theirs = (notification.provider, notification.account)
    if theirs != (payment.provider, payment.account):
        return Attention.ACCOUNT_MISMATCH
    return notification.mismatch


def _marked(notification: Notification, why: Attention) -> Notification:
    update = {
        name: report.model_copy(update={"mismatch": why})
        for name, report in (("payment", notification.payment), ("refund", notification.refund))
        if report is not None
    }
    return notification.model_copy(update=update)


def _tells_nothing_new(payment: Payment, report: PaymentReport) -> bool:
    if payment.status is PaymentStatus.PENDING or payment.apply(report) is not payment:
        return False
    same_trade = report.provider_reference in (None, payment.provider_reference)
    accounted = payment.refunded + payment.refund_reserved
    return same_trade and (report.refunded or 0) <= accounted


def _agrees(refund: Refund, report: RefundReport) -> bool:
    said = {"succeeded": RefundStatus.SUCCEEDED, "failed": RefundStatus.FAILED}
    return said.get(report.outcome, refund.status) is refund.status
