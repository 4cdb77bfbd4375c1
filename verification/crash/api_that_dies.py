"""The product's own API and the runs in it, stopping at every step until the conductor says so."""

from typing import Any

from fastapi import FastAPI
from temporalio.client import Interceptor, OutboundInterceptor
from temporalio.service import RPCError, RPCStatusCode

from api import app
from api.payments import eager_start
from verification.crash.clock import forgive, hasten
from verification.crash.gate import Gate
from verification.crash.hooks import (
    AFTER,
    BEFORE,
    Activities,
    hook_calls,
    hook_connection,
    hook_database,
    hook_worker,
)


class Commands(Interceptor):
    """Announces what the API asks of Temporal."""

    def __init__(self, gate: Gate) -> None:
        self._gate = gate

    def intercept_client(self, next: OutboundInterceptor) -> OutboundInterceptor:  # noqa: A002 - the SDK's name
        """Wrap the client's calls."""
        return _AnnouncedCommands(next, self._gate)


class _AnnouncedCommands(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, gate: Gate) -> None:
        super().__init__(following)
        self._gate = gate

    async def start_workflow(self, input: Any) -> Any:  # noqa: A002 - the SDK's name
        label = "start with signal" if input.start_signal else "start"
        return await self._announced(input.id, label, super().start_workflow(input))

    async def signal_workflow(self, input: Any) -> None:  # noqa: A002 - the SDK's name
        await self._announced(input.id, "signal", super().signal_workflow(input))

    async def start_workflow_update(self, input: Any) -> Any:  # noqa: A002 - the SDK's name
        return await self._announced(input.id, "update", super().start_workflow_update(input))

    async def start_update_with_start_workflow(self, input: Any) -> Any:  # noqa: A002 - the SDK's name
        workflow = input.start_workflow_input.id
        call = super().start_update_with_start_workflow(input)
        return await self._announced(workflow, "update with start", call)

    async def _announced(self, workflow: str, label: str, call: Any) -> Any:
        await self._gate.step([workflow], f"api: {label} {BEFORE}")
        answer = await call
        try:
            await self._gate.step([workflow], f"api: {label} {AFTER}")
        except ConnectionResetError as error:
            raise RPCError(str(error), RPCStatusCode.UNAVAILABLE, b"") from error
        return answer


def create_app() -> FastAPI:
    """The application with the gate in every step, on a short clock."""
    gate = Gate()
    hasten()
    forgive()
    hook_database(gate)
    hook_calls(gate)
    hook_connection(app, Commands(gate))
    activities = Activities(gate)
    hook_worker(gate, activities)
    hook_connection(eager_start, Commands(gate), activities)
    return app.create_app()
