"""What may go wrong, and with what parameters: bounded, so that every run comes to an end."""

from random import Random
from typing import Any

from verification.chaos.plan import Fault

# Seconds of an answer that does not come: under, at and over the patience of our callers.
_HANGS = (0, 0, 0, 1, 3, 5)
_ANSWERS = ("unsigned", "bad_signature", "signtest", "garbled")
_CALLS = ("lost_answer", "server_error", "system_error", "rate_limited", "delay", *_ANSWERS)
_FALSE = ("tamper_body", "foreign_key", "unknown_serial", "signtest")
_TOLD_OTHERWISE = ("lose", "delay", "duplicate", "reorder")
_AFTERWARDS = (*_FALSE, "wrong_amount", "foreign_app", "stale")
# Certificates that must not sign for UnionPay.
_SIGNERS = ("foreign_ca", "wrong_cn", "expired_certificate")
# The kinds that only a refund knows.
_REFUND_ONLY = ("refund_status", "refund_status", "fund_change_n")
# Only signed here: no call, no faults of it.
_LOCAL = {
    "alipay": frozenset({"app", "page", "wap"}),
    "unionpay": frozenset({"page", "wap"}),
}
# Orders that nobody can end before their time: only questions are asked.
_NO_CLOSE = frozenset({"unionpay"})
_OWN_CALLS = {"unionpay": _SIGNERS}
_OWN_NOTIFICATIONS = {
    "alipay": ("gbk",),
    "wechatpay": ("escaped_slashes",),
    "unionpay": ("gbk", "resp_code", *_SIGNERS),
}
_OWN_FORGERIES = {"unionpay": _SIGNERS}
# A store's amount is its own affair, and yesterday's word of it is as true as today's.
_OF_A_STORE = (
    *_FALSE,
    "foreign_app",
    "foreign_ca",
    "expired_certificate",
    "unsigned",
    "bad_signature",
    "alg_hs256",
    "two_certificates",
    "nested_foreign_ca",
    "leaf_without_oid",
    "intermediate_without_oid",
)
_FORGED = {"apple_iap": _OF_A_STORE}
# Alipay's second notification comes minutes after the first: one fault is enough to wait for.
_PATIENT_LADDER = frozenset({"alipay"})


def of_create(random: Random, provider: str, channel: str) -> list[Fault]:
    """Faults of the submission, and of the questions that it leads to."""
    if channel in _LOCAL.get(provider, ()) or not chance(random, 0.35):
        return []
    if channel == "barcode" and chance(random, 0.3):
        then = random.choice(("paid", "paid", "failed"))
        seconds = random.choice((5, 40, 120))
        return [Fault("create", "pending", {"then": then, "seconds": seconds})]
    faults = [_of_call(random, provider, "create")]
    if chance(random, 0.4):
        faults.append(_of_call(random, provider, "query"))
    return faults


def of_query(random: Random, provider: str) -> list[Fault]:
    """Faults of a question while the payer takes their time."""
    return [_of_call(random, provider, "query")] if chance(random, 0.15) else []


def of_close(random: Random, provider: str, channel: str) -> list[Fault]:
    """Faults of the end at the provider."""
    if not chance(random, 0.5):
        return []
    if provider in _NO_CLOSE:
        return [_of_call(random, provider, "query")]
    operation = "cancel" if channel == "barcode" else "close"
    return [_of_call(random, provider, random.choice((operation, operation, "*")))]


def of_notification(random: Random, provider: str) -> list[Fault]:
    """Faults of the payment's notification; the rung after them is a true one."""
    if not chance(random, 0.45):
        return []
    extra = _OWN_NOTIFICATIONS.get(provider, ())
    kinds = (*_TOLD_OTHERWISE, *_TOLD_OTHERWISE, *_FALSE, *extra)
    count = 1 if provider in _PATIENT_LADDER else random.choice((1, 1, 2))
    return [_of_notify(random, random.choice(kinds)) for _ in range(count)]


def of_refund(random: Random, provider: str) -> list[Fault]:
    """Faults of a refund's submission and of the questions after it."""
    faults = []
    if chance(random, 0.3):
        faults.append(_of_call(random, provider, "refund"))
    elif chance(random, 0.4):
        kinds = _REFUND_ONLY if provider == "alipay" else _REFUND_ONLY[:2]
        faults.append(_own_of_refund(random, random.choice(kinds)))
    if chance(random, 0.15):
        faults.append(Fault("refund_query", "empty_refund_query", {}))
    if chance(random, 0.15):
        faults.append(_of_call(random, provider, "refund_query"))
    return faults


def afterwards(random: Random, provider: str) -> tuple[str, ...]:
    """False notifications that are sent on purpose, whatever the state of the payment."""
    if not chance(random, 0.3):
        return ()
    kinds = _FORGED.get(provider, (*_AFTERWARDS, *_OWN_FORGERIES.get(provider, ())))
    return tuple(random.sample(kinds, random.choice((1, 1, 2))))


def of_certificates(random: Random) -> Fault:
    """A fault of WeChat Pay's list of certificates, for whoever asks next."""
    return _of_call(random, "wechatpay", "certificates")


def _of_call(random: Random, provider: str, operation: str) -> Fault:
    kind = random.choice((*_CALLS, *_OWN_CALLS.get(provider, ())))
    return Fault(operation, kind, _params(random, provider, kind), times=random.choice((1, 1, 2)))


def _params(random: Random, provider: str, kind: str) -> dict[str, Any]:
    if kind == "lost_answer":
        return {"seconds": random.choice(_HANGS)}
    if kind == "delay":
        return {"seconds": random.choice((1, 2, 4))}
    if kind in ("server_error", "rate_limited"):
        executed = {"executed": chance(random, 0.5)}
        if kind == "server_error" and provider == "alipay":
            return executed | ({"http_status": 502} if chance(random, 0.5) else {})
        return executed if provider == "alipay" or kind == "rate_limited" else {}
    return {}


def _of_notify(random: Random, kind: str) -> Fault:
    if kind == "delay":
        return Fault("notify", kind, {"seconds": random.choice((20, 100, 300))})
    if kind == "duplicate":
        return Fault("notify", kind, {"times": random.choice((2, 3, 6))})
    if kind == "reorder":
        return Fault("notify", kind, {"seconds": random.choice((1, 3))})
    return Fault("notify", kind, {})


def _own_of_refund(random: Random, kind: str) -> Fault:
    if kind == "fund_change_n":
        return Fault("refund", kind, {"executed": chance(random, 0.5)})
    then = random.choice(("SUCCESS", "SUCCESS", "SUCCESS", "CLOSED", "ABNORMAL"))
    seconds = random.choice((20, 100, 300))
    return Fault("refund", kind, {"status": "PROCESSING", "then": then, "seconds": seconds})


def chance(random: Random, of_one: float) -> bool:
    """True with this probability."""
    return random.random() < of_one
