"""Moving open workflows from one build to another, where that one can go on with them.

Whether it can is tried first: the code of this process replays the workflow's history.
"""

from collections.abc import AsyncIterator
from datetime import timedelta
from enum import StrEnum

from google.protobuf.field_mask_pb2 import FieldMask
from temporalio.api.common.v1 import WorkflowExecution as Identity
from temporalio.api.deployment.v1 import WorkerDeploymentVersion
from temporalio.api.workflow.v1 import VersioningOverride, WorkflowExecutionOptions
from temporalio.api.workflowservice.v1 import UpdateWorkflowExecutionOptionsRequest
from temporalio.client import Client, WorkflowExecution
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import Replayer

from domain.frozen import Frozen
from engine.builds import DEPLOYMENT, open_workflows
from workflows.payment import PaymentWorkflow
from workflows.refund import RefundWorkflow
from workflows.registered import WORKFLOWS, runner

_RPC = timedelta(seconds=10)
# The sweep starts these again from their rows, and they query before they do anything (ADR 21).
_RESTARTABLE = frozenset({PaymentWorkflow.__name__, RefundWorkflow.__name__})
_PINNED = VersioningOverride.PinnedOverrideBehavior.PINNED_OVERRIDE_BEHAVIOR_PINNED


class Outcome(StrEnum):
    """What became of one workflow."""

    MOVED = "moved"
    TERMINATED = "terminated"
    LEFT = "left"


class Moved(Frozen):
    """One workflow of the build that was left, and why it was not moved (empty: it was)."""

    workflow_id: str
    outcome: Outcome
    reason: str = ""


async def move(
    client: Client, source: str, target: str, *, restart: bool = False
) -> AsyncIterator[Moved]:
    """Move each open workflow of the build `source` to `target`, the build of this code.

    A moved workflow goes on immediately, or at its next try where its task was failing. With
    `restart` payments and refunds that cannot be moved are terminated, for the sweep to start them
    again. Raises RPCError; safe to repeat.
    """
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=runner(),
        data_converter=client.data_converter,
        # Payloads are bound to it.
        namespace=client.namespace,
    )
    async for found in open_workflows(client, source):
        try:
            why = await _obstacle(client, replayer, found)
            if why is None:
                await _pin(client, found, target)
                yield Moved(workflow_id=found.id, outcome=Outcome.MOVED)
            elif restart and found.workflow_type in _RESTARTABLE:
                handle = client.get_workflow_handle(found.id, run_id=found.run_id)
                await handle.terminate(f"build {target} cannot go on: {why}", rpc_timeout=_RPC)
                yield Moved(workflow_id=found.id, outcome=Outcome.TERMINATED, reason=why)
            else:
                yield Moved(workflow_id=found.id, outcome=Outcome.LEFT, reason=why)
        except RPCError as error:
            # It has ended since it was listed.
            if error.status is not RPCStatusCode.NOT_FOUND:
                raise


async def _obstacle(client: Client, replayer: Replayer, found: WorkflowExecution) -> str | None:
    """Why this code cannot go on with the workflow; None where it can."""
    if found.workflow_type not in {each.__name__ for each in WORKFLOWS}:
        return f"this build has no {found.workflow_type}"
    handle = client.get_workflow_handle(found.id, run_id=found.run_id)
    history = await handle.fetch_history(rpc_timeout=_RPC)
    replayed = await replayer.replay_workflow(history, raise_on_replay_failure=False)
    failure = replayed.replay_failure
    return None if failure is None else type(failure).__name__


async def _pin(client: Client, found: WorkflowExecution, target: str) -> None:
    version = WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=target)
    pinned = VersioningOverride.PinnedOverride(behavior=_PINNED, version=version)
    await client.workflow_service.update_workflow_execution_options(
        UpdateWorkflowExecutionOptionsRequest(
            namespace=client.namespace,
            workflow_execution=Identity(workflow_id=found.id, run_id=found.run_id),
            workflow_execution_options=WorkflowExecutionOptions(
                versioning_override=VersioningOverride(pinned=pinned)
            ),
            update_mask=FieldMask(paths=["versioning_override"]),
        ),
        timeout=_RPC,
    )
