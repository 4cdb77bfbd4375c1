import secrets
from datetime import datetime

from sandbox.books import Order
from sandbox.context import Context
from sandbox.side import ControlError
from sandbox.wechatpay.call import PROVIDER
from sandbox.wechatpay.checkouts import Checkouts
from sandbox.wechatpay.notices import payment_notice

OPEN_STATES = ("NOTPAY", "USERPAYING")
TRANSACTION_PREFIX = "4200"


class Payer:
    """The person with the phone."""

    def __init__(self, context: Context, checkouts: Checkouts) -> None:
        self._context = context
        self._checkouts = checkouts

    def is_open(self, order: Order) -> bool:
        """Whether the order can be paid now: neither finished nor too old."""
        if order.status not in OPEN_STATES:
            return False
        if order.channel == "codepay":
            return True
        clock = self._context.clock
        expired = order.expires_at and clock.is_past(order.created_at, order.expires_at)
        return not expired and self._checkouts.has_live_prepay(order)

    def pay(self, order: Order, *, notify: bool, amount: int | None) -> Order:
        """Money moves; `amount` fen instead of the order's. Raises ControlError."""
        if not self.is_open(order):
            raise ControlError(f"the order is {order.status} or has expired")
        if amount is not None:
            order.extra["paid_total"] = amount
        self.capture(order)
        if notify and order.notify_url:
            self._context.notifier.schedule(payment_notice(order))
        return order

    def capture(self, order: Order) -> None:
        """Mark the order as paid and book the money, in one step."""
        now = self._context.clock.now()
        order.status, order.paid_at = "SUCCESS", now
        order.provider_reference = transaction_id(now)
        order.payer = order.payer or f"o{secrets.token_urlsafe(20)}"
        self._context.books.capture(order, order.extra.get("paid_total", order.amount), now)

    def decline(self, order: Order) -> Order:
        """The attempt fails: a barcode payment is over, any other order can be tried again."""
        if not self.is_open(order):
            raise ControlError(f"the order is {order.status} or has expired")
        if order.status == "USERPAYING":
            order.status = "PAYERROR"
            self._context.books.put_order(order)
        return order

    def let_time_pass(self) -> None:
        """Finish the barcode payments whose payer has had time to type the password."""
        for order in self._context.books.orders(PROVIDER, status="USERPAYING"):
            pending = order.extra.get("pending", {})
            since = datetime.fromisoformat(pending["since"])
            if self._context.clock.elapsed(since) < pending["seconds"]:
                continue
            if pending["then"] == "paid":
                self.capture(order)
            elif pending["then"] == "failed":
                self.decline(order)


def transaction_id(now: datetime) -> str:
    """28 digits, the day inside, like WeChat Pay's own."""
    return f"{TRANSACTION_PREFIX}{secrets.randbelow(10**6):06}{now:%Y%m%d}{random_digits(10)}"


def random_digits(count: int) -> str:
    """`count` decimal digits."""
    return f"{secrets.randbelow(10**count):0{count}}"
