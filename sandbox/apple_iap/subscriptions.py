from dataclasses import dataclass
from datetime import datetime, timedelta

from sandbox.apple_iap.catalogue import PRODUCTS, SUBSCRIPTION, Product
from sandbox.apple_iap.notices import Herald
from sandbox.apple_iap.transactions import Transactions
from sandbox.apple_iap.views import (
    ACTIVE,
    BILLING_RETRY,
    EXPIRED,
    GRACE,
    PURCHASED,
    Claims,
    millis,
    new_order_id,
    new_transaction_id,
    period,
)
from sandbox.books import Order
from sandbox.clock import BEIJING
from sandbox.context import Context
from sandbox.side import ControlError

GRACE_DAYS = 16
DAY_MILLIS = 86_400_000
# Why a subscription ended, as renewal info and the notification's subtype say it.
INTENTS = {"VOLUNTARY": 1, "BILLING_RETRY": 2, "PRICE_INCREASE": 3, "PRODUCT_NOT_FOR_SALE": 4}


@dataclass(frozen=True)
class Subscriptions:
    """What becomes of a subscription after its first purchase. All raise ControlError."""

    context: Context
    transactions: Transactions
    herald: Herald

    def renew(self, order: Order, *, notify: bool = True) -> Order:
        """A further period is charged, after a failure too."""
        origin, latest = self._chain(order)
        state = origin.extra["subscription"]
        was_failing = state["status"] in (BILLING_RETRY, GRACE)
        if state["status"] == EXPIRED:
            event: tuple[str, str | None] = ("SUBSCRIBED", "RESUBSCRIBE")
        else:
            event = ("DID_RENEW", "BILLING_RECOVERY" if was_failing else None)
        begins = max(self.context.clock.now(), _moment(latest.extra["transaction"]["expiresDate"]))
        if was_failing or state["status"] == EXPIRED:
            begins = self.context.clock.now()
        reason = "PURCHASE" if event[0] == "SUBSCRIBED" else "RENEWAL"
        following = self._charge(latest, PRODUCTS[state["renews_as"]], begins, reason)
        self._set(origin, status=ACTIVE, auto_renew=True, grace_until=None, expiration_intent=None)
        self.herald.tell(following, event, notify=notify)
        return following

    def fail(self, order: Order, *, grace: bool = False, notify: bool = True) -> Order:
        """The card is refused at the end of the period, with or without a period of grace."""
        origin, latest = self._chain(order)
        now = self.context.clock.now()
        self._expire_at(latest, now)
        until = millis(now + timedelta(days=GRACE_DAYS)) if grace else None
        status = GRACE if grace else BILLING_RETRY
        self._set(origin, status=status, grace_until=until, expiration_intent=2)
        event = ("DID_FAIL_TO_RENEW", "GRACE_PERIOD" if grace else None)
        self.herald.tell(latest, event, notify=notify)
        return latest

    def end_grace(self, order: Order, *, notify: bool = True) -> Order:
        """The period of grace is over and the card is still refused."""
        origin, latest = self._chain(order)
        if origin.extra["subscription"]["status"] != GRACE:
            raise ControlError("there is no period of grace")
        self._set(origin, status=BILLING_RETRY, grace_until=None)
        self.herald.tell(latest, ("GRACE_PERIOD_EXPIRED", None), notify=notify)
        return latest

    def expire(self, order: Order, reason: str = "VOLUNTARY", *, notify: bool = True) -> Order:
        """The subscription ends."""
        origin, latest = self._chain(order)
        if reason not in INTENTS:
            raise ControlError(f"a subscription ends by {', '.join(INTENTS)}", 422)
        self._expire_at(latest, self.context.clock.now())
        intent = INTENTS[reason]
        self._set(origin, status=EXPIRED, auto_renew=False, expiration_intent=intent)
        self.herald.tell(latest, ("EXPIRED", reason), notify=notify)
        return latest

    def set_renewal(self, order: Order, *, enabled: bool, notify: bool = True) -> Order:
        """The customer switches the renewal off or on."""
        origin, latest = self._chain(order)
        self._set(origin, auto_renew=enabled)
        subtype = "AUTO_RENEW_ENABLED" if enabled else "AUTO_RENEW_DISABLED"
        self.herald.tell(latest, ("DID_CHANGE_RENEWAL_STATUS", subtype), notify=notify)
        return latest

    def change_plan(self, order: Order, product_id: object, *, notify: bool = True) -> Order:
        """To a higher rank at once, to a lower one with the next period; back is no change."""
        origin, latest = self._chain(order)
        product = PRODUCTS.get(str(product_id))
        current = PRODUCTS[latest.extra["product_id"]]
        if product is None or product.type != SUBSCRIPTION or product.group != current.group:
            raise ControlError(f"{product_id!r} is not of the subscription's group", 422)
        subtype = "DOWNGRADE" if product.level > current.level else None
        if product.level < current.level:
            subtype = "UPGRADE"
            following = self._charge(latest, product, self.context.clock.now(), "PURCHASE")
            latest.extra["transaction"]["isUpgraded"] = True
            self.context.books.put_order(latest)
            latest = following
        self._set(origin, renews_as=product.id)
        self.herald.tell(latest, ("DID_CHANGE_RENEWAL_PREF", subtype), notify=notify)
        return latest

    def extend(self, order: Order, days: int, *, notify: bool = True) -> Order:
        """The developer gives days away."""
        origin, latest = self._chain(order)
        if origin.extra["subscription"]["status"] != ACTIVE:
            raise ControlError("only an active subscription is extended")
        claims = latest.extra["transaction"]
        claims["expiresDate"] += days * DAY_MILLIS
        self.context.books.put_order(latest)
        self.herald.tell(latest, ("RENEWAL_EXTENDED", None), notify=notify)
        return latest

    def _charge(self, latest: Order, product: Product, begins: datetime, reason: str) -> Order:
        now, number = self.context.clock.now(), new_transaction_id()
        claims: Claims = dict(latest.extra["transaction"])
        claims.pop("isUpgraded", None)
        claims |= {
            "transactionId": number,
            "productId": product.id,
            "price": product.amount * 10,
            "transactionReason": reason,
        }
        claims |= period(product, begins, now)
        token = claims.get("appAccountToken")
        following = Order(
            provider=latest.provider,
            merchant=latest.merchant,
            app_id=latest.app_id,
            reference=self.transactions.free_reference(token, number),
            amount=product.amount,
            channel=latest.channel,
            status=PURCHASED,
            subject=product.title,
            created_at=now,
            payer=latest.payer,
            provider_reference=number,
            paid_at=now,
            extra=latest.extra
            | {
                "product_id": product.id,
                "price": product.amount,
                "transaction": claims,
                "order_id": new_order_id(),
            },
        )
        following.extra.pop("subscription", None)
        self.context.books.capture(following, product.amount, now)
        return following

    def _chain(self, order: Order) -> tuple[Order, Order]:
        origin = self.transactions.origin(order)
        if "subscription" not in origin.extra:
            raise ControlError(f"{order.extra['product_id']} is no subscription")
        return origin, self.transactions.latest(order)

    def _set(self, origin: Order, **values: object) -> None:
        # The chain's first transaction may have been stored anew as its latest one.
        stored = self.transactions.origin(origin)
        stored.extra["subscription"] |= values
        self.context.books.put_order(stored)

    def _expire_at(self, latest: Order, now: datetime) -> None:
        claims = latest.extra["transaction"]
        claims["expiresDate"] = min(claims["expiresDate"], millis(now))
        self.context.books.put_order(latest)


def _moment(milliseconds: int) -> datetime:
    return datetime.fromtimestamp(milliseconds / 1000, BEIJING)
