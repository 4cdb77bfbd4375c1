"""Have a refund that was made at a provider's console recorded, and wait until it is."""

import asyncio
from contextlib import suppress

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.service import RPCError

from domain.errors import Conflict, PaymentError
from domain.payment import Payment
from domain.refund import Refund
from workflows.external_refund import ExternalRefundOrder, ExternalRefundWorkflow
from workflows.starting import external_refund_options

ANSWER_SECONDS = 30.0


class NotRecorded(PaymentError):  # noqa: N818 - as its neighbours in domain/errors.py
    """Temporal or a worker did not answer in time."""

    code = "not_recorded"


async def record_external_refund(client: Client, payment: Payment, refund: Refund) -> Refund:
    """Return the refund as stored; its event is delivered by the workflow that goes on.

    A repeat joins the first one, or finds its outcome.

    Raises:
        Conflict: it can't be one of the payment's refunds; the message says why.
        NotRecorded: no answer in time; the workflow may exist, and a repeat is safe.
    """
    options = external_refund_options(ExternalRefundOrder(refund=refund), payment)
    operation = WithStartWorkflowOperation(
        ExternalRefundWorkflow.run,
        ExternalRefundOrder(refund=refund),
        **options.arguments,
        task_queue=options.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
    )
    try:
        async with asyncio.timeout(ANSWER_SECONDS):
            return await client.execute_update_with_start_workflow(
                ExternalRefundWorkflow.recorded,  # type: ignore[arg-type] # as in api/workflow_calls.py
                start_workflow_operation=operation,
            )
    except WorkflowUpdateFailedError as error:
        cause = error.cause
        if not isinstance(cause, ApplicationError):
            raise
        raise Conflict(cause.message, code=cause.type or Conflict.code) from error
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError, RPCError) as error:
        raise NotRecorded(
            "No worker has recorded the refund in time. Sending the command again is safe."
        ) from error
    finally:
        # Left alone, asyncio logs it as a lost exception.
        with suppress(RPCError, TimeoutError, asyncio.CancelledError):
            async with asyncio.timeout(0):
                await operation.workflow_handle()
