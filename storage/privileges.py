"""What the runtime role may do, table by table (ADR 24).

The owner's role migrates and owns; API, workers and commands run as another role, which can neither
drop a guard nor write what no code of ours writes. Applied anew after each migration, in its
transaction. A table that is not named here cannot be used at all, as a test verifies.
"""

from dataclasses import dataclass

from sqlalchemy import Connection, text

# Not the identity and request of a payment or refund, the content of events, the notifications:
# only the functions below erase parts of these.
_UPDATED = {
    "payments": (
        *("status", "checkout", "provider_reference", "raw_status", "captured", "paid_at"),
        *("refund_reserved", "refunded", "late", "duplicate", "attention", "attention_detail"),
        *("failure", "last_sequence"),
        *("test", "store_price", "store_currency", "offer"),
    ),
    "refunds": (
        *("status", "provider_reference", "raw_status", "refunded_at", "failure"),
        *("attention", "attention_detail"),
    ),
    "events": (
        *("delivery", "attempts", "delivered_at", "last_attempt_at", "last_http_status"),
        *("last_error", "veto"),
    ),
    # `payment_id` is only set to itself, to lock a row that is there: the table's guard holds it.
    "grants": ("payment_id", "signed_at", "expires_at", "revoked_at", "revoked_share"),
    "entitlements": (
        *("payment_id", "merchant_id", "product_id", "product_type", "transaction_id"),
        *("purchased_at", "status", "expires_at", "grace_until", "auto_renews"),
        *("signed_at", "test"),
    ),
    "notifications": ("outcome", "detail", "repeats", "last_received_at"),
    "merchants": ("name", "webhook_url", "webhook_secret", "late_policy"),
    "api_keys": ("revoked_at",),
    "deployment": ("identity_key",),
    "alarms": ("count", "last_at", "detail"),
}
# The first are called by triggers, which run with the rights of whoever writes.
FUNCTIONS = (
    *("raise_violation(text, text)", "is_forgotten(uuid)"),
    *("erased_event(jsonb)", "erased_failure(jsonb)"),
    *("forget_payment(uuid)", "forget_notifications(timestamptz, integer)"),
)
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


_OWNED_RELATIONS = text(
    "SELECT oid::regclass::text FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S')"
    " AND relnamespace = 'public'::regnamespace AND pg_has_role(relowner, 'USAGE')"
)
_OWNED_FUNCTIONS = text(
    "SELECT oid::regprocedure::text FROM pg_proc"
    " WHERE pronamespace = 'public'::regnamespace AND proowner = current_user::regrole"
    # Nor an extension's, which a superuser may have put there.
    " AND NOT EXISTS (SELECT FROM pg_depend WHERE objid = pg_proc.oid AND deptype = 'e')"
)
_ABOVE = text(
    "SELECT rolsuper OR pg_has_role(oid, current_user, 'MEMBER') FROM pg_roles"
    " WHERE rolname = :role"
)


class UnusableRole(RuntimeError):  # noqa: N818 - the name says what it is
    """The runtime role does not exist, or no privilege could be withheld from it."""


def harden(connection: Connection) -> None:
    """Withhold from every role what the owner creates, now and later, unless it is granted.

    PostgreSQL lets everyone call a new function. And a function without a search path of its own
    resolves names by its caller's, where a temporary table comes first; a migration that replaces
    a function loses the path, so that it is set anew here.
    """
    for function in connection.scalars(_OWNED_FUNCTIONS).all():
        _execute(connection, f"ALTER FUNCTION {function} SET search_path = public, pg_temp")
        _execute(connection, f"REVOKE ALL ON FUNCTION {function} FROM PUBLIC")
    for granted in PRIVILEGES:
        _execute(connection, f"REVOKE ALL ON {granted.table} FROM PUBLIC")
    for kind in ("FUNCTIONS", "TABLES", "SEQUENCES"):
        _execute(connection, f"ALTER DEFAULT PRIVILEGES REVOKE ALL ON {kind} FROM PUBLIC")


def grant_privileges(connection: Connection, role: str) -> None:
    """Give the role exactly the privileges of `PRIVILEGES` and `FUNCTIONS`, whatever it had.

    Raises UnusableRole where there is no such role, or it is a superuser or a member of the
    connection's own role.
    """
    _verify(connection, role)
    quote = connection.dialect.identifier_preparer.quote
    runtime = quote(role)
    database = quote(str(connection.execute(text("SELECT current_database()")).scalar_one()))
    statements = [
        f"REVOKE ALL ON DATABASE {database} FROM PUBLIC, {runtime}",
        f"GRANT CONNECT ON DATABASE {database} TO {runtime}",
        f"REVOKE ALL ON SCHEMA public FROM PUBLIC, {runtime}",
        f"GRANT USAGE ON SCHEMA public TO {runtime}",
    ]
    for kind, owned in (("TABLE", _OWNED_RELATIONS), ("FUNCTION", _OWNED_FUNCTIONS)):
        names = connection.scalars(owned).all()
        statements += [f"REVOKE ALL ON {kind} {name} FROM {runtime}" for name in names]
    for kind in ("FUNCTIONS", "TABLES", "SEQUENCES"):
        for place in ("", "IN SCHEMA public "):
            statements.append(
                f"ALTER DEFAULT PRIVILEGES {place}REVOKE ALL ON {kind} FROM {runtime}"
            )
    for granted in PRIVILEGES:
        statements.append(f"GRANT SELECT ON {granted.table} TO {runtime}")
        if granted.inserts:
            statements.append(f"GRANT INSERT ON {granted.table} TO {runtime}")
        if granted.updated:
            columns = ", ".join(map(quote, granted.updated))
            statements.append(f"GRANT UPDATE ({columns}) ON {granted.table} TO {runtime}")
    statements += [f"GRANT EXECUTE ON FUNCTION {function} TO {runtime}" for function in FUNCTIONS]
    for statement in statements:
        _execute(connection, statement)


def _verify(connection: Connection, role: str) -> None:
    above = connection.scalar(_ABOVE, {"role": role})
    if above is None:
        raise UnusableRole(
            f"There is no database role {role!r}: CREATE ROLE {role} LOGIN PASSWORD '…', or name"
            " another in PAYSAGA_DATABASE_RUNTIME_ROLE."
        )
    if above:
        raise UnusableRole(
            f"The database role {role!r} is the owner of the tables, a member of it, or a"
            " superuser: nothing could be withheld from it. Name another in"
            " PAYSAGA_DATABASE_RUNTIME_ROLE."
        )


def _execute(connection: Connection, statement: str) -> None:
    # Not `text`, which takes a name's colon for a parameter.
    connection.exec_driver_sql(statement)
