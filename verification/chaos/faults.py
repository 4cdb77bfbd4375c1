"""What may go wrong, and with what parameters: bounded, so that every run comes to an end."""

from random import Random
from typing import Any

from sandbox.scenarios import FALSE
from verification.chaos.cases import CASES, OUTSIDE_PAYMENTS
from verification.chaos.plan import Fault

# Seconds of an answer that does not come: under, at and over the patience of our callers.
_HANGS = (0, 0, 0, 1, 3, 5)
_ANSWERS = ("unsigned", "bad_signature", "signtest", "garbled")
_CALLS = ("lost_answer", "server_error", "system_error", "rate_limited", "delay", *_ANSWERS)
_TOLD_OTHERWISE = ("lose", "delay", "duplicate", "reorder")
# The kinds that only a refund knows.
_REFUND_ONLY = ("refund_status", "refund_status")


def of_create(random: Random, provider: str, channel: str) -> list[Fault]:
    """Faults of the submission, and of the questions that it leads to."""
    if channel in CASES[provider].local or not chance(random, 0.35):
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
    if not CASES[provider].closes:
        return [_of_call(random, provider, "query")]
    operation = "cancel" if channel == "barcode" else "close"
    return [_of_call(random, provider, random.choice((operation, operation, "*")))]


def of_notification(random: Random, provider: str) -> list[Fault]:
    """Faults of the payment's notification; the rung after them is a true one."""
    if not chance(random, 0.45):
        return []
    cases = CASES[provider]
    kinds = (*_TOLD_OTHERWISE, *_TOLD_OTHERWISE, *FALSE, *cases.notification_faults)
    count = 1 if cases.repeats_slowly else random.choice((1, 1, 2))
    return [_of_notify(random, random.choice(kinds)) for _ in range(count)]


def of_refund(random: Random, provider: str) -> list[Fault]:
    """Faults of a refund's submission and of the questions after it."""
    faults = []
    if chance(random, 0.3):
        faults.append(_of_call(random, provider, "refund"))
    elif chance(random, 0.4):
        kinds = (*_REFUND_ONLY, *CASES[provider].refund_faults)
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
    return tuple(random.sample(CASES[provider].forgeries, random.choice((1, 1, 2))))


def outside_payments(random: Random) -> tuple[str, Fault]:
    """A provider, and a fault of a call that no payment makes, for whoever makes it next."""
    # A choice of one would be drawn all the same.
    several = len(OUTSIDE_PAYMENTS) > 1
    provider, call = random.choice(OUTSIDE_PAYMENTS) if several else OUTSIDE_PAYMENTS[0]
    return provider, _of_call(random, provider, call)


def _of_call(random: Random, provider: str, operation: str) -> Fault:
    kind = random.choice((*_CALLS, *CASES[provider].call_faults))
    return Fault(operation, kind, _params(random, provider, kind), times=random.choice((1, 1, 2)))


def _params(random: Random, provider: str, kind: str) -> dict[str, Any]:
    if kind == "lost_answer":
        return {"seconds": random.choice(_HANGS)}
    if kind == "delay":
        return {"seconds": random.choice((1, 2, 4))}
    if kind in ("server_error", "rate_limited"):
        executed = {"executed": chance(random, 0.5)}
        if kind == "server_error" and CASES[provider].varies_server_errors:
            return executed | ({"http_status": 502} if chance(random, 0.5) else {})
        return executed if kind == "rate_limited" else {}
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
