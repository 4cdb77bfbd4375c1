"""What a run was started with, read from its history: as far as every release says it alike."""

from typing import TypeVar
from uuid import UUID

from temporalio.client import Client
from temporalio.converter import WorkflowSerializationContext
from temporalio.service import RPCError, RPCStatusCode

from api.workflow_calls import LOOK, NoAnswerYet, WorkflowEnded, bounded
from domain.frozen import Frozen
from domain.identity import payment_workflow_id, refund_workflow_id
from domain.payment import Payment
from domain.refund import Refund


class OrderedPayment(Frozen):
    """Of a payment's run."""

    payment: Payment


class OrderedRefund(Frozen):
    """Of a refund's run."""

    refund: Refund


Ordered = TypeVar("Ordered", OrderedPayment, OrderedRefund)


async def payment_order(client: Client, payment_id: UUID) -> OrderedPayment | None:
    """What the payment's run was started with; None where there is no run."""
    return await _order(client, payment_workflow_id(payment_id), OrderedPayment)


async def refund_order(client: Client, refund_id: UUID) -> OrderedRefund | None:
    """What the refund's run was started with; None where there is no run."""
    return await _order(client, refund_workflow_id(refund_id), OrderedRefund)


async def _order(client: Client, workflow_id: str, kind: type[Ordered]) -> Ordered | None:
    """The first event of a run's history has its input, whether or not a worker is up.

    RPCError where Temporal does not answer.
    """
    handle = client.get_workflow_handle(workflow_id)
    context = WorkflowSerializationContext(namespace=client.namespace, workflow_id=workflow_id)
    converter = client.data_converter.with_context(context)
    try:
        async with bounded(within=LOOK):
            async for event in handle.fetch_history_events(page_size=1, rpc_timeout=LOOK):
                payloads = event.workflow_execution_started_event_attributes.input.payloads
                [order] = await converter.decode(payloads, [kind])
                return kind.model_validate(order)
    except WorkflowEnded:
        return None
    except NoAnswerYet as error:
        raise RPCError("no answer", RPCStatusCode.UNAVAILABLE, b"") from error
    return None
