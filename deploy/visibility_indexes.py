"""Drop the indexes of Temporal's visibility table that nothing is searched by, or restore them.

Usage: python -m deploy.visibility_indexes used|all

Temporal keeps an index for every attribute that a workflow might be searched by, some 75, and each
row that is written goes into most of them: two thirds of a payment's write-ahead log. `used` keeps
those of the search attributes that the namespace has, and of what Temporal itself searches by.
`all` restores the others, from the definitions that were kept when they were dropped. Both are safe
to repeat and work while the server runs. Before an upgrade of Temporal's schema run `all`: its
statements expect every index that an earlier one made.
"""

import asyncio
import re
import sys
from collections.abc import Mapping
from collections.abc import Set as AbstractSet
from pathlib import Path
from typing import Literal

import asyncpg
from pydantic import Field, PostgresDsn
from pydantic_settings import BaseSettings, SettingsConfigDict
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConfig

Wanted = Literal["used", "all"]

# Columns of Temporal's schema that are not searched by: not by the UI's filters, our queries, or
# the server, which looks for `TemporalWorkerDeploymentVersion` and `TemporalNamespaceDivision`.
_SYSTEM = frozenset(
    {
        "execution_time",
        "history_length",
        "history_size_bytes",
        "execution_duration",
        "state_transition_count",
        "task_queue",
        "parent_workflow_id",
        "parent_run_id",
        "root_workflow_id",
        "root_run_id",
        "temporalchangeversion",
        "binarychecksums",
        "buildids",
        "temporalpauseinfo",
        "temporalreportedproblems",
        "temporalworkflowversioningbehavior",
        "temporalworkerdeployment",
        "temporalusedworkerdeploymentversions",
        "batcheruser",
        "temporalscheduledstarttime",
        "temporalscheduledbyid",
        "temporalschedulepaused",
        "temporalexternalpayloadsizebytes",
        "temporalexternalpayloadcount",
    }
)
# Those that a namespace gives its own names to, and those that Temporal keeps for its components.
_RESERVED = re.compile(
    r"(temporal)?(bool|datetime|double|int|(lowcardinality)?keyword(list)?|text)\d\d"
)

# The columns of each index without those that every index has.
_INDEXES = """
SELECT index.relname AS name,
       pg_get_indexdef(index.oid) AS definition,
       array(SELECT attname FROM pg_attribute
             WHERE attrelid = made.indrelid AND attnum = ANY (made.indkey::int2[])
               AND attname NOT IN ('namespace_id', 'start_time', 'close_time', 'run_id')) AS columns
FROM pg_index AS made
JOIN pg_class AS index ON index.oid = made.indexrelid
WHERE made.indrelid = 'executions_visibility'::regclass AND NOT made.indisprimary
"""
_REMEMBER = """
CREATE TABLE IF NOT EXISTS dropped_indexes (name text PRIMARY KEY, definition text NOT NULL)
"""
_KEEP = """
INSERT INTO dropped_indexes VALUES ($1, $2) ON CONFLICT (name) DO UPDATE SET definition = $2
"""
_HALF_MADE = """
SELECT 1 FROM pg_index WHERE indexrelid = to_regclass($1) AND NOT indisvalid
"""
# A statement waits for those that use the table: longer than any of them should take.
_LOCK_TIMEOUT = "30s"


class VisibilitySettings(BaseSettings):
    """Where Temporal's visibility database is."""

    model_config = SettingsConfigDict(env_prefix="TEMPORAL_VISIBILITY_")

    database_url: PostgresDsn = Field(description="postgresql://user@host:port/name")
    database_password_file: Path | None = None

    async def connect(self) -> asyncpg.Connection:
        """Connect as the owner of the table."""
        path = self.database_password_file
        password = path.read_text().strip() if path else None
        settings = {"lock_timeout": _LOCK_TIMEOUT, "application_name": "paysaga-visibility-indexes"}
        return await asyncpg.connect(
            str(self.database_url), password=password, server_settings=settings
        )


def is_unused(columns: AbstractSet[str], aliased: AbstractSet[str]) -> bool:
    """Whether an index on these columns serves nobody.

    `aliased` are the reserved columns that the namespace's own search attributes are in. A column
    that this release does not know is taken for used.
    """
    reserved = {name for name in columns if _RESERVED.fullmatch(name)} - aliased
    return bool(columns) and columns <= (_SYSTEM | reserved)


async def aliased_columns(client: Client) -> set[str]:
    """Return the reserved columns that the namespace's own search attributes are in."""
    request = DescribeNamespaceRequest(namespace=client.namespace)
    found = await client.workflow_service.describe_namespace(request)
    aliases: Mapping[str, str] = found.config.custom_search_attribute_aliases
    return {field.lower() for field in aliases}


async def drop_unused(connection: asyncpg.Connection, aliased: AbstractSet[str]) -> list[str]:
    """Drop each unused index, keeping its definition; returns their names."""
    await connection.execute(_REMEMBER)
    found = await connection.fetch(_INDEXES)
    unused = [row for row in found if is_unused(set(row["columns"]), aliased)]
    for row in unused:
        await connection.execute(_KEEP, row["name"], row["definition"])
        await connection.execute(f'DROP INDEX CONCURRENTLY IF EXISTS "{row["name"]}"')
    return [row["name"] for row in unused]


async def restore(connection: asyncpg.Connection) -> list[str]:
    """Create every index that was dropped; returns their names."""
    await connection.execute(_REMEMBER)
    dropped = await connection.fetch("SELECT name, definition FROM dropped_indexes ORDER BY name")
    for row in dropped:
        name = row["name"]
        if await connection.fetchval(_HALF_MADE, name):
            await connection.execute(f'DROP INDEX CONCURRENTLY "{name}"')
        creates = "CREATE INDEX CONCURRENTLY IF NOT EXISTS "
        await connection.execute(row["definition"].replace("CREATE INDEX ", creates, 1))
        await connection.execute("DELETE FROM dropped_indexes WHERE name = $1", name)
    return [row["name"] for row in dropped]


async def change(wanted: Wanted) -> list[str]:
    """Bring the indexes to what is wanted; returns the names of those that were changed."""
    connection = await VisibilitySettings().connect()
    try:
        if wanted == "all":
            return await restore(connection)
        client = await Client.connect(**ClientConfig.load_client_connect_config())
        aliased = await aliased_columns(client)
        if not aliased:
            raise SystemExit(
                f"Namespace {client.namespace} has no search attributes: nothing done."
            )
        return await drop_unused(connection, aliased)
    finally:
        await connection.close()


def main(arguments: list[str]) -> None:
    """Run the command; exit 1 where it is called with anything but `used` or `all`."""
    match arguments:
        case ["used" | "all" as wanted]:
            changed = asyncio.run(change(wanted))
            verb = "dropped" if wanted == "used" else "restored"
            sys.stdout.write(f"{verb} {len(changed)} indexes\n")
        case _:
            sys.exit("Usage: python -m deploy.visibility_indexes used|all")


if __name__ == "__main__":
    main(sys.argv[1:])
