from dataclasses import dataclass
from typing import Any

from sandbox.apple_iap.call import Call, number, page
from sandbox.apple_iap.catalogue import CONSUMABLE, QUERY_TYPES
from sandbox.apple_iap.errors import ApiError
from sandbox.apple_iap.keys import KeyRing
from sandbox.apple_iap.transactions import Transactions
from sandbox.apple_iap.views import (
    PROVIDER,
    Claims,
    millis,
    new_uuid,
    renewal_claims,
    transaction_claims,
)
from sandbox.books import Order
from sandbox.context import Context

SORTS = ("ASCENDING", "DESCENDING")
OWNERSHIPS = ("PURCHASED", "FAMILY_SHARED")
STATUSES = ("1", "2", "3", "4", "5")
# Apple's own library for Python sends the second pair.
BOOLEANS = {"true": True, "false": False, "True": True, "False": False}


@dataclass(frozen=True)
class Lookups:
    """Everything that is asked about transactions. Each method answers one endpoint."""

    context: Context
    keys: KeyRing
    transactions: Transactions

    def transaction(self, call: Call) -> Claims:
        """Get Transaction Info."""
        order = self.named(call)
        return {"signedTransactionInfo": call.sign(transaction_claims(order, call.now))}

    def history(self, call: Call) -> Claims:
        """Get Transaction History, version 2: everything, however it ended."""
        return self._history(call, self._of_customer(call))

    def old_history(self, call: Call) -> Claims:
        """Version 1 forgets consumables once the app has finished them."""
        found = [
            order
            for order in self._of_customer(call)
            if not (
                order.extra["transaction"]["type"] == CONSUMABLE and order.extra.get("finished")
            )
        ]
        return self._history(call, found)

    def refunds(self, call: Call) -> Claims:
        """Get Refund History."""
        found = [
            order
            for order in self._of_customer(call)
            if "revocationDate" in order.extra["transaction"]
        ]
        part = page(found, call.one("revision"), [call.path], 4000005)
        return self._signed(call, part.shown) | {"revision": part.token, "hasMore": part.has_more}

    def statuses(self, call: Call) -> Claims:
        """Get All Subscription Statuses."""
        wanted = call.query.get("status", ())
        if set(wanted) - set(STATUSES):
            raise ApiError(4000031)
        groups: dict[str, list[Claims]] = {}
        for origin in self._of_customer(call):
            state = origin.extra.get("subscription")
            if state is None or (wanted and str(state["status"]) not in wanted):
                continue
            latest = self.transactions.latest(origin)
            group = latest.extra["transaction"]["subscriptionGroupIdentifier"]
            groups.setdefault(group, []).append(self._status(call, origin, latest))
        data = [
            {"subscriptionGroupIdentifier": group, "lastTransactions": items}
            for group, items in groups.items()
        ]
        return self._app(call) | {"data": data}

    def app_transaction(self, call: Call) -> Claims:
        """Get App Transaction Info."""
        order = self.named(call)
        claims = {
            "appTransactionId": order.payer,
            "bundleId": self.keys.bundle_id,
            "appAppleId": self.keys.app_apple_id,
            "applicationVersion": "1.0",
            "originalApplicationVersion": "1.0",
            "originalPurchaseDate": millis(order.created_at),
            "receiptCreationDate": millis(call.now),
            "receiptType": call.environment,
            "originalPlatform": "iOS",
            "deviceVerificationNonce": new_uuid(),
        }
        return {"signedAppTransactionInfo": call.sign(claims)}

    def order_id(self, call: Call) -> Claims:
        """Look Up Order ID; a number that nobody was given is no error."""
        found = [
            order
            for order in self.context.books.orders(PROVIDER)
            if order.extra.get("order_id") == call.path["order_id"] and self._is_here(call, order)
        ]
        return {"status": 0 if found else 1} | self._signed(call, found)

    def named(self, call: Call) -> Order:
        """The transaction in the path; raises ApiError."""
        number = call.path["transaction_id"]
        if not number.isascii() or not number.isdigit():
            raise ApiError(4000006)
        order = self.transactions.find(number)
        if order is None or not self._is_here(call, order):
            raise ApiError(4040010)
        return order

    def _is_here(self, call: Call, order: Order) -> bool:
        claims: Claims = order.extra.get("transaction", {})
        return claims.get("environment") == call.environment

    def _of_customer(self, call: Call) -> list[Order]:
        found = self.transactions.of_customer(self.named(call).payer or "")
        return [order for order in found if self._is_here(call, order)]

    def _history(self, call: Call, orders: list[Order]) -> Claims:
        chosen = [order for order in orders if _wanted(call, order.extra["transaction"])]
        sort = call.one("sort") or SORTS[0]
        if sort not in SORTS:
            raise ApiError(4000021)
        chosen.sort(key=_modified, reverse=sort == SORTS[1])
        filters = [call.path, {k: v for k, v in call.query.items() if k != "revision"}]
        part = page(chosen, call.one("revision"), filters, 4000005)
        return (
            {"revision": part.token, "hasMore": part.has_more}
            | self._app(call)
            | self._signed(call, part.shown)
        )

    def _status(self, call: Call, origin: Order, latest: Order) -> Claims:
        return {
            "originalTransactionId": origin.extra["transaction"]["originalTransactionId"],
            "status": origin.extra["subscription"]["status"],
            "signedTransactionInfo": call.sign(transaction_claims(latest, call.now)),
            "signedRenewalInfo": call.sign(renewal_claims(origin, latest, call.now)),
        }

    def _app(self, call: Call) -> Claims:
        return {
            "bundleId": self.keys.bundle_id,
            "appAppleId": self.keys.app_apple_id,
            "environment": call.environment,
        }

    def _signed(self, call: Call, orders: list[Order]) -> Claims:
        signed = [call.sign(transaction_claims(order, call.now)) for order in orders]
        return {"signedTransactions": signed}


def _modified(order: Order) -> int:
    claims = order.extra["transaction"]
    return int(max(claims["purchaseDate"], claims.get("revocationDate", 0)))


def _wanted(call: Call, claims: Claims) -> bool:
    since = number(call.one("startDate"), 4000015)
    until = number(call.one("endDate"), 4000016)
    if since is not None and until is not None and since > until:
        raise ApiError(4000013)
    is_in_time = (since or 0) <= claims["purchaseDate"] < (until or claims["purchaseDate"] + 1)
    return is_in_time and all(matches(call, claims) for matches in _FILTERS)


def _by_product(call: Call, claims: Claims) -> bool:
    return claims["productId"] in call.query.get("productId", [claims["productId"]])


def _by_type(call: Call, claims: Claims) -> bool:
    wanted = call.query.get("productType", ())
    if set(wanted) - QUERY_TYPES.keys():
        raise ApiError(4000022)
    return not wanted or claims["type"] in [QUERY_TYPES[word] for word in wanted]


def _by_group(call: Call, claims: Claims) -> bool:
    wanted = call.query.get("subscriptionGroupIdentifier", ())
    return not wanted or claims.get("subscriptionGroupIdentifier") in wanted


def _by_ownership(call: Call, claims: Claims) -> bool:
    wanted = call.one("inAppOwnershipType")
    if wanted not in (None, *OWNERSHIPS):
        raise ApiError(4000026)
    return wanted in (None, claims["inAppOwnershipType"])


def _by_revocation(call: Call, claims: Claims) -> bool:
    wanted: Any = call.one("revoked")
    if wanted is None:
        return True
    if wanted not in BOOLEANS:
        raise ApiError(4000030)
    return BOOLEANS[wanted] == ("revocationDate" in claims)


_FILTERS = (_by_product, _by_type, _by_group, _by_ownership, _by_revocation)
