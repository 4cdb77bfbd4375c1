"""A store's notifications: to the workflow of the payment that they pay, and to the chain's.

A purchase proves that it was paid for, whatever the notification about it says: a refund that is
notified before the purchase pays the payment first and is applied to it then.
"""

from api.dependencies import Dependencies
from api.notifications.routing import (
    EXCESS,
    Routed,
    repeat_of,
    signal_workflow,
    start_late_workflow,
)
from api.workflow_calls import is_dealt_with, signal_store_change
from domain.identity import store_workflow_id
from domain.notification import Notification, NotificationKind, NotificationOutcome
from domain.payment import Payment
from domain.purchase import Ownership, Purchase
from domain.report import Attention, PaymentReport
from domain.store_change import Change, StoreChange, StoreWord
from providers.base import Store
from storage.notifications import Addressee
from workflows.entitlement import EntitlementOrder

_UNCLAIMED = Routed(
    NotificationOutcome.UNKNOWN_REFERENCE, "no payment of ours claims the purchase", parked=True
)

_ENDS = (Change.EXPIRED, Change.REFUNDED, Change.REVOKED)
# What a buyer can bring about at will, as often as it likes: none may use up what an end needs.
_AT_WILL = (Change.RENEWAL_PREFERENCE, Change.CONSUMPTION_REQUESTED, Change.RECORDED)
_TEST_REJECTED = Routed(
    NotificationOutcome.IGNORED, "a test purchase of nobody on the account's list of testers"
)


async def route_change(
    dependencies: Dependencies,
    notification: Notification,
    change: StoreChange,
    addressee: Addressee | None,
) -> Routed:
    """Signal the change that the notification carries; raises as `route` does."""
    purchase = change.standing
    if purchase is None:
        return Routed(NotificationOutcome.IGNORED, f"{change.raw_type} is about no purchase")
    if addressee is None:
        return _UNCLAIMED
    if (repeated := await _repeat_of(dependencies, addressee, purchase, change)) is not None:
        return repeated
    payment = addressee.payment
    if _is_rejected_test(dependencies, payment, purchase, change):
        return _TEST_REJECTED
    return await _hand_over(dependencies, notification, addressee, purchase, change)


async def _repeat_of(
    dependencies: Dependencies, addressee: Addressee, purchase: Purchase, change: StoreChange
) -> Routed | None:
    """As `repeat_of`; but a change is sent again once the payment is paid, or its workflow lost.

    It was rejected with a dispute that an operator has settled since, or no row shows it.
    """
    payment = addressee.payment
    repeated = await repeat_of(dependencies, addressee)
    if repeated is None or _says_no_more(change, purchase) or not payment.is_paid:
        return repeated
    if addressee.earlier is NotificationOutcome.MISMATCH:
        return None
    workflow_id = store_workflow_id(
        payment.provider, payment.account, purchase.original_transaction_id
    )
    return repeated if await is_dealt_with(dependencies.temporal, workflow_id) else None


def _is_rejected_test(
    dependencies: Dependencies, payment: Payment, purchase: Purchase, change: StoreChange
) -> bool:
    store = dependencies.registry.get(payment.provider, payment.account)
    if not isinstance(store, Store) or store.takes(purchase, payment):
        return False
    # A tester who is listed no longer keeps what was taken, until the store takes it back.
    return not (payment.test and change.change in _ENDS)


async def _hand_over(
    dependencies: Dependencies,
    notification: Notification,
    addressee: Addressee,
    purchase: Purchase,
    change: StoreChange,
) -> Routed:
    payment = addressee.payment
    if not payment.is_paid:
        report = _paid(dependencies, purchase, payment, change)
        paid = notification.model_copy(
            update={
                "kind": NotificationKind.PAYMENT,
                "reference": payment.reference,
                "payment": report,
            }
        )
        named = Addressee(payment, excessive=addressee.excessive)
        routed = await signal_workflow(dependencies, paid, report, named)
        if routed is None:
            # The late workflow queries the store by this number.
            await dependencies.stores.entitlements.claim(payment.id, purchase)
            routed = await start_late_workflow(dependencies, paid, report, payment)
        if not routed.acknowledged or _says_no_more(change, purchase):
            return routed
    elif await _is_known(dependencies, payment, purchase, change):
        return Routed(NotificationOutcome.DUPLICATE, f"already {payment.status}")
    if addressee.excessive and change.change in _AT_WILL:
        return EXCESS
    order = EntitlementOrder(
        payment=payment, original_transaction_id=purchase.original_transaction_id
    )
    reported = StoreWord(payment_id=payment.id, word_id=notification.notification_id, change=change)
    await signal_store_change(dependencies.temporal, order, reported)
    return Routed(NotificationOutcome.SIGNALLED)


async def _is_known(
    dependencies: Dependencies, payment: Payment, purchase: Purchase, change: StoreChange
) -> bool:
    """Whether the purchase that paid the payment is reported again, with nothing new.

    A refund reversed or a period extended, of which no notification came, is new.
    """
    if payment.provider_reference != purchase.transaction_id or not _says_no_more(change, purchase):
        return False
    known = await dependencies.stores.entitlements.get(purchase)
    return known is None or known.reflects(change)


def _paid(
    dependencies: Dependencies, purchase: Purchase, payment: Payment, change: StoreChange
) -> PaymentReport:
    """That the payment is paid; marked where the purchase is none that could pay it."""
    report = PaymentReport.of_purchase(payment.reference, purchase, change.raw_type)
    product = dependencies.catalogue.find(purchase.product_id)
    if purchase.ownership is not Ownership.PURCHASED:
        return report.model_copy(update={"mismatch": Attention.ACCOUNT_MISMATCH})
    if product is None or product.type is not purchase.product_type:
        return report.model_copy(update={"mismatch": Attention.PRODUCT_MISMATCH})
    return report


def _says_no_more(change: StoreChange, purchase: Purchase) -> bool:
    """Whether it says no more than that it was bought: the payment's own workflow grants it."""
    return change.change is Change.PURCHASED and purchase.revoked_at is None
