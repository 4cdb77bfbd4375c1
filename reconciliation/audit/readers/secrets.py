"""Where secrets may not be: logs, what Temporal keeps, and our own database."""

import asyncio
import json
import mmap
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from sqlalchemy import select
from temporalio.client import Client

from reconciliation.audit.finding import Finding
from reconciliation.audit.privacy import in_clear, unsealed
from storage.database import Database
from storage.tables import Row, notifications

_AT_ONCE = 8


def search_files(files: Iterable[Path], secrets: Mapping[str, str]) -> list[Finding]:
    """Every secret that can be read in these files, Temporal's own database among them."""
    found: list[Finding] = []
    for path in files:
        if path.stat().st_size == 0:
            continue
        with path.open("rb") as file, mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as text:
            found += in_clear(path.name, text, secrets)
    return found


async def search_histories(
    client: Client, secrets: Mapping[str, str], most: int
) -> tuple[int, list[Finding]]:
    """How many of the newest workflows were read (`most` at most), and what was found in them.

    Histories are read raw, as anybody with access to Temporal would see them: inputs, results,
    failures, memo, summaries and search attributes. RPCError.
    """
    ids = [workflow.id async for workflow in client.list_workflows(limit=most)]
    limit = asyncio.Semaphore(_AT_ONCE)

    async def look(id_: str) -> list[Finding]:
        async with limit:
            return await _search(client, id_, secrets)

    found = await asyncio.gather(*(look(id_) for id_ in ids))
    return len(ids), [finding for findings in found for finding in findings]


async def search_database(database: Database, secrets: Mapping[str, str]) -> list[Finding]:
    """Every secret that can be read in a row of ours. DatabaseUnavailable.

    Not in `notifications.body`: a provider may name the payer there, and none knows our secrets.
    """
    found: dict[str, Finding] = {}
    for table in Row.metadata.sorted_tables:
        columns = [column for column in table.c if column is not notifications.c.body]
        async with database.transaction() as connection:
            async for row in await connection.stream(select(*columns)):
                for finding in in_clear(f"table {table.name}", _bytes_of(row), secrets):
                    found[finding.what] = finding
    return list(found.values())


def _bytes_of(row: Iterable[object]) -> bytes:
    return b"\0".join(
        value
        if isinstance(value, bytes)
        else json.dumps(value, default=str, ensure_ascii=False).encode()
        for value in row
    )


async def _search(client: Client, id_: str, secrets: Mapping[str, str]) -> list[Finding]:
    found: dict[str, Finding] = {}
    handle = client.get_workflow_handle(id_)
    async for event in handle.fetch_history_events():
        place = f"the history of {id_}"
        for finding in in_clear(place, event.SerializeToString(), secrets):
            found[finding.what] = finding
        for finding in unsealed(place, event):
            found[finding.what] = finding
    return list(found.values())


def log_files(state_dir: Path) -> Sequence[Path]:
    """Our own logs and Temporal's files in an embedded stack's folder. The sandbox's are theirs."""
    logs = [path for path in (state_dir / "logs").glob("*.log*") if "sandbox" not in path.name]
    return [*sorted(logs), *sorted((state_dir / "temporal").glob("temporal.db*"))]
