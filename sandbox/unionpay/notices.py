# What a notification says. It is frozen when the event happens; signing, afresh for every
# attempt, is `Herald.build`'s.
import secrets
from collections.abc import Callable
from dataclasses import dataclass
from datetime import timedelta
from typing import Any
from urllib.parse import urlencode

from sandbox.books import Order, Refund
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.side import Message, Notice
from sandbox.unionpay.envelope import FORM, charset_of
from sandbox.unionpay.errors import message
from sandbox.unionpay.keys import KeyRing
from sandbox.unionpay.operations import beijing_time
from sandbox.unionpay.sealing import Fields, seal
from sandbox.unionpay.views import FAILED, PAID, PROCESSING, announcement, state_code

LADDER = (60.0, 120.0, 240.0, 300.0)
FOREIGN_MER_ID = "777290058110048"
SEAL_FLAWS = (
    "foreign_ca",
    "wrong_cn",
    "expired_certificate",
    "foreign_key",
    "signtest",
    "unknown_serial",
    "bad_signature",
)


@dataclass(frozen=True)
class Herald:
    """Tells the merchant's `backUrl` what happened."""

    context: Context
    keys: KeyRing

    def tell(self, record: Order | Refund) -> None:
        """Schedule the notification that belongs to the new state, if there is one."""
        self.context.notifier.schedule(self.notice(record))

    def notice(self, record: Order | Refund) -> Notice | None:
        """The notification of the state as it is.

        A payer's payment is only told when it succeeded; what the merchant asked for in the
        back office (refund, undo, a scanned code) also when it failed.
        """
        if isinstance(record, Refund):
            is_told = record.status != PROCESSING
        else:
            is_told = record.status == PAID or (
                record.status == FAILED and record.channel == "barcode"
            )
        if not is_told or not record.notify_url:
            return None
        code = state_code(record)
        return Notice(
            notice_id=secrets.token_hex(16),
            provider=record.provider,
            merchant=record.merchant,
            reference=record.reference,
            kind="refund" if isinstance(record, Refund) else "payment",
            url=record.notify_url,
            content=announcement(record) | {"respCode": code, "respMsg": message(code)},
        )

    def build(self, notice: Notice, fault: Fault | None) -> Message:
        """Sign one attempt, or missign it as the fault says."""
        kind, params = (fault.kind, fault.params) if fault else ("", {})
        fields: Fields = dict(notice.content)
        if kind in BEFORE_SIGNING:
            fields |= BEFORE_SIGNING[kind](fields, params)
        charset = charset_of(fields)
        flaw = kind if kind in SEAL_FLAWS else None
        sealed = seal(self.keys, self.keys.merchants[notice.merchant], fields, charset, flaw)
        if kind == "unsigned":
            del sealed["signature"]
        if kind == "tamper_body":
            sealed["txnAmt"] = f"1{sealed['txnAmt']}"
        body = urlencode(sealed, encoding=charset).encode("ascii")
        return Message({"content-type": f"{FORM};charset={charset.upper()}"}, body)

    def front_return(self, order: Order) -> tuple[str, Fields] | None:
        """Where the browser posts after paying, and the signed fields; it proves nothing."""
        target = order.request.get("frontUrl")
        if target is None or order.status != PAID:
            return None
        code = state_code(order)
        fields = announcement(order) | {"respCode": code, "respMsg": message(code)}
        merchant = self.keys.merchants[order.merchant]
        return target, seal(self.keys, merchant, fields, charset_of(fields))


def _wrong_amount(fields: Fields, params: dict[str, Any]) -> Fields:
    wrong = str(params.get("amount", int(fields["txnAmt"]) + 1))
    return {"txnAmt": wrong} | ({"settleAmt": wrong} if "settleAmt" in fields else {})


def _foreign_merchant(_fields: Fields, params: dict[str, Any]) -> Fields:
    return {"merId": str(params.get("mer_id", FOREIGN_MER_ID))}


def _stale(fields: Fields, _params: dict[str, Any]) -> Fields:
    earlier = beijing_time(fields["txnTime"], "txnTime") - timedelta(days=1)
    return {"txnTime": f"{earlier:%Y%m%d%H%M%S}"}


def _another_code(_fields: Fields, params: dict[str, Any]) -> Fields:
    code = str(params.get("code", "A6"))
    return {"respCode": code, "respMsg": message(code)}


def _gbk(_fields: Fields, _params: dict[str, Any]) -> Fields:
    return {"encoding": "GBK"}


BEFORE_SIGNING: dict[str, Callable[[Fields, dict[str, Any]], Fields]] = {
    "wrong_amount": _wrong_amount,
    "foreign_app": _foreign_merchant,
    "stale": _stale,
    "resp_code": _another_code,
    "gbk": _gbk,
}
NOTIFY_FAULTS = (*BEFORE_SIGNING, *SEAL_FLAWS, "tamper_body", "unsigned")
