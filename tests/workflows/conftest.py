import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID, uuid4

import pytest
from temporalio.client import Client, WithStartWorkflowOperation, WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.contrib.pydantic import pydantic_data_converter
from temporalio.testing import TimeSkippingConfig, WorkflowEnvironment
from temporalio.worker import Worker

from activities.payments import PaymentActivities
from activities.provider_calls import ProviderActivities
from activities.refunds import RefundActivities
from activities.registered import Activities
from activities.webhooks import WebhookActivities
from domain.event import Event
from domain.identity import payment_id, refund_id
from domain.merchant import LatePolicy, Merchant
from domain.payment import Channel, Payment
from domain.refund import Refund
from providers.registry import Registry
from storage.database import Database
from storage.events import EventStore
from storage.merchants import MerchantStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from tests.workflows.scripted import ScriptedProvider, notification, report
from webhooks.sender import WebhookAnswer, WebhookFailed
from workflows import search_attributes
from workflows.late_payment import LateOrder, LatePaymentWorkflow
from workflows.payment import PaymentOrder, PaymentWorkflow
from workflows.policies import (
    TASK_QUEUE,
    WEBHOOK_QUEUE,
    payment_policy,
    provider_queue,
    refund_policy,
)
from workflows.refund import RefundOrder, RefundWorkflow
from workflows.registered import WORKFLOWS, runner
from workflows.starting import late_options, payment_options, refund_options

TEMPORAL = Path(".venv/bin/temporal")


class ListeningMerchants:
    """What merchants were told, and how they answer: a list of answers each, then plain 200."""

    def __init__(self) -> None:
        self.told: dict[UUID, list[Event]] = {}
        self.answers: dict[UUID, list[WebhookAnswer | WebhookFailed]] = {}

    def heard(self, payment: Payment) -> list[str]:
        return [event.type for event in self.told.get(payment.id, [])]

    async def deliver(self, event: Event, merchant: Merchant) -> WebhookAnswer:
        waiting = self.answers.get(event.payment_id)
        answer = waiting.pop(0) if waiting else WebhookAnswer(status=200)
        if isinstance(answer, WebhookFailed):
            raise answer
        self.told.setdefault(event.payment_id, []).append(event)
        return answer


class Shop:
    """Starts payments and refunds on the real server, against the scripted provider."""

    def __init__(
        self, env: WorkflowEnvironment, database: Database, provider: ScriptedProvider
    ) -> None:
        self.env = env
        self.client: Client = env.client
        self.provider = provider
        self.merchants = ListeningMerchants()
        self.payments = PaymentStore(database)
        self.refunds = RefundStore(database)
        self.events = EventStore(database)
        self.merchant_store = MerchantStore(database)

    async def order(
        self,
        *,
        channel: Channel = Channel.QR,
        amount: int = 1999,
        late: LatePolicy = LatePolicy.REFUND,
        order_no: str | None = None,
        merchant_id: str | None = None,
        expires_in: float = 900,
    ) -> PaymentOrder:
        merchant = merchant_id or f"m-{uuid4().hex[:12]}"
        if merchant_id is None:
            await self.merchant_store.create(
                Merchant(
                    id=merchant,
                    name="Shop",
                    webhook_url="https://shop.example/hooks",
                    webhook_secret="whsec_c2VjcmV0c2VjcmV0c2VjcmV0",
                    late_policy=late,
                )
            )
        key = uuid4().hex
        now = datetime.now(UTC)
        payment = Payment(
            id=payment_id(merchant, key),
            merchant_id=merchant,
            order_no=order_no or key,
            idempotency_key=key,
            request_hash=f"hash-{key}",
            provider="scripted",
            account="main",
            channel=channel,
            amount=amount,
            subject="tea",
            created_at=now,
            expires_at=now + timedelta(seconds=expires_in),
        )
        return PaymentOrder(payment=payment, policy=payment_policy(channel), late_policy=late)

    async def start(
        self, order: PaymentOrder
    ) -> WorkflowHandle[PaymentWorkflow, Payment]:
        options = payment_options(order)
        return await self.client.start_workflow(
            PaymentWorkflow.run,
            order,
            id=options.id,
            task_queue=options.task_queue,
            search_attributes=options.search_attributes,
            static_summary=options.static_summary,
            static_details=options.static_details,
        )

    def handle(self, order: PaymentOrder) -> WorkflowHandle[PaymentWorkflow, Payment]:
        return self.client.get_workflow_handle_for(
            PaymentWorkflow.run, payment_options(order).id
        )

    async def checkout(self, order: PaymentOrder) -> Payment:
        options = payment_options(order)
        start = WithStartWorkflowOperation(
            PaymentWorkflow.run,
            order,
            id=options.id,
            task_queue=options.task_queue,
            search_attributes=options.search_attributes,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        return await self.client.execute_update_with_start_workflow(
            PaymentWorkflow.checkout,
            order.payment.request_hash,
            id=f"checkout-{order.payment.request_hash}",
            start_workflow_operation=start,
        )

    async def paid(self, order: PaymentOrder) -> Payment:
        """A payment all the way to its end."""
        handle = await self.start(order)
        await self.checkout(order)
        self.provider.pay(order.payment.reference)
        await self.notify(handle, order)
        return await handle.result()

    async def notify(
        self,
        handle: WorkflowHandle[Any, Any],
        order: PaymentOrder,
        *,
        amount: int | None = None,
    ) -> None:
        from domain.report import Outcome  # noqa: PLC0415

        found = report(order.payment, Outcome.PAID, amount)
        await handle.signal(PaymentWorkflow.notify, notification(order.payment, found))

    def refund_order(self, payment: Payment, amount: int) -> RefundOrder:
        key = uuid4().hex
        refund = Refund(
            id=refund_id(payment.id, key),
            payment_id=payment.id,
            merchant_id=payment.merchant_id,
            idempotency_key=key,
            request_hash=f"hash-{key}",
            provider="scripted",
            account="main",
            amount=amount,
            created_at=datetime.now(UTC),
        )
        return RefundOrder(refund=refund, payment=payment, policy=refund_policy())

    async def start_refund(
        self, order: RefundOrder
    ) -> WorkflowHandle[RefundWorkflow, Refund]:
        options = refund_options(order)
        return await self.client.start_workflow(
            RefundWorkflow.run,
            order,
            id=options.id,
            task_queue=options.task_queue,
            search_attributes=options.search_attributes,
        )

    async def late(
        self, order: PaymentOrder, payment: Payment, *, notice: Any = None
    ) -> WorkflowHandle[LatePaymentWorkflow, Payment]:
        from domain.report import Outcome  # noqa: PLC0415

        late = LateOrder(payment=payment, policy=order.policy, late_policy=order.late_policy)
        options = late_options(late)
        return await self.client.start_workflow(
            LatePaymentWorkflow.run,
            late,
            id=options.id,
            task_queue=options.task_queue,
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal="notify",
            start_signal_args=[notice or notification(payment, report(payment, Outcome.PAID))],
        )

    async def row(self, payment: Payment) -> Payment:
        found = await self.payments.get(payment.id)
        assert found is not None
        return found


@pytest.fixture(scope="session")
async def temporal() -> AsyncIterator[WorkflowEnvironment]:
    """The product's own server binary, with the clock of each run under the test's hand."""
    async with await WorkflowEnvironment.start_time_skipping_v2(
        ts_config=TimeSkippingConfig(enabled=False),
        dev_server_existing_path=str(TEMPORAL.resolve()),
        dev_server_extra_args=[
            "--dynamic-config-value",
            "frontend.WorkflowTimeSkippingEnabled=true",
        ],
        search_attributes=search_attributes.ALL,
        data_converter=pydantic_data_converter,
    ) as env:
        yield env


@pytest.fixture(scope="session")
async def shop(temporal: WorkflowEnvironment, database: Database) -> AsyncIterator[Shop]:
    """Workers with the strict workflow sandbox, the real activities and the real books."""
    provider = ScriptedProvider()
    shop = Shop(temporal, database, provider)
    registry = Registry([provider])
    activities = Activities(
        payments=PaymentActivities(shop.payments),
        refunds=RefundActivities(shop.refunds),
        providers=ProviderActivities(registry, shop.payments),
        webhooks=WebhookActivities(shop.events, shop.merchant_store, shop.merchants),
    )
    queues = {
        provider_queue("scripted"): activities.provider_steps(),
        WEBHOOK_QUEUE: activities.webhook_steps(),
    }
    async with (
        Worker(
            temporal.client,
            task_queue=TASK_QUEUE,
            workflows=WORKFLOWS,
            workflow_runner=runner(strict=True),
            activities=activities.workflow_steps(),
        ),
        Worker(
            temporal.client,
            task_queue=provider_queue("scripted"),
            activities=queues[provider_queue("scripted")],
        ),
        Worker(temporal.client, task_queue=WEBHOOK_QUEUE, activities=queues[WEBHOOK_QUEUE]),
    ):
        yield shop


@pytest.fixture
def eventually() -> Callable[[Callable[[], Awaitable[Any]]], Awaitable[Any]]:
    """Await a condition, for at most twenty seconds."""

    async def wait(condition: Callable[[], Awaitable[Any]]) -> Any:
        async with asyncio.timeout(20):
            while not (found := await condition()):
                await asyncio.sleep(0.05)
        return found

    return wait
