from sandbox.books import Order, Refund
from sandbox.unionpay.envelope import Call
from sandbox.unionpay.errors import AcpError, message
from sandbox.unionpay.payments import Payments
from sandbox.unionpay.refunds import Refunds
from sandbox.unionpay.sealing import Fields
from sandbox.unionpay.transactions import Transactions
from sandbox.unionpay.views import NOT_FOUND, facts, is_done, state_code


class Queries:
    """`queryTrans.do`: respCode says whether the query worked, origRespCode what it found."""

    def __init__(self, transactions: Transactions, payments: Payments, refunds: Refunds) -> None:
        self._transactions = transactions
        self._payments = payments
        self._refunds = refunds

    def query(self, call: Call) -> Fields:
        """The state of a payment, a refund or an undo by its own triple."""
        found = self._found(call)
        if found is None or call.params("empty_refund_query") is not None:
            raise AcpError(NOT_FOUND)
        code = state_code(found)
        if (params := call.params("orig_resp_code")) is not None:
            code = str(params.get("code", "04"))
        if code == NOT_FOUND:
            raise AcpError(NOT_FOUND)
        fields = facts(found) if code in ("00", "A6") or not is_done(found) else {}
        fields |= {"origRespCode": code, "origRespMsg": message(code)}
        return fields | {
            name: found.request[name]
            for name in ("txnType", "txnSubType", "reqReserved")
            if name in found.request
        }

    def _found(self, call: Call) -> Order | Refund | None:
        found = self._transactions.find(call.fields)
        if isinstance(found, Order):
            return self._payments.refresh(found)
        return found
