"""What the runtime role may do, table by table (ADR 24).

The owner's role migrates and owns; API, workers and commands run as another role, which can neither
drop a guard nor write what no code of ours writes. Applied anew after each migration, in its
transaction. A table that is not named here cannot be used at all, and a test says so.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

# What identifies a payment or refund, what was asked for and what a merchant was sent stays.
# `metadata` and `data` are for their erasure alone, which triggers hold.
_UPDATED = {
    "payments": (
        *("status", "checkout", "provider_reference", "raw_status", "captured", "paid_at"),
        *("refund_reserved", "refunded", "late", "duplicate", "attention", "attention_detail"),
        *("failure", "last_sequence", "metadata"),
        *("test", "store_price", "store_currency", "offer"),
    ),
    "refunds": (
        *("status", "provider_reference", "raw_status", "refunded_at", "failure"),
        *("attention", "attention_detail"),
    ),
    "events": (
        *("delivery", "attempts", "delivered_at", "last_attempt_at", "last_http_status"),
        *("last_error", "veto", "data"),
    ),
    # `payment_id` is only set to itself, to lock a row that is there; `app` once, in a row of an
    # earlier release. The table's guard holds both.
    "grants": ("app", "payment_id", "signed_at", "expires_at", "revoked_at", "revoked_share"),
    "entitlements": (
        *("payment_id", "merchant_id", "product_id", "product_type", "transaction_id"),
        *("purchased_at", "status", "expires_at", "grace_until", "auto_renews"),
        *("signed_at", "test"),
    ),
    "notifications": (*("outcome", "detail", "repeats", "last_received_at", "body", "headers"),),
    "merchants": ("name", "webhook_url", "webhook_secret", "late_policy"),
    "api_keys": ("revoked_at",),
    "deployment": ("identity_key",),
    "alarms": ("count", "last_at", "detail"),
}
# Read, so that a process can say which schema it found.
_READ_ONLY = ("alembic_version",)


@dataclass(frozen=True)
class Privileges:
    """What the runtime role may do with one table: read and insert, and change these columns."""

    table: str
    inserts: bool
    updated: tuple[str, ...]


PRIVILEGES = (
    *(Privileges(table, inserts=True, updated=columns) for table, columns in _UPDATED.items()),
    *(Privileges(table, inserts=False, updated=()) for table in _READ_ONLY),
)


def grant_privileges(connection: Connection, role: str) -> None:
    """Give the role exactly the privileges of `PRIVILEGES`, whatever it had.

    `role` exists and is neither the connection's own role nor a member of it.
    """
    quote = connection.dialect.identifier_preparer.quote
    runtime = quote(role)
    database = quote(str(connection.execute(text("SELECT current_database()")).scalar_one()))
    statements = [
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC, {runtime}",
        f"GRANT CONNECT ON DATABASE {database} TO {runtime}",
        f"REVOKE ALL ON SCHEMA public FROM PUBLIC, {runtime}",
        f"GRANT USAGE ON SCHEMA public TO {runtime}",
        f"REVOKE ALL ON ALL TABLES IN SCHEMA public FROM PUBLIC, {runtime}",
        f"REVOKE ALL ON ALL FUNCTIONS IN SCHEMA public FROM PUBLIC, {runtime}",
    ]
    for granted in PRIVILEGES:
        statements.append(f"GRANT SELECT ON {granted.table} TO {runtime}")
        if granted.inserts:
            statements.append(f"GRANT INSERT ON {granted.table} TO {runtime}")
        if granted.updated:
            columns = ", ".join(map(quote, granted.updated))
            statements.append(f"GRANT UPDATE ({columns}) ON {granted.table} TO {runtime}")
    # A trigger's own calls of functions run with its caller's rights.
    statements.append(f"GRANT EXECUTE ON FUNCTION refuse(text, text) TO {runtime}")
    for statement in statements:
        connection.exec_driver_sql(statement)
