from dataclasses import dataclass

from sandbox.apple_iap.notices import Herald
from sandbox.apple_iap.transactions import Transactions
from sandbox.apple_iap.views import (
    ACTIVE,
    PROVIDER,
    PURCHASED,
    REFUNDED,
    STATUS_REVOKED,
    WHOLE,
    millis,
)
from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.side import ControlError

SUCCESS, REVERSED = "SUCCESS", "REVERSED"
REASONS = (0, 1)
REQUEST_REASONS = (
    "UNINTENDED_PURCHASE",
    "FULFILLMENT_ISSUE",
    "UNSATISFIED_WITH_PURCHASE",
    "LEGAL",
    "OTHER",
)


@dataclass(frozen=True)
class Refunds:
    """What Apple decides about a buyer's wish for money back. All raise ControlError."""

    context: Context
    transactions: Transactions
    herald: Herald

    def request(self, order: Order, reason: str = REQUEST_REASONS[0]) -> Order:
        """The buyer asks; Apple asks the developer, each time with a new UUID."""
        if reason not in REQUEST_REASONS or order.status != PURCHASED:
            raise ControlError(f"no refund of a {order.status} purchase for {reason!r}")
        more = {"consumptionRequestReason": reason}
        self.herald.tell(order, ("CONSUMPTION_REQUEST", None), more=more)
        return order

    def grant(
        self, order: Order, *, share: int = WHOLE, reason: int = 0, notify: bool = True
    ) -> Refund:
        """Money goes back: `share` of 100000, and the purchase is revoked."""
        if order.status != PURCHASED:
            raise ControlError(f"a {order.status} purchase is not refunded")
        if not 0 < share <= WHOLE or reason not in REASONS:
            raise ControlError(f"a share is 1 to {WHOLE}, a reason 0 or 1", 422)
        now, claims = self.context.clock.now(), order.extra["transaction"]
        claims |= {
            "revocationDate": millis(now),
            "revocationReason": reason,
            "revocationType": "REFUND_FULL" if share == WHOLE else "REFUND_PRORATED",
            "revocationPercentage": share,
        }
        paid = order.extra["price"] * order.extra["quantity"]
        refund = Refund(
            provider=PROVIDER,
            merchant=order.merchant,
            reference=order.reference,
            refund_reference=claims["transactionId"],
            provider_reference=claims["transactionId"],
            amount=paid * share // WHOLE,
            status=SUCCESS,
            created_at=now,
            done_at=now,
        )
        order.status = REFUNDED
        order.refunded += refund.amount
        self.context.books.settle_refund(refund, order, now)
        self._set_status(order, STATUS_REVOKED)
        self.herald.tell(order, ("REFUND", None), notify=notify)
        return refund

    def reverse(self, order: Order, *, notify: bool = True) -> Refund:
        """Apple takes the refund back, because the buyer disputed it wrongly."""
        refund = self.of(order)
        if refund is None or order.status != REFUNDED:
            raise ControlError(f"a {order.status} purchase has no refund to take back")
        for name in [key for key in order.extra["transaction"] if key.startswith("revocation")]:
            del order.extra["transaction"][name]
        order.status, refund.status = PURCHASED, REVERSED
        order.refunded -= refund.amount
        self.context.books.undo_refund(refund, order, self.context.clock.now())
        self._set_status(order, ACTIVE)
        self.herald.tell(order, ("REFUND_REVERSED", None), notify=notify)
        return refund

    def refuse(self, order: Order, *, notify: bool = True) -> Order:
        """Apple declines the buyer's wish."""
        if order.status != PURCHASED:
            raise ControlError(f"a {order.status} purchase has no refund to decline")
        self.herald.tell(order, ("REFUND_DECLINED", None), notify=notify)
        return order

    def of(self, order: Order) -> Refund | None:
        """The refund of a transaction, reversed or not."""
        found = self.context.books.refunds_of(order)
        return found[-1] if found else None

    def _set_status(self, order: Order, status: int) -> None:
        origin = self.transactions.origin(order)
        latest = self.transactions.latest(order)
        # A refund of an earlier period leaves the present one alone.
        if "subscription" in origin.extra and latest.reference == order.reference:
            origin.extra["subscription"]["status"] = status
            self.context.books.put_order(origin)
