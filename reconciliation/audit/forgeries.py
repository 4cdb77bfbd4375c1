"""Notifications that nobody may believe (P7)."""

from collections.abc import Iterator, Mapping
from datetime import datetime

from reconciliation.audit.finding import Finding, Promise
from reconciliation.audit.records import Attempt, Records

FALSE = frozenset(
    {
        "tamper_body",
        "foreign_key",
        "unknown_serial",
        "signtest",
        "foreign_ca",
        "wrong_cn",
        "expired_certificate",
        "unsigned",
        "bad_signature",
        "alg_hs256",
        "two_certificates",
        "nested_foreign_ca",
        "leaf_without_oid",
        "intermediate_without_oid",
    }
)
# Signed as they must be, about something else. The amount counts only where there is money: what
# is said of an unpaid order changes nothing.
FOREIGN_APP, WRONG_AMOUNT = "foreign_app", "wrong_amount"
# WeChat Pay signs the time. Alipay repeats for a day, and its notifications never
# age; UnionPay's are queried, whatever their time.
AGEING = {"wechatpay": frozenset({"stale"})}


def check_forgeries(records: Records) -> Iterator[Finding]:
    """Every false notification that was acknowledged as good."""
    if records.provider is None:
        return
    paid = {
        move.reference: move.at for move in records.provider.moves if move.refund_reference is None
    }
    for attempt in records.provider.attempts:
        if attempt.accepted and _is_false(attempt, paid):
            yield Finding(
                Promise.FORGERY_BELIEVED,
                attempt.reference,
                f"a notification of {attempt.provider} with the fault {attempt.fault!r}"
                " was acknowledged",
                "Check what it changed; compare with the provider's own answer to a query.",
            )


def _is_false(attempt: Attempt, paid: Mapping[str, datetime | None]) -> bool:
    if attempt.fault == WRONG_AMOUNT:
        if attempt.reference not in paid:
            return False
        since = paid[attempt.reference]
        return since is None or attempt.at is None or attempt.at >= since
    ageing = AGEING.get(attempt.provider, frozenset())
    return attempt.fault in FALSE | ageing | {FOREIGN_APP}
