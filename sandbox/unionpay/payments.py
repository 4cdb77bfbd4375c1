import re
from collections.abc import Mapping
from datetime import datetime
from typing import Any

from sandbox.books import Order
from sandbox.context import Context
from sandbox.side import ControlError
from sandbox.unionpay.envelope import Call
from sandbox.unionpay.errors import AcpError, malformed
from sandbox.unionpay.notices import Herald
from sandbox.unionpay.operations import beijing_time
from sandbox.unionpay.sealing import Fields
from sandbox.unionpay.transactions import PROVIDER, Transactions
from sandbox.unionpay.views import (
    CREATED,
    EXPIRED,
    FAILED,
    OPENED,
    PAID,
    new_query_id,
    new_tn,
)

OPEN_STATES = (CREATED, OPENED)
BALANCE_TOO_LOW, USED_CODE, REVERSED = "64", "86", "46"
COMMODITY = re.compile(r"commodityName=([^&}]*)")
PASSWORD_SECONDS = 5.0
QR_PATH = "/unionpay/qr/"
# The last four digits of a payer's code decide; any other code pays at once. The first value is
# the synchronous respCode, the second what becomes of the payment.
MAGIC_PENDING = {
    "0001": ("05", "paid"),
    "0002": ("05", "failed"),
    "0003": ("05", "pending"),
    "0009": ("00", "failed"),
    "0010": ("00", "paid"),
}
MAGIC_REFUSALS = {"0004": BALANCE_TOO_LOW, "0005": "86", "0006": "88"}
MAGIC_UNCLEAR = {"0007": "04", "0008": "03"}


class Payments:
    """Orders that a payer pays, from the request to the money."""

    def __init__(self, context: Context, transactions: Transactions, herald: Herald) -> None:
        self._context = context
        self._transactions = transactions
        self._herald = herald
        self._tokens: dict[str, tuple[str, str]] = {}
        for order in context.books.orders(PROVIDER):
            self._remember(order)

    def order_for_app(self, call: Call) -> Fields:
        """`appTransReq.do`: a number for the app's SDK. A repeated triple gets none."""
        order = self._new(call)
        order.extra["token"] = order.provider_reference = new_tn(call.fields["txnTime"])
        self._keep(order)
        return {"tn": order.extra["token"]}

    def order_for_scan(self, call: Call) -> Fields:
        """`backTransReq.do` 01/07: the text of a QR code for the payer to scan."""
        order = self._new(call)
        order.extra["token"] = new_tn(call.fields["txnTime"])
        self._keep(order)
        return {"qrCode": f"{self._context.base_url}{QR_PATH}{order.extra['token']}"}

    def order_in_browser(self, call: Call) -> Order:
        """`frontTransReq.do`: the payer's browser brings the order, maybe more than once."""
        known = self._transactions.find(call.fields)
        if isinstance(known, Order) and known.request == _request(call.fields):
            return self.open(known)
        order = self._new(call)
        self._keep(order)
        return self.open(order)

    def charge_code(self, call: Call) -> Fields:
        """`backTransReq.do` 01/06: the merchant scanned the payer's code."""
        order, code_shown = self._new(call), call.fields["qrNo"]
        magic, books = code_shown[-4:], self._context.books
        if books.is_code_used(PROVIDER, code_shown, order.merchant, order.reference):
            raise AcpError(USED_CODE, "qrNo")
        books.use_code(order, code_shown)
        order.status, order.extra["opened"] = OPENED, True
        code, then = MAGIC_PENDING.get(magic, ("00", ""))
        params = call.params("pending")
        if params is not None:
            code, then = str(params.get("code", "05")), str(params.get("then", "paid"))
        if then:
            seconds = float((params or {}).get("seconds", PASSWORD_SECONDS))
            order.extra["pending"] = {"seconds": seconds, "then": then}
            self._keep(order)
        elif refusal := MAGIC_REFUSALS.get(magic):
            self._fail(order, refusal, notify=False)
            raise AcpError(refusal)
        else:
            self.capture(order, order.amount, notify=True)
        if unclear := MAGIC_UNCLEAR.get(magic):
            raise AcpError(unclear)
        if code != "00":
            raise AcpError(code)
        return {"queryId": order.provider_reference} if order.provider_reference else {}

    def find(self, token: str) -> Order:
        """The order behind a `tn` or a QR code's token; raises ControlError."""
        key = self._tokens.get(token)
        order = self._context.books.get_order(PROVIDER, *key) if key else None
        if order is None:
            raise ControlError("no order behind this checkout", 404)
        return order

    def open(self, order: Order) -> Order:
        """The payer's wallet opened it: from now on a query knows it as pending."""
        order = self.refresh(order)
        if order.status == CREATED:
            order.status, order.extra["opened"] = OPENED, True
            self._context.books.put_order(order)
        return order

    def is_open(self, order: Order) -> bool:
        """Whether the payer can still pay."""
        return order.status in OPEN_STATES and not self._is_expired(order)

    def pay(self, order: Order, *, notify: bool, amount: int | None) -> Order:
        """The payer pays, `amount` fen if given; raises ControlError."""
        order = self._payable(order)
        return self.capture(order, order.amount if amount is None else amount, notify=notify)

    def capture(self, order: Order, amount: int, *, notify: bool) -> Order:
        """Mark the order as paid and book the money, in one step."""
        order.status, order.paid_at = PAID, self._context.clock.now()
        order.provider_reference = new_query_id(order.request["txnTime"])
        order.extra["paid_amount"] = amount
        order.extra.pop("pending", None)
        order.extra.pop("code", None)
        self._context.books.capture(order, amount, order.paid_at)
        if notify:
            self._herald.tell(order)
        return order

    def decline(self, order: Order, *, notify: bool) -> Order:
        """The bank refuses. A scanned code is over; any other order can be tried again."""
        order = self._payable(order)
        if order.channel == "barcode":
            return self._fail(order, BALANCE_TOO_LOW, notify=notify)
        order.extra["code"] = BALANCE_TOO_LOW
        self._context.books.put_order(self.open(order))
        return order

    def cancel(self, order: Order, *, notify: bool) -> Order:
        """The payer walks away; UnionPay waits until `payTimeout`."""
        order = self._payable(order)
        if order.channel == "barcode":
            return self._fail(order, BALANCE_TOO_LOW, notify=notify)
        return self.open(order)

    def reverse(self, order: Order) -> Order:
        """A scanned code's payment is over; the money that it may have moved is not touched."""
        return self._fail(order, REVERSED, notify=False)

    def refresh(self, order: Order) -> Order:
        """Let the time that passed take its effect."""
        if order.status not in OPEN_STATES:
            return order
        pending = order.extra.get("pending")
        if pending and self._context.clock.elapsed(order.created_at) >= pending["seconds"]:
            if pending["then"] == "paid":
                return self.capture(order, order.amount, notify=True)
            if pending["then"] == "failed":
                return self._fail(order, BALANCE_TOO_LOW, notify=True)
        if self._is_expired(order):
            order.status, order.closed_at = EXPIRED, self._context.clock.now()
            order.extra.pop("code", None)
            self._context.books.put_order(order)
        return order

    def let_time_pass(self) -> None:
        """Expire what was not paid, decide the scanned codes whose payer has had time."""
        clock, books = self._context.clock, self._context.books
        for status in OPEN_STATES:
            for order in books.due_orders(PROVIDER, status, clock.now(), clock.scale):
                self.refresh(order)

    def _payable(self, order: Order) -> Order:
        order = self.refresh(order)
        if not self.is_open(order):
            raise ControlError(f"the order is {order.status}")
        return order

    def _fail(self, order: Order, code: str, *, notify: bool) -> Order:
        order.status, order.closed_at = FAILED, self._context.clock.now()
        order.extra["code"] = code
        order.extra.pop("pending", None)
        self._context.books.put_order(order)
        if notify:
            self._herald.tell(order)
        return order

    def _is_expired(self, order: Order) -> bool:
        clock = self._context.clock
        return order.expires_at is not None and clock.is_past(order.created_at, order.expires_at)

    def _new(self, call: Call) -> Order:
        fields, now = call.fields, self._context.clock.now()
        reference = self._transactions.claim(fields)
        return Order(
            provider=PROVIDER,
            merchant=call.merchant.mer_id,
            app_id=call.merchant.name,
            reference=reference,
            amount=int(fields["txnAmt"]),
            channel=_channel(call),
            status=CREATED,
            subject=_subject(fields),
            notify_url=fields["backUrl"],
            request=_request(fields),
            created_at=now,
            expires_at=_expiry(fields, now),
        )

    def _keep(self, order: Order) -> None:
        self._context.books.put_order(order)
        self._remember(order)

    def _remember(self, order: Order) -> None:
        if token := order.extra.get("token"):
            self._tokens[token] = (order.merchant, order.reference)


def _request(fields: Mapping[str, str]) -> dict[str, Any]:
    return {key: value for key, value in fields.items() if key != "signature"}


def _channel(call: Call) -> str:
    if call.operation.name != "front":
        return call.operation.name
    return "page" if call.fields["channelType"] == "07" else "wap"


def _subject(fields: Mapping[str, str]) -> str:
    named = COMMODITY.search(fields.get("riskRateInfo", ""))
    return (named and named[1]) or fields.get("orderDesc") or f"Order {fields['orderId']}"


def _expiry(fields: Mapping[str, str], now: datetime) -> datetime | None:
    if "payTimeout" not in fields:
        return None
    at = beijing_time(fields["payTimeout"], "payTimeout")
    if at <= now or at <= beijing_time(fields["txnTime"], "txnTime"):
        raise malformed("payTimeout")
    return at
