"""What the same load is put on: the floor, or our payments through one provider."""

import time
from dataclasses import dataclass
from datetime import timedelta
from typing import Protocol
from uuid import uuid4

from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from verification.benchmarks import floor
from verification.benchmarks.ends import Ends

_RPC = timedelta(seconds=20)


class BenchError(Exception):
    """A payment did not go as it must: there is nothing to measure."""


@dataclass(frozen=True)
class Opened:
    """A payment that waits to be paid, and what its payer was shown."""

    id: str
    shown: str = ""


@dataclass(frozen=True)
class Notified:
    """Seconds from a notification until it was acknowledged, and until its event was delivered."""

    acknowledge: float
    webhook: float


class Side(Protocol):
    """One kind of payment."""

    name: str

    async def whole(self) -> None:
        """One payment from the order to the delivered event; the provider notifies by itself."""
        ...

    async def create(self) -> Opened:
        """An open payment."""
        ...

    async def pay(self, opened: Opened, /) -> None:
        """The payer pays; nothing is notified."""
        ...

    async def notified(self, opened: Opened) -> Notified:
        """One notification of a paid one, and all that follows."""
        ...


class Floor:
    """The bare workflow."""

    name = "floor"

    def __init__(self, client: Client, ends: Ends) -> None:
        self._client = client
        self._ends = ends

    async def whole(self) -> None:
        """As `Side`."""
        await self.notified(await self.create())

    async def create(self) -> Opened:
        """As `Side`."""
        order = uuid4().hex
        await self._client.execute_update_with_start_workflow(
            floor.FloorWorkflow.checkout,
            start_workflow_operation=WithStartWorkflowOperation(
                floor.FloorWorkflow.run,
                order,
                id=f"floor-{order}",
                task_queue=floor.QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            ),
            id=f"checkout-{order}",
            rpc_timeout=_RPC,
        )
        return Opened(order)

    async def pay(self, _opened: Opened) -> None:
        """As `Side`: nobody is asked for money."""

    async def notified(self, opened: Opened) -> Notified:
        """As `Side`: one bare signal."""
        handle = self._client.get_workflow_handle_for(floor.FloorWorkflow.run, f"floor-{opened.id}")
        begun = time.perf_counter()
        await handle.signal(floor.FloorWorkflow.notify, "paid", rpc_timeout=_RPC)
        acknowledged = time.perf_counter()
        delivered = await self._ends.delivered(opened.id)
        return Notified(acknowledged - begun, delivered - begun)
