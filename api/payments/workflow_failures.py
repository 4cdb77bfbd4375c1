"""Why a workflow that has ended with nothing recorded rejected its request."""

from uuid import UUID

from temporalio.client import Client, WorkflowFailureError

from api.workflow_calls import LOOK, NoAnswerYet, WorkflowEnded, bounded, rejection
from domain.errors import Conflict, InvalidRequest
from domain.identity import payment_workflow_id, refund_workflow_id

Rejection = Conflict | InvalidRequest


async def payment_rejection(client: Client, payment_id: UUID) -> Rejection | None:
    """Return why the payment's workflow rejected its request; None where it did not, or runs."""
    return await _rejection_of(client, payment_workflow_id(payment_id))


async def refund_rejection(client: Client, refund_id: UUID) -> Rejection | None:
    """Return the same of the refund's workflow."""
    return await _rejection_of(client, refund_workflow_id(refund_id))


async def _rejection_of(client: Client, workflow_id: str) -> Rejection | None:
    handle = client.get_workflow_handle(workflow_id)
    try:
        async with bounded(within=LOOK):
            await handle.result(rpc_timeout=LOOK)
    except WorkflowFailureError as error:
        why = rejection(error.cause)
        return why if isinstance(why, Rejection) else None
    except (NoAnswerYet, WorkflowEnded):
        return None
    return None
