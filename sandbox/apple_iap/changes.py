import uuid
from dataclasses import dataclass

from sandbox.apple_iap.call import Call
from sandbox.apple_iap.errors import ApiError
from sandbox.apple_iap.lookups import Lookups
from sandbox.apple_iap.subscriptions import Subscriptions
from sandbox.apple_iap.views import Claims
from sandbox.books import Order
from sandbox.context import Context
from sandbox.side import ControlError

DELIVERED = "DELIVERED"
DELIVERIES = (
    DELIVERED,
    "UNDELIVERED_QUALITY_ISSUE",
    "UNDELIVERED_WRONG_ITEM",
    "UNDELIVERED_SERVER_OUTAGE",
    "UNDELIVERED_OTHER",
)
PREFERENCES = (None, "DECLINE", "GRANT_FULL", "GRANT_PRORATED")
WHOLE = 100_000
MOST_DAYS = 90
REASONS = (0, 1, 2, 3)
LONGEST_IDENTIFIER = 128


@dataclass(frozen=True)
class Changes:
    """What the developer tells the store. Each method answers one endpoint."""

    context: Context
    lookups: Lookups
    subscriptions: Subscriptions

    def consumption(self, call: Call) -> None:
        """Send Consumption Information, version 2."""
        body = call.body
        check(body.get("customerConsented") is True, 4000035)
        check(isinstance(body.get("sampleContentProvided"), bool), 4000041)
        check(body.get("deliveryStatus") in DELIVERIES, 4000036)
        share = body.get("consumptionPercentage", 0)
        check(isinstance(share, int) and 0 <= share <= WHOLE, 4000000)
        check(share == 0 or body["deliveryStatus"] == DELIVERED, 4000000)
        check(body.get("refundPreference") in PREFERENCES, 4000000)
        self._remember(self.lookups.named(call), "consumption", body)

    def old_consumption(self, call: Call) -> None:
        """Version 1: twelve numbers, of which the sandbox looks at the consent alone."""
        check(call.body.get("customerConsented") is True, 4000035)
        self._remember(self.lookups.named(call), "consumption", call.body)

    def token(self, call: Call) -> None:
        """Set App Account Token."""
        try:
            token = str(uuid.UUID(str(call.body.get("appAccountToken"))))
        except ValueError as error:
            raise ApiError(4000183) from error
        order = self._original(call)
        check(order.extra["transaction"]["inAppOwnershipType"] == "PURCHASED", 4000185)
        order.extra["transaction"]["appAccountToken"] = token
        self._remember(order, "token", token)

    def finish(self, call: Call) -> None:
        """Finish Transaction."""
        self._remember(self.lookups.named(call), "finished", True)

    def extend(self, call: Call) -> Claims:
        """Extend a Subscription Renewal Date."""
        days, _ = read_extension(call.body)
        order = self._original(call)
        check(order.extra["transaction"]["inAppOwnershipType"] == "PURCHASED", 4030007)
        try:
            latest = self.subscriptions.extend(order, days)
        except ControlError as error:
            raise ApiError(4030004) from error
        claims = latest.extra["transaction"]
        return {
            "effectiveDate": claims["expiresDate"],
            "originalTransactionId": claims["originalTransactionId"],
            "success": True,
            "webOrderLineItemId": claims["webOrderLineItemId"],
        }

    def _original(self, call: Call) -> Order:
        order = self.lookups.named(call)
        claims = order.extra["transaction"]
        check(claims["transactionId"] == claims["originalTransactionId"], 4000187)
        return order

    def _remember(self, order: Order, name: str, value: object) -> None:
        order.extra[name] = value
        self.context.books.put_order(order)


def read_extension(body: Claims) -> tuple[int, str]:
    """The days and the identifier of a request to extend; raises ApiError."""
    days, identifier = body.get("extendByDays"), body.get("requestIdentifier")
    check(type(days) is int and 0 < days <= MOST_DAYS, 4000009)
    reason = body.get("extendReasonCode")
    check(type(reason) is int and reason in REASONS, 4000010)
    check(isinstance(identifier, str) and 1 <= len(identifier) <= LONGEST_IDENTIFIER, 4000011)
    return int(str(days)), str(identifier)


def check(holds: object, code: int) -> None:
    """Raise ApiError(code) unless it holds."""
    if not holds:
        raise ApiError(code)
