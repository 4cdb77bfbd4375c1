"""Is this process alive, and can the whole of it take payments?"""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from fastapi import APIRouter, Response
from pydantic import Field
from temporalio.api.enums.v1 import TaskQueueType
from temporalio.api.taskqueue.v1 import TaskQueue
from temporalio.api.workflowservice.v1 import DescribeTaskQueueRequest
from temporalio.client import Client
from temporalio.service import RPCError

from api.dependencies import Deps
from api.problems import Answer
from domain.errors import PaymentError
from storage.database import Database
from workflows.policies import EAGER_QUEUE, TASK_QUEUE

router = APIRouter(tags=["operations"])

PROBE = timedelta(seconds=2)
# A poll lasts up to a minute, and only its beginning is noted.
FRESH_POLL = timedelta(seconds=75)
# Payments that a dead API process carried are gone on with by a worker, too.
_QUEUES = (TASK_QUEUE, EAGER_QUEUE)


class HealthAnswer(Answer):
    """This process runs."""


class ReadyAnswer(Answer):
    """What is there and what is missing."""

    database: bool = Field(description="PostgreSQL answers.")
    temporal: bool = Field(description="The Temporal server answers.")
    worker: bool = Field(description="A worker polls the payments' queues.")


@router.get("/healthz", summary="Liveness")
async def healthz() -> HealthAnswer:
    """Answers while the process can answer at all."""
    return HealthAnswer()


@router.get(
    "/readyz",
    summary="Readiness",
    responses={503: {"model": ReadyAnswer, "description": "Something is missing."}},
)
async def readyz(dependencies: Deps, response: Response) -> ReadyAnswer:
    """Ready means that a payment made now would go through."""
    database, (temporal, worker) = await asyncio.gather(
        _database_answers(dependencies.database), _temporal_and_worker(dependencies.temporal)
    )
    answer = ReadyAnswer(database=database, temporal=temporal, worker=worker)
    missing = [name for name in ("database", "temporal", "worker") if not getattr(answer, name)]
    if not missing:
        return answer
    response.status_code = HTTPStatus.SERVICE_UNAVAILABLE
    return answer.model_copy(
        update={
            "result_code": int(HTTPStatus.SERVICE_UNAVAILABLE),
            "result_msg": "Not ready",
            "err_detail": f"Missing: {', '.join(missing)}.",
        }
    )


async def _database_answers(database: Database) -> bool:
    return await _within(database.ping())


async def _temporal_and_worker(client: Client) -> tuple[bool, bool]:
    try:
        polled = await asyncio.gather(*(_polled(client, queue) for queue in _QUEUES))
    except (RPCError, RuntimeError):
        # A lazy client that never connected raises RuntimeError: the SDK has no type for it.
        return False, False
    return True, all(polled)


async def _polled(client: Client, queue: str) -> bool:
    """By a worker process: the API itself polls for no activities."""
    found = await client.workflow_service.describe_task_queue(
        DescribeTaskQueueRequest(
            namespace=client.namespace,
            task_queue=TaskQueue(name=queue),
            task_queue_type=TaskQueueType.TASK_QUEUE_TYPE_ACTIVITY,
        ),
        timeout=PROBE,
    )
    since = datetime.now(UTC) - FRESH_POLL
    return any(p.last_access_time.ToDatetime(tzinfo=UTC) > since for p in found.pollers)


async def _within(probe: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(PROBE.total_seconds()):
            await probe
    except (PaymentError, TimeoutError):
        return False
    return True
