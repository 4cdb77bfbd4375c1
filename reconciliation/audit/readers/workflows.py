"""What is open at Temporal."""

import asyncio

from temporalio.api.workflowservice.v1 import DescribeWorkflowExecutionResponse
from temporalio.client import Client, WorkflowExecutionStatus
from temporalio.service import RPCError, RPCStatusCode

from activities.pollers import RunningBuilds
from activities.workflow_tasks import stuck_task
from domain.event import DeliveryStatus
from domain.identity import payment_workflow_id, refund_workflow_id
from domain.payment import PaymentStatus
from domain.refund import RefundStatus
from reconciliation.audit.records import DatabaseRecords, OpenWorkflow

_OPEN = "ExecutionStatus = 'Running'"
_AT_ONCE = 8


async def read_workflows(client: Client, ours: DatabaseRecords) -> list[OpenWorkflow]:
    """Every open workflow. RPCError where Temporal doesn't answer.

    Lists lag behind: the workflows that our pending rows need are looked up one by one.
    """
    listed = {workflow.id async for workflow in client.list_workflows(_OPEN)}
    limit, running = asyncio.Semaphore(_AT_ONCE), RunningBuilds(client)

    async def look(id_: str) -> OpenWorkflow | None:
        async with limit:
            return await _describe(client, id_, running)

    found = await asyncio.gather(*(look(id_) for id_ in sorted(listed | _expected(ours))))
    return [workflow for workflow in found if workflow is not None]


def _expected(ours: DatabaseRecords) -> set[str]:
    payments = {
        payment_workflow_id(payment.id)
        for payment in ours.payments
        if payment.status is PaymentStatus.PENDING
    }
    # A store's report on what was paid: its workflow delivers events, and has no open row.
    waiting = {e.payment_id for e in ours.events if e.delivery is DeliveryStatus.WAITING}
    stores = {chain.workflow_id for chain in ours.chains if chain.payment_id in waiting}
    return (
        payments
        | stores
        | {
            refund_workflow_id(refund.id)
            for refund in ours.refunds
            if refund.status is RefundStatus.PENDING
        }
    )


async def _describe(client: Client, id_: str, running: RunningBuilds) -> OpenWorkflow | None:
    try:
        found = await client.get_workflow_handle(id_).describe()
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    if found.status is not WorkflowExecutionStatus.RUNNING:
        return None
    raw = found.raw_description
    steps = tuple(activity.activity_type.name for activity in raw.pending_activities)
    stuck = await stuck_task(client, found, running)
    return OpenWorkflow(id_, busy=_busy(raw), stuck=stuck, steps=steps)


def _busy(raw: DescribeWorkflowExecutionResponse) -> bool:
    return bool(
        raw.pending_activities or raw.pending_children or raw.HasField("pending_workflow_task")
    )
