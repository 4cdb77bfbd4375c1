import re
from dataclasses import dataclass

from sandbox.apple_iap.call import Call
from sandbox.apple_iap.catalogue import PRODUCTS, SUBSCRIPTION
from sandbox.apple_iap.changes import check, read_extension
from sandbox.apple_iap.errors import ApiError
from sandbox.apple_iap.notices import Herald
from sandbox.apple_iap.subscriptions import Subscriptions
from sandbox.apple_iap.transactions import Transactions
from sandbox.apple_iap.views import ACTIVE, BOUGHT, PROVIDER, Claims
from sandbox.books import Order
from sandbox.context import Context
from sandbox.side import Notice

COUNTRY = re.compile(r"[A-Z]{3}")
SUMMARY = ("RENEWAL_EXTENSION", "SUMMARY")


@dataclass(frozen=True)
class MassExtensions:
    """Extend Subscription Renewal Dates for All Active Subscribers; done when it is answered.

    What became of a request is its SUMMARY notification, which the status endpoint reads.
    """

    context: Context
    transactions: Transactions
    subscriptions: Subscriptions
    herald: Herald

    def extend(self, call: Call) -> Claims:
        """Extend every active subscription to a product, once a `requestIdentifier`."""
        days, identifier = read_extension(call.body)
        product_id, countries = call.body.get("productId"), _countries(call.body)
        product = PRODUCTS.get(product_id) if isinstance(product_id, str) else None
        check(product is not None and product.type == SUBSCRIPTION, 4000023)
        if self._summary(call, str(product_id), identifier) is None:
            found = self._active(call, str(product_id), countries)
            for origin in found:
                self.subscriptions.extend(origin, days)
            self._conclude(call, str(product_id), countries, len(found))
        return {"requestIdentifier": identifier}

    def status(self, call: Call) -> Claims:
        """Get Status of Subscription Renewal Date Extensions."""
        notice = self._summary(call, call.path["product_id"], call.path["request_identifier"])
        if notice is None:
            check(call.path["product_id"] in PRODUCTS, 4000023)
            raise ApiError(4040009)
        body = notice.content["body"]
        return {
            "requestIdentifier": body["requestIdentifier"],
            "complete": True,
            "completeDate": notice.content["head"]["signedDate"],
            "succeededCount": body["succeededCount"],
            "failedCount": body["failedCount"],
        }

    def _active(self, call: Call, product_id: str, countries: list[str] | None) -> list[Order]:
        bought = [order for order in self.context.books.orders(PROVIDER) if order.status in BOUGHT]
        origins = [order for order in bought if self._is_active(order)]
        return [
            origin
            for origin in origins
            if _matches(self.transactions.latest(origin), call, product_id, countries)
        ]

    def _is_active(self, order: Order) -> bool:
        state = order.extra.get("subscription") or {}
        return state.get("status") == ACTIVE

    def _conclude(
        self, call: Call, product_id: str, countries: list[str] | None, extended: int
    ) -> None:
        body = self.herald.app_data(call.environment) | {
            "requestIdentifier": call.body["requestIdentifier"],
            "productId": product_id,
            "storefrontCountryCodes": countries or [],
            "succeededCount": extended,
            "failedCount": 0,
        }
        self.herald.tell_section(SUMMARY, "summary", body)

    def _summary(self, call: Call, product_id: str, identifier: str) -> Notice | None:
        asked = {
            "environment": call.environment,
            "productId": product_id,
            "requestIdentifier": identifier,
        }
        for notice in self.context.notifier.notices(PROVIDER):
            content = notice.content
            if content["section"] == "summary" and asked.items() <= content["body"].items():
                return notice
        return None


def _matches(latest: Order, call: Call, product_id: str, countries: list[str] | None) -> bool:
    claims = latest.extra["transaction"]
    is_asked = (claims["environment"], claims["productId"]) == (call.environment, product_id)
    return is_asked and (countries is None or claims["storefront"] in countries)


def _countries(body: Claims) -> list[str] | None:
    countries = body.get("storefrontCountryCodes")
    if countries is None:
        return None
    check(isinstance(countries, list) and countries, 4000027)
    for country in countries:
        check(isinstance(country, str) and COUNTRY.fullmatch(country), 4000028)
    return list(countries)
