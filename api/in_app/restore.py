"""Restoring: what a buyer's purchases entitle to now, on whatever device. Grants nothing twice.

Merchants may share an app. Each is shown what it sold itself, and, where the buyer's own device
has signed for it, what belongs to no merchant.
"""

import asyncio
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import partial

from api.dependencies import Dependencies
from api.in_app.proofs import Account
from api.in_app.requests import RestoreRequest
from api.notifications.receive import receive
from domain.entitlement import Entitlement
from domain.errors import InvalidRequest
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
    """What the buyer has of the merchant, and the proven purchases that belong to no payment."""

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
        InvalidRequest: no such store, nothing to restore by, or a transaction id that is not one
            of the merchant's sales (`transaction_unknown`), whether or not it exists.
        InvalidSignature: one of the transactions is not the store's.
        ProviderError: the store could not say what the buyer has bought.
    """
    counter = _counter(dependencies, merchant, request)
    if bool(request.signed_transactions) == bool(request.transaction_id):
        raise InvalidRequest(
            "Send either signed_transactions or a transaction_id.", param="signed_transactions"
        )
    restored = Restored()
    for purchase in await _purchases(dependencies, counter, merchant, request):
        payment = await dependencies.stores.entitlements.payment_of(purchase)
        if _is_rejected_test(counter.store, purchase, payment):
            continue
        if payment is None:
            restored.unclaimed.append(purchase)
        # Whoever owns the account shared with us: what another merchant sold is not ours to show.
        elif payment.merchant_id == merchant.id:
            await _add(restored, dependencies, counter.provider, payment, purchase)
    if request.transaction_id is not None:
        # Whose they are, only a proof from the customer's device could say.
        restored.unclaimed.clear()
    return restored


async def _purchases(
    dependencies: Dependencies, counter: _Counter, merchant: Merchant, request: RestoreRequest
) -> list[Purchase]:
    if request.transaction_id is None:
        proven = await _proven(counter.store, request.signed_transactions)
        current = partial(dependencies.proofs.current, merchant_id=merchant.id)
        # A device holds what it was given before a refund: the store is queried about old proofs.
        return _newest(await asyncio.gather(*(current(counter.store, each) for each in proven)))
    await _check_sale(dependencies, counter, merchant, request.transaction_id)
    account = Account(counter.provider.name, counter.provider.account)
    found = await dependencies.proofs.purchases_of(
        counter.store, account, request.transaction_id, merchant.id
    )
    return _newest(found)


async def _add(
    restored: Restored,
    dependencies: Dependencies,
    provider: Provider,
    payment: Payment,
    purchase: Purchase,
) -> None:
    entitlement = await _restore(dependencies, provider, payment, purchase)
    if entitlement is None:
        restored.unclaimed.append(purchase)
    elif purchase.product_type is not ProductType.CONSUMABLE:
        restored.entitlements.append(entitlement)


async def _check_sale(
    dependencies: Dependencies, counter: _Counter, merchant: Merchant, transaction_id: str
) -> None:
    """Before the store is queried: what it answers, and when, would say whether the id exists."""
    apps = [counter.store.app(test=test) for test in (False, True)]
    sold = await dependencies.stores.entitlements.has_sold(
        merchant.id, counter.provider.name, apps, transaction_id
    )
    if not sold:
        raise InvalidRequest(
            "No purchase of yours has this transaction id. Send the app's signed_transactions.",
            code="transaction_unknown",
            param="transaction_id",
        )


def _counter(dependencies: Dependencies, merchant: Merchant, request: RestoreRequest) -> _Counter:
    offered = dependencies.registry.offered_to(merchant.id)
    for provider in offered.all():
        named = request.provider in (None, provider.name)
        named = named and request.account in (None, provider.account)
        if named and isinstance(provider, Store):
            return _Counter(provider, provider)
    raise InvalidRequest("There is no such store to restore from.", param="provider")


async def _proven(store: Store, signed_transactions: list[str]) -> list[Purchase]:
    brought = [await store.verify_purchase(signed) for signed in signed_transactions]
    return [
        report.change.purchase for report in brought if report.change and report.change.purchase
    ]


def _is_rejected_test(store: Store, purchase: Purchase, payment: Payment | None) -> bool:
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
    """The entitlement by the purchase as it is now; the report is also routed as usual.

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
        report = Notification(
            provider=provider.name,
            account=provider.account,
            notification_id=_number(purchase),
            kind=NotificationKind.STORE,
            reference=payment.reference,
            change=change,
        )
        routed = await receive(dependencies, report, Arrival({}, b"", datetime.now(UTC)))
        if not routed.acknowledged:
            return None
    if entitlement.merchant_id != payment.merchant_id:
        # The chain goes on at another merchant: its later periods are not this one's.
        return Entitlement.opened(payment, change, purchase)
    return entitlement


def _number(purchase: Purchase) -> str:
    """One report each time that the store has signed it."""
    return f"{_RAW_TYPE}.{purchase.transaction_id}.{purchase.signed_at.timestamp():.3f}"
