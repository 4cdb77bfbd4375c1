from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.unionpay.envelope import Call
from sandbox.unionpay.errors import AcpError
from sandbox.unionpay.payments import OPEN_STATES, REVERSED, Payments
from sandbox.unionpay.sealing import Fields
from sandbox.unionpay.transactions import PROVIDER, Transactions
from sandbox.unionpay.views import PAID, SUCCESS, new_query_id, settlement_day


class Reversals:
    """99/01: a payment by the payer's code whose outcome the merchant does not know is undone.

    The field list is not published: this reads it as carrying the payment's own triple.
    """

    def __init__(self, context: Context, transactions: Transactions, payments: Payments) -> None:
        self._context = context
        self._transactions = transactions
        self._payments = payments

    def reverse(self, call: Call) -> Fields:
        """Whether it was paid or not, afterwards it is not; raises AcpError."""
        order = self._transactions.find(call.fields)
        if not isinstance(order, Order) or order.channel != "barcode":
            raise AcpError("35")
        order = self._payments.refresh(order)
        if order.extra.get("code") == REVERSED:
            raise AcpError(REVERSED)
        if order.status not in (*OPEN_STATES, PAID):
            raise AcpError("35")
        with self._context.books.transaction():
            if order.status == PAID:
                self._give_back(order, call)
            self._payments.reverse(order)
        return {}

    def _give_back(self, order: Order, call: Call) -> None:
        now = self._context.clock.now()
        if self._context.books.refunds_of(order):
            raise AcpError("45")
        if order.paid_at and settlement_day(order.paid_at) != settlement_day(now):
            raise AcpError("35", "仅当日交易可冲正")
        order.refunded = int(order.extra["paid_amount"])
        refund = Refund(
            provider=PROVIDER,
            merchant=order.merchant,
            reference=order.reference,
            # A colon cannot be in a merchant's number, so this one is never taken.
            refund_reference=f"reverse:{order.reference}",
            provider_reference=new_query_id(call.fields["txnTime"]),
            amount=order.refunded,
            status=SUCCESS,
            created_at=now,
            done_at=now,
            request=dict(call.fields),
            extra={"orig_query_id": order.provider_reference},
        )
        self._context.books.settle_refund(refund, order, now)
