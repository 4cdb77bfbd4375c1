from pathlib import Path

from alembic import command
from alembic.config import Config
from sqlalchemy import Connection, text
from sqlalchemy.ext.asyncio import create_async_engine
from sqlalchemy.pool import NullPool

from storage.privileges import grant_privileges, harden

MIGRATIONS = Path(__file__).parent / "migrations"
# Any number, as long as it stays: whoever migrates holds it, whoever comes later waits.
_LOCK = 5_140_211


async def upgrade(url: str, *, runtime_role: str | None = None) -> None:
    """Bring the database at `url` to the newest schema; safe to call from several processes.

    `url` is the owner's; `runtime_role` gets what API and workers need. None where they use the
    owner's role, as on a database of a developer's own. Raises UnusableRole where that role could
    not be kept to its privileges.
    """
    engine = create_async_engine(url, poolclass=NullPool)
    try:
        async with engine.begin() as connection:
            await connection.execute(text("SELECT pg_advisory_xact_lock(:key)"), {"key": _LOCK})
            await connection.run_sync(_upgrade)
            await connection.run_sync(harden)
            if runtime_role is not None:
                await connection.run_sync(grant_privileges, runtime_role)
    finally:
        await engine.dispose()


def _upgrade(connection: Connection) -> None:
    config = Config()
    # A "%" in an option begins a reference to another one.
    config.set_main_option("script_location", str(MIGRATIONS).replace("%", "%%"))
    config.attributes["connection"] = connection
    command.upgrade(config, "head")
