"""The proof of a purchase, brought by the app: the first way, for a notification may never come."""

import asyncio
import time
from datetime import UTC, datetime
from uuid import UUID

from api.deliveries import Delivered
from api.dependencies import Dependencies
from api.hearing import hear
from domain.entitlement import Entitlement
from domain.errors import Conflict, InvalidRequest, ReportMismatch
from domain.notification import Notification, NotificationKind, NotificationOutcome
from domain.payment import Payment, PaymentStatus
from domain.purchase import Ownership, Purchase
from domain.report import Attention, PaymentReport
from domain.store_change import Change, StoreChange
from providers.base import Store
from storage.notifications import Arrival

# Of the ten seconds that a client waits, what is left after the verifying and the handing over.
SETTLING_SECONDS = 5.0
_LOOK_EVERY = 0.1


async def verify_purchase(dependencies: Dependencies, payment: Payment, signed: str) -> Payment:
    """The payment once the purchase has paid it, or as it stands when the time is up.

    Raises:
        InvalidSignature: the store did not sign it.
        InvalidRequest: the payment is none that a store sells.
        Conflict: the purchase is another payment's, or of another product.
    """
    store = store_of(dependencies, payment)
    brought = await store.verify_purchase(signed)
    purchase = brought.change.purchase if brought.change else None
    if purchase is None or brought.change is None:
        raise InvalidRequest("The signed text is about no purchase.", param="signed_transaction")
    change = brought.change
    if not store.takes(purchase, payment):
        raise Conflict(
            "The purchase was made in the store's sandbox (TestFlight, App Review), and the payment"
            " names no tester of the account. Set `metadata.tester` on your testers' payments, and"
            " have the operator list the name in the account's sandbox_testers.",
            code="test_purchase_refused",
            param="signed_transaction",
        )
    if purchase.token is None:
        change = await _claimed(dependencies, store, payment, change, purchase)
    elif purchase.token != payment.id:
        await _refuse_anothers(dependencies, brought, payment, purchase)
    word = brought.model_copy(update={"change": change})
    delivered = await _deliver(dependencies, payment, word, signed)
    if delivered.outcome is NotificationOutcome.MISMATCH:
        raise Conflict(
            f"The purchase does not fit the payment ({delivered.detail}).",
            code="purchase_differs",
            param="signed_transaction",
        )
    return await _settled(dependencies, payment)


def store_of(dependencies: Dependencies, payment: Payment) -> Store:
    """The store that sells the payment's product; InvalidRequest where it is none."""
    provider = dependencies.registry.get(payment.provider, payment.account)
    if not isinstance(provider, Store):
        raise InvalidRequest(
            f"{payment.provider} sells nothing by itself: there is no purchase.",
            code="not_sold_by_a_store",
        )
    return provider


def is_settled(payment: Payment) -> bool:
    """The purchase has paid the payment, and what it bought is granted."""
    return payment.status is PaymentStatus.SUCCEEDED


async def own_entitlement(dependencies: Dependencies, payment: Payment) -> Entitlement | None:
    """What the payment's own purchase entitles to; None where nothing was bought."""
    if payment.product_id is None:
        return None
    found = await dependencies.stores.entitlements.list_for_payment(payment.id)
    return found[0] if found else None


async def _claimed(
    dependencies: Dependencies,
    store: Store,
    payment: Payment,
    change: StoreChange,
    purchase: Purchase,
) -> StoreChange:
    """The word on a purchase that names no payment, bound to this one for ever.

    The proof may be old by now: what the store says at this moment counts.
    """
    fits = purchase.product_id == payment.product_id and purchase.quantity == payment.quantity
    if not fits or purchase.ownership is not Ownership.PURCHASED:
        raise Conflict(
            "The purchase is not what the payment is for, and names no payment itself.",
            code="purchase_differs",
            param="signed_transaction",
        )
    owners = await dependencies.stores.entitlements.owners(purchase)
    if owners.transaction == payment.id:
        return change
    if owners.transaction is not None:
        raise _taken()
    if await _is_anothers(dependencies, owners.chain, payment):
        raise _taken()
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
    revoked = found.revoked_at is not None
    return StoreChange(
        purchase=found,
        change=Change.REFUNDED if revoked else Change.PURCHASED,
        raw_type=change.raw_type,
        signed_at=found.signed_at,
    )


async def _is_anothers(dependencies: Dependencies, owner: UUID | None, payment: Payment) -> bool:
    """Whether another merchant sold the chain: whoever continues it must name a payment."""
    sold = await dependencies.stores.payments.get(owner) if owner else None
    return sold is not None and sold.merchant_id != payment.merchant_id


def _taken() -> Conflict:
    return Conflict(
        "Another payment was granted this purchase.",
        code="purchase_claimed",
        param="signed_transaction",
    )


async def _refuse_anothers(
    dependencies: Dependencies, brought: Notification, payment: Payment, purchase: Purchase
) -> None:
    """A person learns who brings others' purchases; the payment itself goes on waiting."""
    if payment.status is PaymentStatus.PENDING:
        report = PaymentReport.of_purchase(payment.reference, purchase, "TRANSACTION")
        word = brought.model_copy(
            update={
                "kind": NotificationKind.PAYMENT,
                "reference": payment.reference,
                "payment": report.model_copy(update={"mismatch": Attention.REFERENCE_MISMATCH}),
                "change": None,
            }
        )
        await _deliver(dependencies, payment, word, signed="")
    raise Conflict(
        "The purchase names another payment: verify it against that one.",
        code="purchase_of_another_payment",
        param="signed_transaction",
    )


async def _deliver(
    dependencies: Dependencies, payment: Payment, word: Notification, signed: str
) -> Delivered:
    """Keep the word and hand it over, as one that the store itself had sent."""
    word = word.model_copy(
        update={
            "provider": payment.provider,
            "account": payment.account,
            "reference": payment.reference,
        }
    )
    return await hear(dependencies, word, Arrival({}, signed.encode(), datetime.now(UTC)))


async def _settled(dependencies: Dependencies, payment: Payment) -> Payment:
    """The payment once its run has written the money down, or as it stands after a while."""
    until = time.monotonic() + SETTLING_SECONDS
    while True:
        found = await dependencies.stores.payments.get(payment.id) or payment
        if is_settled(found) or time.monotonic() >= until:
            return found
        await asyncio.sleep(_LOOK_EVERY)
