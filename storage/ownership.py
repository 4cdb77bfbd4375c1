"""Whether a process runs as the role that owns the tables, which mode production refuses."""

from sqlalchemy import text

from storage.database import Database

# Also a member of the owner's role, or a superuser, may take the guards away.
_OWNS = text(
    """
    SELECT coalesce(bool_or(pg_has_role(current_user, relowner, 'MEMBER')), false)
           OR (SELECT rolsuper FROM pg_roles WHERE rolname = current_user)
    FROM pg_class WHERE relname = 'payments' AND relnamespace = 'public'::regnamespace
    """
)


class OwnsTables(RuntimeError):  # noqa: N818 - the name says what it is
    """The process could disable the constraints and triggers that guard the money."""


async def refuse_ownership(database: Database) -> None:
    """Raise OwnsTables where the connection's role owns our tables; DatabaseUnavailable."""
    async with database.statement() as connection:
        owns = (await connection.execute(_OWNS)).scalar_one()
    if owns:
        raise OwnsTables(
            "PAYSAGA_DATABASE_URL names a role that owns the tables (or a superuser). Run only the"
            " migration as the owner, with PAYSAGA_DATABASE_RUNTIME_ROLE naming the role of API and"
            " workers (docs/operations.md, Deploy)."
        )
