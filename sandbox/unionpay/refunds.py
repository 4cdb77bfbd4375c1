from datetime import timedelta

from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.side import ControlError
from sandbox.unionpay.envelope import Call
from sandbox.unionpay.errors import REFUND_TOO_OLD, AcpError
from sandbox.unionpay.notices import Herald
from sandbox.unionpay.sealing import Fields
from sandbox.unionpay.transactions import PROVIDER, Transactions
from sandbox.unionpay.views import (
    FAILED,
    FAILURE,
    PAID,
    PROCESSING,
    SUCCESS,
    new_query_id,
    settlement_day,
)

PROCESSING_SECONDS = 2.0
LONGEST_AGE = timedelta(days=330)
# The control API speaks every provider's words.
OUTCOMES = {"SUCCESS": SUCCESS, "FAILED": FAILED, "CLOSED": FAILED, "ABNORMAL": FAILED}


class Refunds:
    """Giving money back: a refund is accepted now and done later, an undo is done at once."""

    def __init__(self, context: Context, transactions: Transactions, herald: Herald) -> None:
        self._context = context
        self._transactions = transactions
        self._herald = herald

    def refund(self, call: Call) -> Fields:
        """04/00: part or all of a payment."""
        return self._answer(self._accept(call, PROCESSING))

    def undo(self, call: Call) -> Fields:
        """31/00: a whole payment, on its settlement day, if nothing was refunded."""
        return self._answer(self._accept(call, SUCCESS))

    def complete(self, refund: Refund, status: str, code: str = FAILURE) -> Refund:
        """A refund under way ends, its money moves, the merchant is told; raises ControlError."""
        outcome = OUTCOMES.get(status)
        if refund.status != PROCESSING or outcome is None:
            raise ControlError(f"a {refund.status} refund does not become {status}")
        order, now = self.order_of(refund), self._context.clock.now()
        refund.status, refund.done_at = outcome, now
        refund.extra.pop("pending", None)
        if outcome == SUCCESS:
            order.refunded += refund.amount
            self._context.books.settle_refund(refund, order, now)
        else:
            refund.extra["code"] = code
            self._context.books.put_refund(refund)
        self._herald.tell(refund)
        return refund

    def order_of(self, refund: Refund) -> Order:
        """The payment that the refund is about."""
        order = self._context.books.get_order(PROVIDER, refund.merchant, refund.reference)
        if order is None:
            raise LookupError(f"refund {refund.refund_reference} without its payment")
        return order

    def let_time_pass(self) -> None:
        """Finish the refunds whose bank has had its time."""
        for refund in self._context.books.refunds(PROVIDER, status=PROCESSING):
            pending = refund.extra.get("pending")
            if pending and self._context.clock.elapsed(refund.created_at) >= pending["seconds"]:
                self.complete(refund, pending["then"], pending["code"])

    def _accept(self, call: Call, usual: str) -> Refund:
        fields, now = call.fields, self._context.clock.now()
        reference = self._transactions.claim(fields)
        order = self._transactions.original(fields)
        amount = int(fields["txnAmt"])
        self._check(order, amount, is_undo=call.operation.name == "undo")
        refund = Refund(
            provider=PROVIDER,
            merchant=order.merchant,
            reference=order.reference,
            refund_reference=reference,
            provider_reference=new_query_id(fields["txnTime"]),
            amount=amount,
            status=PROCESSING,
            created_at=now,
            notify_url=fields["backUrl"],
            request={key: value for key, value in fields.items() if key != "signature"},
            extra={"orig_query_id": order.provider_reference},
        )
        self._begin(refund, call, usual)
        return refund

    def _begin(self, refund: Refund, call: Call, usual: str) -> None:
        params = call.params("refund_status") or {}
        status = OUTCOMES.get(params.get("status", usual), PROCESSING)
        then, code = params.get("then", "SUCCESS"), params.get("code", FAILURE)
        if status == PROCESSING and then in OUTCOMES:
            seconds = float(params.get("seconds", PROCESSING_SECONDS))
            refund.extra["pending"] = {"seconds": seconds, "then": then, "code": code}
        with self._context.books.transaction():
            self._context.books.put_refund(refund)
            if status != PROCESSING:
                self.complete(refund, status, code)

    def _check(self, order: Order, amount: int, *, is_undo: bool) -> None:
        now = self._context.clock.now()
        if order.status != PAID or order.paid_at is None:
            raise AcpError("35")
        total = int(order.extra["paid_amount"])
        earlier = [item for item in self._context.books.refunds_of(order) if _holds(item)]
        held = sum(item.amount for item in earlier)
        if held >= total:
            raise AcpError("45")
        if is_undo and (held or settlement_day(order.paid_at) != settlement_day(now)):
            raise AcpError("35", "仅当日未退货的消费可撤销")
        if is_undo and amount != total:
            raise AcpError("36", "txnAmt")
        if held + amount > total:
            raise AcpError("36", "txnAmt")
        if now - order.paid_at > LONGEST_AGE:
            raise AcpError("36", "原交易已过退货期", REFUND_TOO_OLD)

    def _answer(self, refund: Refund) -> Fields:
        return {
            "origQryId": refund.extra["orig_query_id"],
            "queryId": refund.provider_reference or "",
            "txnAmt": str(refund.amount),
        }


def _holds(refund: Refund) -> bool:
    return refund.status != FAILED
