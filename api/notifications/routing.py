"""Where a verified notification goes, decided by the database, and its outcome.

A notification may be acknowledged only where it is durable at Temporal or changes nothing.
"""

from contextlib import suppress
from dataclasses import dataclass, replace

from api.dependencies import Dependencies
from api.workflow_calls import (
    WorkflowEnded,
    is_dealt_with,
    signal_late,
    signal_payment,
    signal_refund,
)
from domain.decided import is_decided
from domain.identity import late_workflow_id, parse_reference
from domain.merchant import late_policy
from domain.notification import Notification, NotificationOutcome
from domain.own_refunds import explained, is_cancelled, is_cancelled_in_store, unaccounted
from domain.payment import Payment, PaymentStatus
from domain.refund import FINAL_STATUS, Refund, RefundStatus
from domain.report import Attention, PaymentReport, RefundOutcome, RefundReport
from providers.base import ChannelRules
from storage.notification_statements import MOST_SIGNALS_A_DAY
from storage.notifications import Addressee
from workflows.late_payment import LateOrder
from workflows.policies import payment_policy, refund_policy

ACKNOWLEDGED = frozenset(
    {
        NotificationOutcome.SIGNALLED,
        NotificationOutcome.DUPLICATE,
        NotificationOutcome.LATE,
        NotificationOutcome.IGNORED,
    }
)

# Each comes before the end: after it, only a report that was overtaken on the way.
_UNDECIDED = frozenset({RefundOutcome.PENDING, RefundOutcome.ABNORMAL, RefundOutcome.NOT_FOUND})


@dataclass(frozen=True)
class Routed:
    """The outcome of a notification; `detail` is for the database and logs.

    `parked` is set where nobody can say yet whose it is, and its sender cannot help.
    """

    outcome: NotificationOutcome
    detail: str = ""
    parked: bool = False

    @property
    def acknowledged(self) -> bool:
        """True where the provider may stop sending it: durable, of no consequence, or parked."""
        return self.parked or self.outcome in ACKNOWLEDGED


_UNKNOWN = Routed(NotificationOutcome.UNKNOWN_REFERENCE, "no such record")
# Not acknowledged: the provider repeats it, and by then the sweep has started the workflow again.
_NO_WORKFLOW = Routed(NotificationOutcome.RECEIVED, "the refund's workflow is gone")
_DECIDED = Routed(NotificationOutcome.DUPLICATE, "an operator has decided about this money")
EXCESS = Routed(
    NotificationOutcome.EXCESS, f"{MOST_SIGNALS_A_DAY} others came about this payment in a day"
)


async def route(
    dependencies: Dependencies, notification: Notification, addressee: Addressee | None
) -> Routed:
    """Signal the notification to its workflow; never one that is about another account's order.

    Raises:
        RPCError: Temporal did not take it; the provider must send it again.
        DatabaseUnavailable: likewise.
    """
    if addressee is None:
        # A payment's is sent again: its row may come back. A refund moves nothing of ours.
        return replace(_UNKNOWN, parked=notification.refund is not None)
    payment = addressee.payment
    notification = _identified(notification, payment)
    if notification.payment is not None:
        report = explained(notification.payment, payment)
        notification = notification.model_copy(update={"payment": report})
        signalled = await signal_workflow(dependencies, notification, report, addressee)
        return signalled or await start_late_workflow(dependencies, notification, report, payment)
    if notification.refund is not None:
        return await _route_refund(dependencies, notification, notification.refund, addressee)
    return Routed(NotificationOutcome.IGNORED, "says nothing of a payment or refund")


def _identified(notification: Notification, payment: Payment) -> Notification:
    """The notification by everything in it that identifies the payment.

    What it does not name is filled in; what names another order or trade does not fit.
    """
    refund = notification.refund
    if refund is None:
        return notification
    if not notification.reference:
        refund = refund.model_copy(update={"reference": payment.reference})
        notification = notification.model_copy(
            update={"reference": payment.reference, "refund": refund}
        )
    at_provider = notification.provider_reference
    same_trade = not payment.captured or at_provider in (None, payment.provider_reference)
    if notification.reference == payment.reference and same_trade:
        return notification
    return _marked(notification, Attention.REFERENCE_MISMATCH)


async def signal_workflow(
    dependencies: Dependencies,
    notification: Notification,
    report: PaymentReport,
    addressee: Addressee,
) -> Routed | None:
    """Signal the payment's workflow, with the notification's report; None where it has ended."""
    payment = addressee.payment
    if payment.mismatch(report) is not None:
        return await _mismatched_payment(dependencies, notification, report, addressee)
    # Before what the same content led to: it may not have fitted then, and fit now.
    if _adds_nothing(payment, report):
        return Routed(NotificationOutcome.DUPLICATE, f"already {payment.status}")
    if (repeated := await repeat_of(dependencies, addressee)) is not None:
        return repeated
    if addressee.excessive:
        return EXCESS
    try:
        await signal_payment(dependencies.temporal, payment.id, notification)
    except WorkflowEnded:
        return None
    return Routed(NotificationOutcome.SIGNALLED)


async def repeat_of(dependencies: Dependencies, addressee: Addressee) -> Routed | None:
    """What the repeat of a message leads to that a workflow was sent; None where it is to be sent.

    A mismatch is never acknowledged, however often it comes. What came late is sent again where
    the workflow that dealt with it was lost: no row says so, and no sweep looks for it.
    """
    if addressee.earlier is None:
        return None
    if addressee.earlier is NotificationOutcome.LATE:
        workflow_id = late_workflow_id(addressee.payment.id)
        if not await is_dealt_with(dependencies.temporal, workflow_id):
            return None
    if addressee.earlier is NotificationOutcome.MISMATCH:
        return Routed(NotificationOutcome.MISMATCH, "signalled before")
    return Routed(NotificationOutcome.DUPLICATE, "signalled before")


async def start_late_workflow(
    dependencies: Dependencies,
    notification: Notification,
    report: PaymentReport,
    payment: Payment,
) -> Routed:
    """Start a workflow for the report, unless the payment's knew it when it ended."""
    # It may have ended since the look-up: only now is the stored status final.
    stored = await dependencies.stores.payments.get(payment.id) or payment
    if _adds_nothing(stored, report):
        return Routed(NotificationOutcome.DUPLICATE, f"already {stored.status}")
    return await _late(dependencies, notification, stored)


async def _route_refund(
    dependencies: Dependencies,
    notification: Notification,
    report: RefundReport,
    addressee: Addressee,
) -> Routed:
    if (repeated := await repeat_of(dependencies, addressee)) is not None:
        return repeated
    refund_id = parse_reference(report.refund_reference)
    refund = await dependencies.stores.refunds.get(refund_id) if refund_id else None
    fits = refund is not None and refund.mismatch(report) is None
    if refund is not None and fits and _settles_nothing_new(addressee.payment, refund, report):
        return Routed(NotificationOutcome.DUPLICATE, f"already {refund.status}")
    if refund is None and is_cancelled_in_store(addressee.payment, report.refunded):
        return Routed(NotificationOutcome.DUPLICATE, "our own cancel gave it back")
    if addressee.excessive:
        return EXCESS
    if refund is None:
        # Made at the provider's own console: the money moved without us, an operator must know.
        return await _late(dependencies, notification, addressee.payment)
    return await _hand_over_refund(dependencies, notification, refund, addressee.payment)


async def _hand_over_refund(
    dependencies: Dependencies, notification: Notification, refund: Refund, payment: Payment
) -> Routed:
    """Signal the refund's workflow; what comes after its end is for the late workflow."""
    report = notification.refund
    mismatch = refund.mismatch(report) if report else None
    if mismatch is not None:
        marked = _marked(notification, mismatch)
        if not await _signal_refund_workflow(dependencies, marked, refund):
            await _late(dependencies, marked, payment)
        return Routed(NotificationOutcome.MISMATCH, mismatch)
    if await _signal_refund_workflow(dependencies, notification, refund):
        return Routed(NotificationOutcome.SIGNALLED)
    # The workflow may have ended since the look-up: only now is the stored status final.
    stored = await dependencies.stores.refunds.get(refund.id) or refund
    fresh = await dependencies.stores.payments.get(payment.id) or payment
    if report is not None and _settles_nothing_new(fresh, stored, report):
        return Routed(NotificationOutcome.DUPLICATE, f"already {stored.status}")
    if stored.status is RefundStatus.PENDING:
        return _NO_WORKFLOW
    # A settled refund stays as it is; what contradicts it is for an operator.
    return await _late(dependencies, notification, payment)


async def _mismatched_payment(
    dependencies: Dependencies,
    notification: Notification,
    report: PaymentReport,
    addressee: Addressee,
) -> Routed:
    """A run that still waits parks; it may not find the mismatch by itself, so the report has it.

    A workflow that is final takes no more signals: the late workflow queries the provider instead.
    """
    parked, payment = False, addressee.payment
    why = payment.mismatch(report) or Attention.CONTRADICTION
    marked = _marked(notification, why)
    if is_decided(payment, report, why):
        return _DECIDED
    if addressee.earlier is not None:
        return Routed(NotificationOutcome.MISMATCH, "signalled before")
    if addressee.excessive:
        return EXCESS
    if payment.status is PaymentStatus.PENDING:
        with suppress(WorkflowEnded):
            await signal_payment(dependencies.temporal, payment.id, marked)
            parked = True
    if not parked:
        # The decision may have been written down since we looked.
        payment = await dependencies.stores.payments.get(payment.id) or payment
        if is_decided(payment, report, why):
            return _DECIDED
        await _late(dependencies, marked, payment)
    return Routed(NotificationOutcome.MISMATCH, why)


async def _signal_refund_workflow(
    dependencies: Dependencies, notification: Notification, refund: Refund
) -> bool:
    """Whether the refund's workflow took the signal; a final one takes none."""
    if refund.status is not RefundStatus.PENDING:
        return False
    try:
        await signal_refund(dependencies.temporal, refund.id, notification)
    except WorkflowEnded:
        return False
    return True


async def _late(dependencies: Dependencies, notification: Notification, payment: Payment) -> Routed:
    merchant = await dependencies.stores.merchants.get(payment.merchant_id)
    provider = dependencies.registry.get(payment.provider, payment.account)
    rules = provider.channels.get(payment.channel, ChannelRules())
    order = LateOrder(
        payment=payment,
        policy=payment_policy(payment.channel, refundable=rules.refundable),
        refund_policy=refund_policy(rules),
        late_policy=late_policy(merchant, refundable=rules.refundable),
    )
    await signal_late(dependencies.temporal, order, notification)
    return Routed(NotificationOutcome.LATE)


def _marked(notification: Notification, why: Attention) -> Notification:
    update = {
        name: report.model_copy(update={"mismatch": why})
        for name, report in (("payment", notification.payment), ("refund", notification.refund))
        if report is not None
    }
    return notification.model_copy(update=update)


def _adds_nothing(payment: Payment, report: PaymentReport) -> bool:
    if payment.status is PaymentStatus.PENDING or payment.apply(report) is not payment:
        return False
    if is_cancelled(payment, report):
        return is_cancelled_in_store(payment, report.refunded)
    same_trade = report.provider_reference in (None, payment.provider_reference)
    return same_trade and not unaccounted(payment, report.refunded)


def _settles_nothing_new(payment: Payment, refund: Refund, report: RefundReport) -> bool:
    if refund.status is RefundStatus.PENDING or unaccounted(payment, report.refunded):
        return False
    return report.outcome in _UNDECIDED or refund.status is FINAL_STATUS.get(report.outcome)
