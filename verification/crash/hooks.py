"""Steps in the product's own code, each announced at the gate before and after it is taken."""

import re
from collections.abc import Awaitable, Callable, Iterable
from contextvars import ContextVar
from types import ModuleType
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import Engine, event
from sqlalchemy.util import await_only
from temporalio import activity
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.bridge.worker import Worker as Bridge
from temporalio.client import Client
from temporalio.client import Interceptor as ClientInterceptor
from temporalio.worker import ActivityInboundInterceptor, ExecuteActivityInput, Interceptor

from engine.client import connect
from verification.crash.gate import Gate

BEFORE, AFTER = "before", "after"
# What is under way in this task: the workflow that it is for, and the activity's name.
_under_way: ContextVar[tuple[str, str]] = ContextVar("under_way", default=("", "api"))
_NAMED = re.compile(r"^(?:payment-|refund-|late-)?[0-9a-f]{32}$")


class Activities(ClientInterceptor, Interceptor):
    """Announces that an activity begins, and that it has done its work and not reported it."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate
        self.tokens: dict[bytes, tuple[str, str]] = {}

    def intercept_activity(self, next: ActivityInboundInterceptor) -> ActivityInboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap one activity's execution."""
        return _AnnouncedActivity(next, self._gate, self.tokens)


class _AnnouncedActivity(ActivityInboundInterceptor):
    def __init__(
        self,
        following: ActivityInboundInterceptor,
        gate: Gate,
        tokens: dict[bytes, tuple[str, str]],
    ) -> None:
        super().__init__(following)
        self._gate, self._tokens = gate, tokens

    async def execute_activity(self, input: ExecuteActivityInput) -> Any:  # noqa: A002 - the SDK's name
        info = activity.info()
        workflow, name = info.workflow_id or "", info.activity_type
        _under_way.set((workflow, name))
        if not info.is_local:
            self._tokens[info.task_token] = (workflow, name)
        await self._gate.step([workflow], f"{name}: begins")
        try:
            result = await super().execute_activity(input)
        except Exception:  # a crash tool's boundary: every way of failing is a step of its own
            await self._gate.step([workflow], f"{name}: has failed")
            raise
        await self._gate.step([workflow], f"{name}: is done")
        return result


def hook_connection(module: ModuleType, *interceptors: ClientInterceptor) -> None:
    """Give the interceptors to the client, and so to the workers, that `module` connects."""

    async def connected(*args: Any, **more: Any) -> Client:
        config = (await connect(*args, **more)).config()
        config["interceptors"] = [*config["interceptors"], *interceptors]
        return Client(**config)

    setattr(module, connect.__name__, connected)


def hook_database(gate: Gate) -> None:
    """Announce every statement of every connection, and the commits of transactions."""

    def announced(phase: str) -> Callable[..., None]:
        def step(_connection: Any, _cursor: Any, sql: str, parameters: Any, *_: Any) -> None:
            workflow, name = _under_way.get()
            about = [workflow] if workflow else list(_names(parameters))
            await_only(gate.step(about, f"{name}: {_verb(sql)} {phase}"))

        return step

    def committing(_connection: Any) -> None:
        workflow, name = _under_way.get()
        await_only(gate.step([workflow] if workflow else [], f"{name}: COMMIT {BEFORE}"))

    event.listen(Engine, "before_cursor_execute", announced(BEFORE))
    event.listen(Engine, "after_cursor_execute", announced(AFTER))
    event.listen(Engine, "commit", committing)


def hook_calls(gate: Gate) -> None:
    """Announce every outward call, to providers and merchants."""
    send = httpx.AsyncClient.send

    async def announced(self: httpx.AsyncClient, request: httpx.Request, **more: Any) -> Any:
        workflow, name = _under_way.get()
        about = [workflow] if workflow else []
        await gate.step(about, f"{name}: call {BEFORE}")
        answer = await send(self, request, **more)
        await gate.step(about, f"{name}: call {AFTER}")
        return answer

    httpx.AsyncClient.send = announced  # type: ignore[method-assign] # every client, whoever made it


def hook_worker(gate: Gate, activities: Activities) -> None:
    """Announce what the worker tells Temporal: the ends of workflow tasks and of activities."""
    poll, answer, report = (
        Bridge.poll_workflow_activation,
        Bridge.complete_workflow_activation,
        Bridge.complete_activity_task,
    )
    runs: dict[str, str] = {}

    async def polled(self: Bridge) -> WorkflowActivation:
        activation = await poll(self)
        for job in activation.jobs:
            if job.HasField("initialize_workflow"):
                runs[activation.run_id] = job.initialize_workflow.workflow_id
        return activation

    async def answered(self: Bridge, completion: WorkflowActivationCompletion) -> None:
        about, label = [runs.get(completion.run_id, "")], _commands(completion)
        if label is None:
            await answer(self, completion)
            return
        await _around(gate, about, f"task {label}", lambda: answer(self, completion))

    async def reported(self: Bridge, completion: Any) -> None:
        workflow, name = activities.tokens.pop(completion.task_token, ("", ""))
        await _around(gate, [workflow], f"{name}: report", lambda: report(self, completion))

    doors = (polled, answered, reported)
    for door, original in zip(doors, (poll, answer, report), strict=True):
        setattr(Bridge, original.__name__, door)


async def _around(
    gate: Gate, about: list[str], label: str, step: Callable[[], Awaitable[None]]
) -> None:
    about = [name for name in about if name]
    await gate.step(about, f"{label} {BEFORE}")
    await step()
    await gate.step(about, f"{label} {AFTER}")


def _commands(completion: WorkflowActivationCompletion) -> str | None:
    """What the workflow asks for, in words; None where it has nothing to say."""
    said = {str(c.WhichOneof("variant")) for c in completion.successful.commands}
    # These two change nothing by themselves and come with the others.
    said -= {"modify_workflow_properties", "upsert_workflow_search_attributes"}
    return "+".join(sorted(name.replace("_", " ") for name in said)) or None


def _verb(sql: str) -> str:
    return sql.split(maxsplit=1)[0]


def _names(parameters: Any) -> Iterable[str]:
    for value in parameters if isinstance(parameters, (list, tuple)) else ():
        if isinstance(value, UUID):
            yield value.hex
        elif isinstance(value, str) and _NAMED.match(value):
            yield value
