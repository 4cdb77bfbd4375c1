"""The proof of a purchase, brought by the app: the first way, for a notification may never come."""

import asyncio
import time
from dataclasses import dataclass
from datetime import UTC, datetime

from api.dependencies import Dependencies
from api.in_app.proofs import as_change
from api.notifications.receive import receive
from api.notifications.routing import Routed
from domain.entitlement import Entitlement
from domain.errors import Conflict, InvalidRequest, ReportMismatch
from domain.notification import Notification, NotificationKind, NotificationOutcome
from domain.payment import Payment, PaymentStatus
from domain.purchase import WHOLE_SHARE, Ownership, Purchase
from domain.report import Attention, PaymentReport
from domain.store_change import StoreChange
from providers.base import Store
from storage.notifications import Arrival

# Of the ten seconds that a client waits, what is left after the verifying and the handing over.
SETTLING_SECONDS = 5.0
_LOOK_EVERY = 0.1


@dataclass(frozen=True)
class Verified:
    """A payment after a purchase was verified against it.

    `entitlement` is that of the purchase's chain now, which may be another payment's of the same
    merchant. `applied` where the payment is paid and the entitlement says what was routed.
    """

    payment: Payment
    entitlement: Entitlement | None
    applied: bool


async def verify_purchase(dependencies: Dependencies, payment: Payment, signed: str) -> Verified:
    """Apply the purchase to the payment; return both as they are then, or when the time is up.

    Raises:
        InvalidSignature: the store did not sign it.
        InvalidRequest: the payment is none that a store sells.
        Conflict: the purchase is another payment's, or of another product.
        ProviderUnavailable: the proof is old, and the store cannot be queried about it.
    """
    store = store_of(dependencies, payment)
    brought = await store.verify_purchase(signed)
    purchase = brought.change.purchase if brought.change else None
    if purchase is None or brought.change is None:
        raise InvalidRequest("The signed text is about no purchase.", param="signed_transaction")
    if not store.takes(purchase, payment):
        raise Conflict(
            "The purchase was made in the store's sandbox (TestFlight, App Review), and the payment"
            " names no tester of the account. Set `metadata.tester` on your testers' payments, and"
            " have the operator list the name in the account's sandbox_testers.",
            code="test_purchase_refused",
            param="signed_transaction",
        )
    owner = await _owner(dependencies, brought, payment, purchase)
    report = await _current(dependencies, store, brought, brought.change, payment.merchant_id)
    if purchase.token is None and owner.id == payment.id:
        report = await _claimed(dependencies, store, payment, report)
    routed = await _deliver(dependencies, payment, owner.reference, report, signed)
    if owner.id != payment.id:
        raise Conflict(
            f"The purchase belongs to your payment {owner.id}: verify it against that one. This"
            " payment has not changed.",
            code="purchase_of_another_payment",
            param="signed_transaction",
        )
    if routed.outcome is NotificationOutcome.MISMATCH:
        raise Conflict(
            f"The purchase does not fit the payment ({routed.detail}).",
            code="purchase_differs",
            param="signed_transaction",
        )
    return await _applied(dependencies, payment, report.change or brought.change)


def store_of(dependencies: Dependencies, payment: Payment) -> Store:
    """The store that sells the payment's product; InvalidRequest where it is none."""
    provider = dependencies.registry.get(payment.provider, payment.account)
    if not isinstance(provider, Store):
        raise InvalidRequest(
            f"{payment.provider} sells nothing by itself: there is no purchase.",
            code="not_sold_by_a_store",
        )
    return provider


async def own_entitlement(dependencies: Dependencies, payment: Payment) -> Entitlement | None:
    """What the payment's own purchase entitles to; None where nothing was bought."""
    if payment.product_id is None:
        return None
    found = await dependencies.stores.entitlements.list_for_payment(payment.id)
    return found[0] if found else None


async def _owner(
    dependencies: Dependencies, brought: Notification, payment: Payment, purchase: Purchase
) -> Payment:
    """The merchant's payment that the purchase belongs to; the given one where it may claim it.

    Raises Conflict where it is none of the merchant's, or another one's for good.
    """
    if purchase.token == payment.id:
        return payment
    stored = dependencies.stores.entitlements
    owner = await stored.payment_of(purchase)
    if owner is not None and owner.id == payment.id:
        return payment
    same = owner is not None and (owner.merchant_id, owner.provider, owner.account) == (
        payment.merchant_id, payment.provider, payment.account
    )  # fmt: skip
    if purchase.token is None:
        owners = await stored.owners(purchase)
        if owners.transaction is not None or (owner is not None and not same):
            raise _taken()
        # Whoever buys again in an old chain may claim it; what the store renews goes on by itself.
        return owner if owner is not None and purchase.renewal else payment
    if owner is None or not same:
        await _reject_strangers(dependencies, brought, payment, purchase)
        raise _of_another()
    return owner


async def _current(
    dependencies: Dependencies,
    store: Store,
    brought: Notification,
    change: StoreChange,
    merchant_id: str,
) -> Notification:
    """The report that was brought, or the store's own answer where that says more or is newer.

    An answer that says what was brought and is applied already needs no report of its own.
    """
    proven = change.purchase
    if proven is None:
        return brought
    found = await dependencies.proofs.current(store, proven, merchant_id)
    if found is proven:
        return brought
    report = as_change(found, change.raw_type)
    known = await dependencies.stores.entitlements.get(found)
    is_same = found.model_copy(update={"signed_at": proven.signed_at}) == proven
    if is_same and known is not None and known.reflects(report):
        return brought
    return brought.model_copy(update={"change": report, "notification_id": _number(found)})


async def _claimed(
    dependencies: Dependencies, store: Store, payment: Payment, report: Notification
) -> Notification:
    """The report on a purchase that names no payment, bound to this one for ever.

    The proof may be old by now: what the store says at this moment counts.
    """
    change = report.change
    purchase = change.purchase if change else None
    if change is None or purchase is None:
        return report
    owners = await dependencies.stores.entitlements.owners(purchase)
    if payment.id in (owners.transaction, owners.chain):
        return report
    fits = purchase.product_id == payment.product_id and purchase.quantity == payment.quantity
    if not fits or purchase.ownership is not Ownership.PURCHASED:
        raise Conflict(
            "The purchase is not what the payment is for, and names no payment itself.",
            code="purchase_differs",
            param="signed_transaction",
        )
    if payment.is_paid or purchase.renewal:
        raise Conflict(
            "The payment was paid by another purchase.",
            code="purchase_differs",
            param="signed_transaction",
        )
    found = await store.ask_purchase(purchase.transaction_id)
    try:
        await dependencies.stores.entitlements.claim(payment.id, found)
    except ReportMismatch as mismatch:
        raise _taken() from mismatch
    return report.model_copy(update={"change": as_change(found, change.raw_type)})


def _taken() -> Conflict:
    return Conflict(
        "Another payment was granted this purchase.",
        code="purchase_claimed",
        param="signed_transaction",
    )


def _of_another() -> Conflict:
    return Conflict(
        "The purchase names another payment: verify it against that one.",
        code="purchase_of_another_payment",
        param="signed_transaction",
    )


async def _reject_strangers(
    dependencies: Dependencies, brought: Notification, payment: Payment, purchase: Purchase
) -> None:
    """Have an operator look at who brings others' purchases; the payment itself goes on waiting."""
    if payment.status is not PaymentStatus.PENDING:
        return
    report = PaymentReport.of_purchase(payment.reference, purchase, "TRANSACTION")
    marked = brought.model_copy(
        update={
            "kind": NotificationKind.PAYMENT,
            "payment": report.model_copy(update={"mismatch": Attention.REFERENCE_MISMATCH}),
            "change": None,
        }
    )
    await _deliver(dependencies, payment, payment.reference, marked, signed="")


async def _deliver(
    dependencies: Dependencies, payment: Payment, reference: str, report: Notification, signed: str
) -> Routed:
    """Store and route the report, as a notification of the store that `payment` is sold by.

    `reference` is the payment that it is about.
    """
    report = report.model_copy(
        update={
            "provider": payment.provider,
            "account": payment.account,
            "reference": reference,
        }
    )
    return await receive(dependencies, report, Arrival({}, signed.encode(), datetime.now(UTC)))


async def _applied(dependencies: Dependencies, payment: Payment, change: StoreChange) -> Verified:
    """The payment and the entitlement once the report is applied, or as they are after a while."""
    until = time.monotonic() + SETTLING_SECONDS
    while True:
        found = await _look(dependencies, payment, change)
        if found.applied or time.monotonic() >= until:
            return found
        await asyncio.sleep(_LOOK_EVERY)


async def _look(dependencies: Dependencies, payment: Payment, change: StoreChange) -> Verified:
    purchase = change.purchase
    # The entitlement first: what changes both is seen in the payment then.
    known = await dependencies.stores.entitlements.get(purchase) if purchase else None
    found = await dependencies.stores.payments.get(payment.id) or payment
    applied = (
        found.status is PaymentStatus.SUCCEEDED
        and known is not None
        and known.reflects(change)
        and not _awaits_refund(found, change)
    )
    if known is not None and purchase is not None and known.merchant_id != found.merchant_id:
        # The chain goes on at another merchant: its later periods are not this one's.
        known = None if purchase.renewal else Entitlement.opened(found, change, purchase)
    return Verified(found, known, applied)


def _awaits_refund(payment: Payment, change: StoreChange) -> bool:
    """Whether the money that the store gave back is not yet counted: it is after the payment."""
    purchase = change.standing
    if purchase is None or purchase.transaction_id != payment.provider_reference:
        return False
    return payment.refunded < payment.captured * (purchase.revoked_share or 0) // WHOLE_SHARE


def _number(purchase: Purchase) -> str:
    """One report each time that the store has signed the transaction."""
    return f"{purchase.transaction_id}.{round(purchase.signed_at.timestamp() * 1000)}"
