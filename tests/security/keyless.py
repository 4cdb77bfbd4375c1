"""Someone who reaches Temporal's port and has none of our payload keys."""

import asyncio
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload, Payloads, WorkflowExecution
from temporalio.api.enums.v1 import EventType, WorkflowTaskFailedCause
from temporalio.api.history.v1 import HistoryEvent
from temporalio.api.workflowservice.v1 import SignalWorkflowExecutionRequest
from temporalio.client import Client, WorkflowFailureError, WorkflowHandle
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.converter import ActivitySerializationContext, WorkflowSerializationContext
from temporalio.worker import Replayer

from domain.notification import Notification
from domain.report import Outcome, PaymentReport
from engine.client import meter
from engine.guard import GuardedRunner
from tests.api.house import House, ProviderSide, Shop, eventually
from workflows.payment import PaymentOrder
from workflows.registered import WORKFLOWS, runner

RESET = WorkflowTaskFailedCause.WORKFLOW_TASK_FAILED_CAUSE_RESET_WORKFLOW


async def keyless(house: House) -> Client:
    """A plain client of the SDK at the same server."""
    ours = house.dependencies.temporal
    return await Client.connect(
        ours.service_client.config.target_host,
        namespace=ours.namespace,
        data_converter=pydantic_data_converter,
    )


def workflow_id(payment: dict[str, Any]) -> str:
    return "payment-" + reference(payment)


def reference(payment: dict[str, Any]) -> str:
    return str(payment["id"]).replace("-", "")


def paid(payment: dict[str, Any]) -> PaymentReport:
    """The lie that the payment is paid, right in every field."""
    return PaymentReport(
        reference=reference(payment),
        outcome=Outcome.PAID,
        raw_status="SUCCESS",
        provider_reference=f"forged-{reference(payment)[:16]}",
        amount=payment["amount"],
        currency=payment["currency"],
    )


def notification(payment: dict[str, Any]) -> Notification:
    return Notification(
        provider=payment["provider"],
        account=payment["account"],
        notification_id="forged",
        kind="payment",
        reference=reference(payment),
        payment=paid(payment),
    )


@dataclass
class Target:
    """A payment's workflow as the attacker sees it."""

    client: Client
    workflow_id: str

    @property
    def handle(self) -> WorkflowHandle[Any, Any]:
        return self.client.get_workflow_handle(self.workflow_id)

    async def history(self) -> list[HistoryEvent]:
        return [event async for event in self.handle.fetch_history_events()]

    async def inputs(self) -> list[Payload]:
        """The encrypted arguments of the workflow's start."""
        started = (await self.history())[0].workflow_execution_started_event_attributes
        return list(started.input.payloads)

    async def signals(self) -> list[list[Payload]]:
        """The encrypted arguments of every signal so far."""
        return [
            list(event.workflow_execution_signaled_event_attributes.input.payloads)
            for event in await self.history()
            if event.event_type == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED
        ]

    async def signal(self, payloads: list[Payload], name: str = "notify") -> None:
        """Send exactly these payloads, and return once the workflow has taken them in."""
        await self.client.workflow_service.signal_workflow_execution(
            SignalWorkflowExecutionRequest(
                namespace=self.client.namespace,
                workflow_execution=WorkflowExecution(workflow_id=self.workflow_id),
                signal_name=name,
                input=Payloads(payloads=payloads),
            )
        )
        await self.has_processed_all()

    async def has_processed_all(self) -> None:
        """Wait until nothing in the history waits for a worker; a task that fails is an error."""

        async def idle() -> bool:
            events = await self.history()
            assert [
                event.workflow_task_failed_event_attributes.failure.message
                for event in events
                if event.event_type == EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED
                # A reset writes that the task was failed by it.
                and event.workflow_task_failed_event_attributes.cause != RESET
            ] == []
            kinds = [event.event_type for event in events]
            done = _last(kinds, EventType.EVENT_TYPE_WORKFLOW_TASK_COMPLETED)
            asked = _last(kinds, EventType.EVENT_TYPE_WORKFLOW_TASK_SCHEDULED)
            signalled = _last(kinds, EventType.EVENT_TYPE_WORKFLOW_EXECUTION_SIGNALED)
            return done > asked and done > signalled

        await eventually(idle)


def _last(kinds: list[Any], kind: Any) -> int:
    return max((at for at, found in enumerate(kinds) if found == kind), default=-1)


async def plain(value: Any) -> list[Payload]:
    return await pydantic_data_converter.encode([value])


async def is_untouched(
    house: House, shop: Shop, provider: ProviderSide, payment: dict[str, Any]
) -> None:
    """The payment is as it was, goes on to its end, and its history replays."""
    assert (await shop.read(payment))["status"] == "pending"
    await provider.pay(payment)
    assert (await provider.notify(payment))["accepted"]
    ended = await shop.reaches(payment, "succeeded")
    assert ended["amount"] == payment["amount"]
    await house.ended(payment)
    ours = house.dependencies.temporal
    history = await ours.get_workflow_handle(workflow_id(payment)).fetch_history()
    replayer = Replayer(
        workflows=WORKFLOWS,
        workflow_runner=GuardedRunner(runner(), meter(ours)),
        data_converter=ours.data_converter,
        namespace=ours.namespace,
    )
    assert (await replayer.replay_workflow(history)).replay_failure is None


async def forged_order(house: House, target: Target) -> PaymentOrder:
    """What a payment's workflow starts with, right in every field, for a payment of nobody."""
    ours = house.dependencies.temporal
    context = WorkflowSerializationContext(ours.namespace, target.workflow_id)
    converter = ours.data_converter.with_context(context)
    [order] = await converter.decode(await target.inputs(), [PaymentOrder])
    found: PaymentOrder = order
    changes = {"id": uuid4(), "order_no": f"forged-{uuid4().hex[:8]}"}
    return found.model_copy(update={"payment": found.payment.model_copy(update=changes)})


async def has_failed(started: Any) -> None:
    """The workflow fails in its first task, and nothing was done before."""
    with pytest.raises(WorkflowFailureError):
        await asyncio.wait_for(started.result(), 20)
    kinds = [event.event_type async for event in started.fetch_history_events()]
    assert kinds[-1] == EventType.EVENT_TYPE_WORKFLOW_EXECUTION_FAILED
    assert EventType.EVENT_TYPE_MARKER_RECORDED not in kinds, "a local activity"
    assert EventType.EVENT_TYPE_ACTIVITY_TASK_SCHEDULED not in kinds
    assert EventType.EVENT_TYPE_WORKFLOW_TASK_FAILED not in kinds


def activity_of(workflow_id: str, activity: str, namespace: str) -> ActivitySerializationContext:
    """What payloads of this activity of the workflow are bound to."""
    return ActivitySerializationContext(
        namespace=namespace,
        activity_id=None,
        activity_type=activity,
        activity_task_queue=None,
        workflow_id=workflow_id,
        workflow_type=None,
        is_local=False,
    )
