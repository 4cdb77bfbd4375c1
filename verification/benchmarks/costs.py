"""What one payment leaves behind: events and actions at Temporal, rows and bytes in our tables."""

import asyncio
from collections import Counter
from typing import TypedDict
from uuid import UUID

from sqlalchemy import text
from temporalio.api.enums.v1 import EventType
from temporalio.client import Client

from domain.identity import payment_workflow_id
from storage.database import Database
from storage.tables import Row

# What Temporal Cloud bills, by event. https://docs.temporal.io/cloud/actions
_BILLED = {
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_STARTED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED,
    EventType.EVENT_TYPE_WORKFLOW_EXECUTION_UPDATE_ACCEPTED,
    EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED,
    EventType.EVENT_TYPE_TIMER_STARTED,
    EventType.EVENT_TYPE_UPSERT_WORKFLOW_SEARCH_ATTRIBUTES,
}

_ENDS_SECONDS = 60


class History(TypedDict):
    """Of one closed run."""

    events: int
    actions: int
    bytes: int
    kinds: dict[str, int]


class TableSizes(TypedDict):
    """Of our database; `bytes` are the tables with their indexes."""

    rows: int
    bytes: int


async def history_of_payment(client: Client, payment_id: str) -> History:
    """Of the run of this payment."""
    return await history(client, payment_workflow_id(UUID(payment_id)))


async def history(client: Client, workflow_id: str) -> History:
    """Of the run once it is closed. TimeoutError where it does not end."""
    handle = client.get_workflow_handle(workflow_id)
    async with asyncio.timeout(_ENDS_SECONDS):
        await handle.result()
    described = (await handle.describe()).raw_description.workflow_execution_info
    kinds: Counter[str] = Counter()
    # All local steps of one workflow task are one action.
    tasks_with_markers: set[int] = set()
    actions = 0
    async for event in handle.fetch_history_events():
        kinds[EventType.Name(event.event_type).removeprefix("EVENT_TYPE_").lower()] += 1
        actions += event.event_type in _BILLED
        if event.HasField("marker_recorded_event_attributes"):
            task = event.marker_recorded_event_attributes.workflow_task_completed_event_id
            tasks_with_markers.add(task)
    return History(
        events=sum(kinds.values()),
        actions=actions + len(tasks_with_markers),
        bytes=described.history_size_bytes,
        kinds=dict(kinds),
    )


async def table_sizes(database: Database) -> TableSizes:
    """What our tables hold now."""
    rows = size = 0
    async with database.statement() as connection:
        for name in Row.metadata.tables:
            count = await connection.scalar(text(f"SELECT count(*) FROM {name}"))  # noqa: S608
            rows += int(count or 0)
            taken = await connection.scalar(
                text("SELECT pg_total_relation_size(CAST(:name AS regclass))"), {"name": name}
            )
            size += int(taken or 0)
    return TableSizes(rows=rows, bytes=size)
