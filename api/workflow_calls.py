"""Start, query and signal workflows, and what each way of failing means.

A call that gets no answer may still have done its work: every one is safe to repeat with the
same ids.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowExecutionStatus,
    WorkflowUpdateFailedError,
    WorkflowUpdateRPCTimeoutOrCancelledError,
)
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy
from temporalio.exceptions import ActivityError, ApplicationError, WorkflowAlreadyStartedError
from temporalio.service import RPCError, RPCStatusCode

from domain.errors import Conflict, InvalidRequest
from domain.identity import payment_workflow_id, refund_workflow_id
from domain.notification import Notification
from domain.payment import Payment
from domain.refund import Refund
from domain.store_change import StoreWord
from workflows.entitlement import EntitlementOrder, EntitlementWorkflow
from workflows.late_payment import LateOrder, LatePaymentWorkflow
from workflows.payment import PaymentOrder, PaymentWorkflow
from workflows.refund import RefundOrder, RefundWorkflow
from workflows.starting import (
    StartOptions,
    entitlement_options,
    late_options,
    payment_options,
    refund_options,
)
from workflows.sync import IN_PROGRESS, SyncedPayment
from workflows.update_ids import CANCEL, checkout_id, submitted_id, sync_id

# The caller's HTTP client gives up after ten seconds or so: answer 202 before that.
ANSWER = timedelta(seconds=8)
# What is left of the ten seconds to find out whether the run exists or the server is down.
LOOK = timedelta(seconds=1.5)
# WeChat Pay counts a notification as failed after five seconds, the verifying included.
SIGNAL = timedelta(seconds=3)
# What an update may say no with; anything else is not for merchants.
_REFUSALS = frozenset(
    {
        "idempotency_key_reused",
        "order_already_paid",
        "refund_exceeds_captured",
        "payment_not_paid",
        "not_cancellable",
        "not_resolvable",
        IN_PROGRESS,
    }
)
_GONE = (RPCStatusCode.NOT_FOUND, RPCStatusCode.ALREADY_EXISTS)

# On type: ignore[arg-type] below: temporalio 1.35 types an update that was declared with a
# description as returning its coroutine, where its client wants what the coroutine returns.


class NoAnswerYet(Exception):  # noqa: N818 - not an error: the run goes on
    """No answer in time. What was requested may still happen, or be happening."""


class WorkflowEnded(Exception):  # noqa: N818
    """The workflow has ended or never was: the database has the outcome."""


async def create_payment(client: Client, order: PaymentOrder) -> Payment:
    """Start the payment's run, or join it, and wait for the provider's answer.

    Raises:
        Conflict: the workflow rejects the request.
        NoAnswerYet: the run may exist.
        WorkflowEnded: it ended and has no stored answer to this request.
        RPCError: Temporal cannot be reached.
    """
    operation = _start(PaymentWorkflow.run, order, payment_options(order))
    request_hash = order.payment.request_hash
    async with bounded(operation):
        return await client.execute_update_with_start_workflow(
            PaymentWorkflow.checkout,  # type: ignore[arg-type] # see above
            request_hash,
            start_workflow_operation=operation,
            id=checkout_id(request_hash),
            rpc_timeout=ANSWER,
        )


async def create_refund(client: Client, order: RefundOrder) -> Refund:
    """Start the refund's run, or join it, and wait until the provider took it; as above."""
    operation = _start(RefundWorkflow.run, order, refund_options(order))
    request_hash = order.refund.request_hash
    async with bounded(operation):
        return await client.execute_update_with_start_workflow(
            RefundWorkflow.submitted,  # type: ignore[arg-type] # see above
            request_hash,
            start_workflow_operation=operation,
            id=submitted_id(request_hash),
            rpc_timeout=ANSWER,
        )


async def cancel_payment(client: Client, payment_id: UUID, reason: str) -> Payment:
    """Have the workflow close the order; raises as `create_payment` does.

    A repeat is the same update: it returns the first one's outcome, and the first `reason` stands.
    """
    handle = client.get_workflow_handle(payment_workflow_id(payment_id))
    async with bounded():
        return await handle.execute_update(
            PaymentWorkflow.cancel,  # type: ignore[arg-type] # see above
            reason,
            id=CANCEL,
            rpc_timeout=ANSWER,
        )


async def sync_payment(client: Client, payment: Payment, now: datetime) -> SyncedPayment:
    """Have the provider queried, or return what a query in this window found.

    Raises as `create_payment` does, and Conflict `sync_in_progress` while an earlier query has no
    answer.
    """
    handle = client.get_workflow_handle(payment_workflow_id(payment.id))
    async with bounded():
        return await handle.execute_update(
            PaymentWorkflow.sync,  # type: ignore[arg-type] # see above
            id=sync_id(payment.created_at, now),
            rpc_timeout=ANSWER,
        )


async def signal_payment(client: Client, payment_id: UUID, notification: Notification) -> None:
    """Signal the notification to the payment's workflow; once this returns, it is durable.

    Raises:
        WorkflowEnded: there is no open run.
        RPCError: Temporal cannot be reached.
    """
    handle = client.get_workflow_handle(payment_workflow_id(payment_id))
    async with bounded():
        await handle.signal(PaymentWorkflow.notify, notification, rpc_timeout=SIGNAL)


async def signal_refund(client: Client, refund_id: UUID, notification: Notification) -> None:
    """Signal the notification to the refund's workflow; raises as `signal_payment` does."""
    handle = client.get_workflow_handle(refund_workflow_id(refund_id))
    async with bounded():
        await handle.signal(RefundWorkflow.notify, notification, rpc_timeout=SIGNAL)


async def is_dealt_with(client: Client, workflow_id: str) -> bool:
    """Whether the workflow runs or has completed. False where it was terminated or is not known.

    Raises RPCError where Temporal cannot be reached.
    """
    handle = client.get_workflow_handle(workflow_id)
    try:
        async with bounded(within=LOOK):
            found = await handle.describe(rpc_timeout=LOOK)
    except WorkflowEnded:
        return False
    except NoAnswerYet as error:
        raise RPCError("no answer in time", RPCStatusCode.UNAVAILABLE, b"") from error
    return found.status in (WorkflowExecutionStatus.RUNNING, WorkflowExecutionStatus.COMPLETED)


async def signal_late(client: Client, order: LateOrder, notification: Notification) -> None:
    """Start (or join) the run that deals with what comes after the payment's own run."""
    await _signal_joining(
        client, LatePaymentWorkflow.run, order, late_options(order), ("notify", notification)
    )


async def signal_store_change(client: Client, order: EntitlementOrder, report: StoreWord) -> None:
    """Start (or join) the workflow that applies a store's reports on one chain of purchases."""
    await _signal_joining(
        client, EntitlementWorkflow.run, order, entitlement_options(order), ("hear", report)
    )


async def _signal_joining(
    client: Client,
    run: Any,
    order: LateOrder | EntitlementOrder,
    options: StartOptions,
    signal: tuple[str, Notification | StoreWord],
) -> None:
    name, argument = signal
    async with bounded():
        await client.start_workflow(
            run,
            order,
            **options.arguments,
            task_queue=options.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal=name,
            start_signal_args=[argument],
            rpc_timeout=SIGNAL,
        )


def _start(
    run: Any, order: PaymentOrder | RefundOrder, options: StartOptions
) -> WithStartWorkflowOperation[Any, Any]:
    """One run an id, for ever: a second start joins it, and a finished one is never restarted."""
    return WithStartWorkflowOperation(
        run,
        order,
        **options.arguments,
        task_queue=options.task_queue,
        id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
    )


@asynccontextmanager
async def bounded(
    operation: WithStartWorkflowOperation[Any, Any] | None = None, *, within: timedelta = ANSWER
) -> AsyncIterator[None]:
    """Bound a call, and turn its ways of failing into ours."""
    try:
        # The SDK's own bound covers one try of one request, not all that it does for a call.
        async with asyncio.timeout(within.total_seconds()):
            yield
    except (TimeoutError, WorkflowUpdateRPCTimeoutOrCancelledError) as error:
        raise NoAnswerYet from error
    except WorkflowAlreadyStartedError as error:
        raise WorkflowEnded from error
    except WorkflowUpdateFailedError as error:
        raise rejection(error.cause) from error
    except ApplicationError as error:
        # Of our converter: an answer that no worker of ours has encrypted is none.
        raise NoAnswerYet from error
    except RPCError as error:
        if error.status in _GONE or _closed_with_update(error):
            raise WorkflowEnded from error
        raise
    except RuntimeError as error:
        # A lazy client that cannot make its first connection; the SDK has no type for that.
        if "connect" not in str(error).lower():
            raise
        raise RPCError(str(error), RPCStatusCode.UNAVAILABLE, b"") from error
    finally:
        if operation is not None:
            await _consume(operation)


def _closed_with_update(error: RPCError) -> bool:
    """Whether the workflow closed in the task that accepted, or rejected, the update.

    Temporal has no code of its own for that: the update is aborted, and its rejection is lost.
    """
    return error.status is RPCStatusCode.ABORTED and "closing workflow" in error.message


def rejection(cause: BaseException | None) -> Exception:
    """What a run's no means here; WorkflowEnded where it is not for merchants."""
    return _definite(cause) or WorkflowEnded()


def _definite(cause: BaseException | None) -> Conflict | InvalidRequest | None:
    if isinstance(cause, ActivityError):
        cause = cause.cause
    if not isinstance(cause, ApplicationError):
        return None
    if cause.type == InvalidRequest.code:
        return InvalidRequest(cause.message)
    if cause.type in _REFUSALS:
        return Conflict(cause.message, code=cause.type)
    return None


async def _consume(operation: WithStartWorkflowOperation[Any, Any]) -> None:
    """Take the start's own outcome: left alone, asyncio logs it as a lost exception."""
    with suppress(RPCError, WorkflowAlreadyStartedError, TimeoutError, asyncio.CancelledError):
        async with asyncio.timeout(0):
            await operation.workflow_handle()
