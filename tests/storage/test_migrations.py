import asyncio
import shutil
from pathlib import Path
from typing import Any

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Connection
from sqlalchemy.ext.asyncio import create_async_engine

from storage import migrate
from storage.migrate import upgrade
from storage.privileges import UnusableRole
from storage.tables import Row


async def test_processes_that_start_together_migrate_once(empty_url: str) -> None:
    await asyncio.gather(*(upgrade(empty_url) for _ in range(5)))

    connection = await asyncpg.connect(empty_url.replace("+asyncpg", ""))
    assert await connection.fetchval("SELECT version_num FROM alembic_version") == "0001"
    await connection.close()


async def test_an_upgraded_database_takes_another_upgrade_as_nothing(owner_url: str) -> None:
    await upgrade(owner_url)


async def test_the_tables_in_python_are_the_tables_in_the_database(owner_url: str) -> None:
    def differences(connection: Connection) -> list[Any]:
        context = MigrationContext.configure(
            connection, opts={"compare_type": True, "compare_server_default": False}
        )
        return [
            change
            for change in compare_metadata(context, Row.metadata)
            # Indexes and constraints stand in the migration alone.
            if change[0] not in ("remove_index", "remove_constraint")
        ]

    engine = create_async_engine(owner_url)
    async with engine.connect() as connection:
        assert await connection.run_sync(differences) == []
    await engine.dispose()


async def test_a_checkout_in_any_path_is_migrated(
    empty_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    migrations = tmp_path / "50%off (here)s" / "migrations"
    shutil.copytree(migrate.MIGRATIONS, migrations)
    monkeypatch.setattr(migrate, "MIGRATIONS", migrations)

    await upgrade(empty_url)
    await upgrade(empty_url)


async def test_a_migration_that_fails_leaves_nothing(empty_url: str) -> None:
    with pytest.raises(UnusableRole):
        await upgrade(empty_url, runtime_role="nobody-else")

    connection = await asyncpg.connect(empty_url.replace("+asyncpg", ""))
    assert await connection.fetchval("SELECT to_regclass('public.payments')") is None
    await connection.close()
