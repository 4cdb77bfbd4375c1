from sandbox.context import Context
from sandbox.wechatpay.answers import Reply
from sandbox.wechatpay.call import PROVIDER, Call
from sandbox.wechatpay.errors import ApiError

ACCOUNT_TYPES = ("BASIC", "OPERATION", "FEES")


class Balances:
    """The merchant's own money: everything is in the basic account."""

    def __init__(self, context: Context) -> None:
        self._context = context

    def query(self, call: Call) -> Reply:
        """`GET /v3/merchant/fund/balance/{account_type}`: amounts in fen."""
        kind = call.path["account_type"]
        if kind not in ACCOUNT_TYPES:
            raise ApiError("PARAM_ERROR", f"account_type应为{'、'.join(ACCOUNT_TYPES)}之一")
        amount = self._collected(call.merchant.mchid) if kind == "BASIC" else 0
        return Reply(200, {"available_amount": amount, "pending_amount": 0})

    def _collected(self, mchid: str) -> int:
        rows = self._context.books.ledger()
        mine = [row for row in rows if (row["provider"], row["merchant"]) == (PROVIDER, mchid)]
        return sum(row["amount"] if row["kind"] == "capture" else -row["amount"] for row in mine)
