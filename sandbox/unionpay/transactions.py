from collections.abc import Mapping

from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.unionpay.errors import AcpError

PROVIDER = "unionpay"


class Transactions:
    """Payments and refunds by the triple (merId, orderId, txnTime): one name space for both.

    An `orderId` may be used again on another day; it is then kept as `orderId@YYYYMMDD`.
    """

    def __init__(self, context: Context) -> None:
        self._books = context.books

    def find(self, fields: Mapping[str, str]) -> Order | Refund | None:
        """What exactly this triple named, if anything."""
        found = self._on_day(fields["merId"], fields["orderId"], fields["txnTime"])
        return found if found and found.request["txnTime"] == fields["txnTime"] else None

    def claim(self, fields: Mapping[str, str]) -> str:
        """The reference for a new transaction; raises AcpError if the day has one already."""
        mer_id, order_id, txn_time = fields["merId"], fields["orderId"], fields["txnTime"]
        if self._on_day(mer_id, order_id, txn_time):
            raise AcpError("12")
        is_fresh = self._named(mer_id, order_id) is None
        return order_id if is_fresh else _dated(order_id, txn_time)

    def original(self, fields: Mapping[str, str]) -> Order:
        """The payment that a refund or an undo is about; raises AcpError."""
        ways: list[Order | Refund | None] = []
        if "origQryId" in fields:
            ways.append(self._books.order_by_provider_reference(PROVIDER, fields["origQryId"]))
        if "origOrderId" in fields or "origTxnTime" in fields:
            ways.append(self._by_triple(fields))
        if not ways:
            raise AcpError("13", "origQryId")
        found = ways[0]
        if not isinstance(found, Order) or found.merchant != fields["merId"]:
            raise AcpError("35")
        if ways[-1] != found:
            raise AcpError("36", "origQryId")
        return found

    def _by_triple(self, fields: Mapping[str, str]) -> Order | Refund | None:
        for name in ("origOrderId", "origTxnTime"):
            if name not in fields:
                raise AcpError("13", name)
        names = {"orderId": fields["origOrderId"], "txnTime": fields["origTxnTime"]}
        return self.find({"merId": fields["merId"], **names})

    def _on_day(self, mer_id: str, order_id: str, txn_time: str) -> Order | Refund | None:
        for reference in (order_id, _dated(order_id, txn_time)):
            found = self._named(mer_id, reference)
            if found and found.request["txnTime"][:8] == txn_time[:8]:
                return found
        return None

    def _named(self, mer_id: str, reference: str) -> Order | Refund | None:
        order = self._books.get_order(PROVIDER, mer_id, reference)
        return order or self._books.get_refund(PROVIDER, mer_id, reference)


def _dated(order_id: str, txn_time: str) -> str:
    return f"{order_id}@{txn_time[:8]}"
