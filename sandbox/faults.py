import json
from dataclasses import asdict, dataclass, field
from typing import Any

from sandbox.database import Database

CALL_OPERATIONS = (
    "create",
    "query",
    "close",
    "cancel",
    "refund",
    "refund_query",
    "certificates",
    "order_lookup",
    "consumption",
    "test_notification",
    "finish",
    "token",
    "extend",
    "balance",
    "sync",
)
# What a store may sign, and what the signature may be worth.
SIGNED_KINDS = (
    "alg_hs256",
    "tamper_body",
    "nested_foreign_ca",
    "leaf_without_oid",
    "intermediate_without_oid",
    "two_certificates",
    "foreign_app",
    "wrong_environment",
    "wrong_amount",
    "wrong_product",
    "quantity",
    "missing_token",
    "foreign_token",
    "upper_case_token",
    "unknown_serial",
    "stale",
)
CALL_KINDS = (
    "lost_answer",
    "server_error",
    "system_error",
    "rate_limited",
    "unsigned",
    "bad_signature",
    "signtest",
    "pending",
    "garbled",
    "delay",
    "refund_status",
    "fund_change_n",
    "empty_refund_query",
    "late_answer",
    "resp_code",
    "orig_resp_code",
    "foreign_key",
    "foreign_ca",
    "wrong_cn",
    "expired_certificate",
    "not_found",
    "error_code",
    "credit_pay_mode",
    "unauthorized",
    *SIGNED_KINDS,
)
# What happens on the way, whatever the provider.
NOTIFIER_KINDS = ("lose", "delay", "duplicate", "reorder")
NOTIFY_KINDS = (
    *NOTIFIER_KINDS,
    "foreign_key",
    "signtest",
    "gbk",
    "resp_code",
    "foreign_ca",
    "wrong_cn",
    "expired_certificate",
    "unsigned",
    "bad_signature",
    "unknown_type",
    "escaped_slashes",
    *SIGNED_KINDS,
)

# Without these the answer cannot be written; the App Store has a code by default.
NEEDED = {("alipay", "error_code"): "sub_code", ("wechatpay", "error_code"): "code"}


@dataclass(kw_only=True)
class Fault:
    """One scripted misbehaviour.

    `operation` is one of `CALL_OPERATIONS`, `notify`, or `*` (any call); `reference` None means
    any order or refund; `times` -1 means until it is deleted.
    """

    provider: str
    operation: str
    kind: str
    reference: str | None = None
    times: int = 1
    params: dict[str, Any] = field(default_factory=dict)

    def problem(self) -> str | None:
        """Return why this fault can never happen, or None."""
        kinds = NOTIFY_KINDS if self.operation == "notify" else CALL_KINDS
        if self.operation not in (*CALL_OPERATIONS, "notify", "*"):
            return f"unknown operation {self.operation!r}"
        if self.kind not in kinds:
            return f"{self.operation} knows {', '.join(kinds)}; not {self.kind!r}"
        needed = NEEDED.get((self.provider, self.kind))
        if needed and needed not in self.params:
            return f"{self.kind} needs params.{needed}"
        return None


class FaultBook:
    """The script of faults; it outlives the process."""

    def __init__(self, database: Database) -> None:
        self._db = database

    def add(self, fault: Fault) -> int:
        """Append a fault and return its id."""
        values = asdict(fault) | {"params": json.dumps(fault.params)}
        return self._db.execute(
            "INSERT INTO faults (provider, operation, kind, reference, times, params)"
            " VALUES (?,?,?,?,?,?)",
            *values.values(),
        )

    def take(self, provider: str, operation: str, *references: str | None) -> Fault | None:
        """Consume one use of the oldest fault that fits, if any.

        `references` are the names of what is at hand (an order, and its refund).
        """
        for row in self._db.rows("SELECT * FROM faults WHERE provider=? ORDER BY id", provider):
            if row["operation"] not in (operation, "*" if operation != "notify" else operation):
                continue
            if row["reference"] is not None and row["reference"] not in references:
                continue
            self._use(row)
            row.pop("id")
            return Fault(**row | {"params": json.loads(row["params"])})
        return None

    def all(self) -> list[dict[str, Any]]:
        """What is still to happen."""
        rows = self._db.rows("SELECT * FROM faults ORDER BY id")
        return [row | {"params": json.loads(row["params"])} for row in rows]

    def clear(self) -> None:
        """Behave from now on."""
        self._db.execute("DELETE FROM faults")

    def _use(self, row: dict[str, Any]) -> None:
        if row["times"] == 1:
            self._db.execute("DELETE FROM faults WHERE id=?", row["id"])
        elif row["times"] > 1:
            self._db.execute("UPDATE faults SET times=times-1 WHERE id=?", row["id"])
