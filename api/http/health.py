"""Is this process alive, and can the whole of it take payments?"""

import asyncio
from collections.abc import Awaitable
from datetime import UTC, datetime, timedelta
from http import HTTPStatus

from fastapi import APIRouter, FastAPI, Request, Response
from pydantic import Field
from temporalio.service import RPCError

from api.dependencies import Dependencies, Deps
from api.http.problems import Answer
from domain.errors import PaymentError
from engine.polling import PROBE, polled_by
from storage.database import Database
from workflows.policies import RUN_QUEUES

router = APIRouter(tags=["operations"])

# A poll lasts up to a minute, and only its beginning is noted.
FRESH_POLL = timedelta(seconds=75)
# Each check costs a statement and several calls of Temporal, and has no credential.
READY_SECONDS = 1.0


class HealthAnswer(Answer):
    """This process runs."""


class ReadyAnswer(Answer):
    """What is there and what is missing."""

    database: bool = Field(description="PostgreSQL answers.")
    temporal: bool = Field(description="The Temporal server answers.")
    worker: bool = Field(description="A worker of this build polls the payments' queues.")


# It is the same whenever it can be sent at all, so it is rendered once.
_ALIVE = HealthAnswer().model_dump_json().encode()


@router.get("/healthz", summary="Liveness", response_model=HealthAnswer)
async def healthz() -> Response:
    """Answers while the process can answer at all."""
    return Response(_ALIVE, media_type="application/json")


@router.get(
    "/readyz",
    summary="Readiness",
    responses={503: {"model": ReadyAnswer, "description": "Something is missing."}},
)
async def readyz(request: Request, dependencies: Deps, response: Response) -> ReadyAnswer:
    """Ready means that a payment made now would go through."""
    readiness: _Readiness = request.app.state.readiness
    answer = await readiness.answer(dependencies)
    response.status_code = answer.result_code or HTTPStatus.OK
    return answer


class _Readiness:
    """Caches the readiness for `READY_SECONDS`; concurrent requests share one check."""

    def __init__(self) -> None:
        self._checking: asyncio.Task[ReadyAnswer] | None = None
        self._checked_at = 0.0

    async def answer(self, dependencies: Dependencies) -> ReadyAnswer:
        checking = self._checking
        now = asyncio.get_running_loop().time()
        if checking is None or (checking.done() and now >= self._checked_at + READY_SECONDS):
            checking = self._checking = asyncio.create_task(self._check(dependencies))
        # A caller that is cancelled must not cancel the check of the others.
        return await asyncio.shield(checking)

    async def _check(self, dependencies: Dependencies) -> ReadyAnswer:
        try:
            return await _readiness_now(dependencies)
        finally:
            self._checked_at = asyncio.get_running_loop().time()


def install(app: FastAPI) -> None:
    """Give the application its cache of the readiness."""
    app.state.readiness = _Readiness()


async def _readiness_now(dependencies: Dependencies) -> ReadyAnswer:
    database, (temporal, worker) = await asyncio.gather(
        _database_answers(dependencies.database), _temporal_and_worker(dependencies)
    )
    answer = ReadyAnswer(database=database, temporal=temporal, worker=worker)
    missing = [name for name in ("database", "temporal", "worker") if not getattr(answer, name)]
    if not missing:
        return answer
    return answer.model_copy(
        update={
            "result_code": int(HTTPStatus.SERVICE_UNAVAILABLE),
            "result_msg": "Not ready",
            "err_detail": f"Missing: {', '.join(missing)}.",
        }
    )


async def _database_answers(database: Database) -> bool:
    return await _within(database.ping())


async def _temporal_and_worker(dependencies: Dependencies) -> tuple[bool, bool]:
    client, build_id = dependencies.temporal, dependencies.settings.build_id
    since = datetime.now(UTC) - FRESH_POLL
    try:
        found = await asyncio.gather(
            *(polled_by(client, queue, since, build_id) for queue in RUN_QUEUES)
        )
    except (RPCError, RuntimeError):
        # A lazy client that never connected raises RuntimeError: the SDK has no type for it.
        return False, False
    return True, all(found)


async def _within(probe: Awaitable[None]) -> bool:
    try:
        async with asyncio.timeout(PROBE.total_seconds()):
            await probe
    except (PaymentError, TimeoutError):
        return False
    return True
