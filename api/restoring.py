"""Restoring: what a buyer's purchases entitle to now, on whatever device. Grants nothing twice."""

from dataclasses import dataclass, field
from datetime import UTC, datetime

from api.dependencies import Dependencies
from api.hearing import hear
from api.store_requests import RestoreRequest
from domain.entitlement import Entitlement
from domain.errors import InvalidRequest, ProviderRejected
from domain.merchant import Merchant
from domain.notification import Notification, NotificationKind
from domain.payment import Payment
from domain.product import ProductType
from domain.purchase import Purchase
from domain.store_change import Change, StoreChange
from providers.base import Provider, Store
from storage.notifications import Arrival

_RAW_TYPE = "RESTORE"


@dataclass
class Restored:
    """What the buyer has, and the genuine purchases that belong to no payment of anyone.

    What belongs to another merchant is in neither list.
    """

    entitlements: list[Entitlement] = field(default_factory=list)
    unclaimed: list[Purchase] = field(default_factory=list)


@dataclass(frozen=True)
class _Counter:
    """The store and the account whose purchases are restored."""

    provider: Provider
    store: Store


async def restore_purchases(
    dependencies: Dependencies, merchant: Merchant, request: RestoreRequest
) -> Restored:
    """What the buyer is entitled to by the purchases that the request names.

    Raises:
        InvalidRequest: no such store, nothing to restore by, or a transaction id
            (`transaction_unknown`) that is not of a purchase of this merchant.
        InvalidSignature: one of the transactions is not the store's.
        ProviderError: the store could not say what the buyer has bought.
    """
    counter = _counter(dependencies, merchant, request)
    if bool(request.signed_transactions) == bool(request.transaction_id):
        raise InvalidRequest(
            "Send either signed_transactions or a transaction_id.", param="signed_transactions"
        )
    if request.transaction_id is None:
        owned = await _signed_by_store(dependencies, counter.store, request)
    else:
        owned = await _of_merchant(dependencies, merchant, counter.store, request.transaction_id)
    restored = Restored()
    for purchase in _newest(list(owned)):
        payment = owned[purchase]
        if _is_refused_test(counter.store, purchase, payment):
            continue
        if payment is None:
            restored.unclaimed.append(purchase)
            continue
        if payment.merchant_id != merchant.id:
            # Whoever owns the account shared with us: what it sold is nobody else's to learn.
            continue
        entitlement = await _restore(dependencies, counter.provider, payment, purchase)
        if entitlement is None:
            restored.unclaimed.append(purchase)
        elif purchase.product_type is not ProductType.CONSUMABLE:
            restored.entitlements.append(entitlement)
    return restored


def _counter(dependencies: Dependencies, merchant: Merchant, request: RestoreRequest) -> _Counter:
    offered = dependencies.registry.offered_to(merchant.id)
    for provider in offered.all():
        named = request.provider in (None, provider.name)
        named = named and request.account in (None, provider.account)
        if named and isinstance(provider, Store):
            return _Counter(provider, provider)
    raise InvalidRequest("There is no such store to restore from.", param="provider")


Owned = dict[Purchase, Payment | None]


async def _signed_by_store(
    dependencies: Dependencies, store: Store, request: RestoreRequest
) -> Owned:
    """The purchases whose proof the app has brought, and the payment that each belongs to."""
    brought = [await store.verify_purchase(signed) for signed in request.signed_transactions]
    found = [word.change.purchase for word in brought if word.change and word.change.purchase]
    return {
        purchase: await dependencies.stores.entitlements.payment_of(purchase) for purchase in found
    }


async def _of_merchant(
    dependencies: Dependencies, merchant: Merchant, store: Store, transaction_id: str
) -> Owned:
    """The customer's purchases from this merchant, where the transaction is one of them.

    A number proves nothing: whoever has an account of the same app could read a stranger's history
    by it. So one of another merchant, of nobody and of none that exists are answered alike.
    """
    unknown = InvalidRequest(
        "No purchase of yours has this transaction id. Send the app's signed_transactions.",
        code="transaction_unknown",
        param="transaction_id",
    )
    try:
        history = await store.find_purchases(transaction_id)
    except ProviderRejected as error:
        raise unknown from error
    owned: Owned = {}
    for purchase in history:
        payment = await dependencies.stores.entitlements.payment_of(purchase)
        if payment is not None and payment.merchant_id == merchant.id:
            owned[purchase] = payment
    numbers = {
        number
        for purchase in owned
        for number in (purchase.transaction_id, purchase.original_transaction_id)
    }
    if transaction_id not in numbers:
        raise unknown
    return owned


def _is_refused_test(store: Store, purchase: Purchase, payment: Payment | None) -> bool:
    """A test purchase that no listed tester's payment stands for is nothing to give back."""
    return not store.takes(purchase, payment) if payment else purchase.test_in_production


def _newest(purchases: list[Purchase]) -> list[Purchase]:
    """Consumables each, of every other chain the newest period."""
    newest: dict[str, Purchase] = {}
    for purchase in sorted(purchases, key=lambda found: (found.purchased_at, found.signed_at)):
        each = purchase.product_type is ProductType.CONSUMABLE
        key = purchase.transaction_id if each else purchase.original_transaction_id
        newest[key] = purchase
    return list(newest.values())


async def _restore(
    dependencies: Dependencies, provider: Provider, payment: Payment, purchase: Purchase
) -> Entitlement | None:
    """The entitlement by the purchase as it is now; the word goes its usual way as well.

    None where the purchase does not fit the payment that it names.
    """
    change = StoreChange(
        purchase=purchase,
        change=Change.PURCHASED,
        raw_type=_RAW_TYPE,
        signed_at=purchase.signed_at,
    )
    known = await dependencies.stores.entitlements.get(purchase)
    entitlement = (
        Entitlement.opened(payment, change, purchase) if known is None else known.apply(change)
    )
    if entitlement != known:
        word = Notification(
            provider=provider.name,
            account=provider.account,
            notification_id=_number(purchase),
            kind=NotificationKind.STORE,
            reference=payment.reference,
            change=change,
        )
        delivered = await hear(dependencies, word, Arrival({}, b"", datetime.now(UTC)))
        if not delivered.acknowledged:
            return None
    return entitlement


def _number(purchase: Purchase) -> str:
    """One word each time that the store has signed it."""
    return f"{_RAW_TYPE}.{purchase.transaction_id}.{purchase.signed_at.timestamp():.3f}"
