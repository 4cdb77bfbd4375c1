"""Starts payments and refunds on the real server, and is the merchant who is told of them."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, TypeVar, cast
from uuid import uuid4

from temporalio.client import (
    Client,
    WithStartWorkflowOperation,
    WorkflowHandle,
    WorkflowUpdateFailedError,
)
from temporalio.common import WorkflowIDConflictPolicy
from temporalio.exceptions import ApplicationError
from temporalio.testing import WorkflowEnvironment

from activities.provider_calls import ProviderActivities
from activities.webhooks import WebhookActivities
from domain.merchant import LatePolicy, Merchant
from domain.notification import Notification
from domain.payment import Channel, Payment
from domain.refund import Refund
from domain.report import Attention, Outcome
from domain.resolution import Resolution, ResolveAction
from providers.registry import Registry
from storage.alarms import AlarmStore
from storage.database import Database
from storage.merchants import MerchantStore
from tests.domain.making import IDENTITY
from tests.workflows.merchants import ListeningMerchants
from tests.workflows.scripted import ScriptedProvider, notification, report
from tests.workflows.stores import (
    Outages,
    ShakyEntitlements,
    ShakyEvents,
    ShakyPayments,
    ShakyRefunds,
)
from webhooks.sender import WebhookSender
from workflows.late_payment import LateOrder, LatePaymentWorkflow
from workflows.payment import PaymentOrder, PaymentWorkflow
from workflows.policies import Attempts, PaymentPolicy, payment_policy, refund_policy
from workflows.refund import RefundOrder, RefundWorkflow
from workflows.starting import StartOptions, late_options, payment_options, refund_options

Found = TypeVar("Found")
PaymentRun = WorkflowHandle[PaymentWorkflow, Payment]
RefundRun = WorkflowHandle[RefundWorkflow, Refund]
LateRun = WorkflowHandle[LatePaymentWorkflow, Payment]

_SOON = Attempts(timeout=5, first_wait=1, backoff=1, longest_wait=1)
# The product's shape on a clock of seconds, for tests that need no skipped time.
BRISK = PaymentPolicy(
    fast_path=True,
    grace=0.2,
    poll=_SOON,
    alarm_after=2,
    in_flight=1,
    confirmation_waits=(0.2, 0.2),
    turn=_SOON,
    call_fast=Attempts(timeout=1, total=1, attempts=1),
    call_slow=_SOON,
    close=_SOON,
    ledger_slow=_SOON,
    webhook=Attempts(timeout=5, total=20, first_wait=1, backoff=1, longest_wait=1),
)
# An endpoint that is down is given up while a test can wait for it.
GIVES_UP = BRISK.model_copy(
    update={"webhook": Attempts(timeout=5, total=3, first_wait=1, backoff=1, longest_wait=1)}
)


def refusal(error: WorkflowUpdateFailedError) -> str | None:
    """Why an update was refused."""
    assert isinstance(error.cause, ApplicationError)
    return error.cause.type


async def eventually(condition: Callable[[], Awaitable[Found]]) -> Found:
    """Await a condition, for at most a minute: the machine may be busy."""
    async with asyncio.timeout(60):
        while not (found := await condition()):  # noqa: ASYNC110 - the truth is in a database
            await asyncio.sleep(0.03)
    return found


class Shop:
    """One merchant's counter; every order has a merchant of its own unless told."""

    def __init__(
        self, env: WorkflowEnvironment, database: Database, provider: ScriptedProvider
    ) -> None:
        self.env = env
        self.client: Client = env.client
        self.provider = provider
        self.merchants = ListeningMerchants()
        self.outages = Outages()
        self.payments = ShakyPayments(database, self.outages)
        self.refunds = ShakyRefunds(database, self.outages)
        self.events = ShakyEvents(database, self.outages)
        self.alarms = AlarmStore(database)
        self.entitlements = ShakyEntitlements(database, self.outages)
        self.merchant_store = MerchantStore(database)
        self.providers = ProviderActivities(Registry([provider]), self.payments, self.alarms)
        self.webhooks = WebhookActivities(self.events, cast("WebhookSender", self.merchants))

    async def merchant(self, *, late: LatePolicy, endpoint: bool = True) -> str:
        name = f"m-{uuid4().hex[:12]}"
        await self.merchant_store.create(
            Merchant(
                id=name,
                name="Shop",
                webhook_url="https://shop.example/hooks" if endpoint else None,
                webhook_secret="encrypted:k1:AAAA",
                late_policy=late,
            )
        )
        return name

    def hangs(self, payment: Payment) -> asyncio.Event:
        """The merchant, known to be slow, answers only once the event is set."""
        self.webhooks._avoid(payment.merchant_id)  # noqa: SLF001 - as after a slow answer
        self.merchants.answers[payment.id] = [answered := asyncio.Event()]
        return answered

    async def order(
        self,
        *,
        channel: Channel = Channel.QR,
        amount: int = 1999,
        late: LatePolicy = LatePolicy.REFUND,
        again: PaymentOrder | None = None,
        expires_in: float = 900,
        policy: PaymentPolicy | None = None,
        endpoint: bool = True,
    ) -> PaymentOrder:
        """`again` is another payment of the same merchant's same order."""
        first = again.payment if again else None
        merchant = first.merchant_id if first else await self.merchant(late=late, endpoint=endpoint)
        key = uuid4().hex
        now = datetime.now(UTC)
        payment = Payment(
            id=IDENTITY.payment_id(merchant, key),
            merchant_id=merchant,
            order_no=first.order_no if first else key,
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
        policy = policy or payment_policy(channel)
        return PaymentOrder(payment=payment, policy=policy, late_policy=late)

    async def start(self, order: PaymentOrder) -> PaymentRun:
        options = payment_options(order)
        return await self.client.start_workflow(PaymentWorkflow.run, order, **named(options))

    def run(self, order: PaymentOrder) -> PaymentRun:
        return self.client.get_workflow_handle_for(PaymentWorkflow.run, payment_options(order).id)

    async def pending(self, order: PaymentOrder) -> tuple[PaymentRun, Payment]:
        """A payment whose payer holds the checkout, with its run."""
        run = await self.start(order)
        return run, await self.checkout(order)

    async def checkout(self, order: PaymentOrder) -> Payment:
        start: WithStartWorkflowOperation[PaymentWorkflow, Payment] = WithStartWorkflowOperation(
            PaymentWorkflow.run,
            order,
            **named(payment_options(order)),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
        )
        found: Payment = await self.client.execute_update_with_start_workflow(
            "checkout",
            order.payment.request_hash,
            id=f"checkout-{order.payment.request_hash}",
            start_workflow_operation=start,
            result_type=Payment,
        )
        return found

    async def paid(self, order: PaymentOrder) -> Payment:
        """A payment all the way to its end."""
        run, payment = await self.pending(order)
        self.provider.pay(payment.reference)
        await self.notify(run, order)
        return await run.result()

    async def closed(self, order: PaymentOrder) -> Payment:
        """A payment that was cancelled and whose run has ended."""
        run, _ = await self.pending(order)
        await self.cancel(run)
        return await run.result()

    async def notify(
        self, run: PaymentRun, order: PaymentOrder, *, amount: int | None = None
    ) -> None:
        await self.say(run, notification(report(order.payment, Outcome.PAID, amount)))

    async def say(self, run: PaymentRun | RefundRun, said: Notification) -> None:
        await run.signal("notify", said)

    async def cancel(self, run: PaymentRun) -> Payment:
        found: Payment = await run.execute_update("cancel", "gone", result_type=Payment)
        return found

    async def sync(self, run: PaymentRun) -> Payment:
        found: Payment = await run.execute_update("sync", result_type=Payment)
        return found

    async def resolve(self, run: PaymentRun, action: ResolveAction) -> Payment:
        found: Payment = await run.execute_update(
            "resolve", Resolution(action=action, note="seen by test"), result_type=Payment
        )
        return found

    async def resolve_refund(self, run: RefundRun, action: ResolveAction) -> Refund:
        found: Refund = await run.execute_update(
            "resolve", Resolution(action=action, note="seen by test"), result_type=Refund
        )
        return found

    def refund_order(self, payment: Payment, amount: int) -> RefundOrder:
        key = uuid4().hex
        refund = Refund(
            id=IDENTITY.refund_id(payment.id, key),
            payment_id=payment.id,
            merchant_id=payment.merchant_id,
            idempotency_key=key,
            request_hash=f"hash-{key}",
            provider="scripted",
            account="main",
            amount=amount,
            created_at=datetime.now(UTC),
        )
        policy = refund_policy().model_copy(
            update={
                "grace": 0.2,
                "poll": _SOON,
                "call_slow": _SOON,
                "ledger_slow": _SOON,
                "confirmation_waits": (0.2, 0.2),
            }
        )
        return RefundOrder(refund=refund, payment=payment, policy=policy)

    async def start_refund(self, order: RefundOrder) -> RefundRun:
        options = refund_options(order)
        return await self.client.start_workflow(RefundWorkflow.run, order, **named(options))

    async def late(
        self,
        order: PaymentOrder,
        payment: Payment,
        *said: Notification,
        policy: PaymentPolicy = BRISK,
    ) -> LateRun:
        late = LateOrder(payment=payment, policy=policy, late_policy=order.late_policy)
        for notice in said or (notification(report(payment, Outcome.PAID)),):
            handle = await self.client.start_workflow(
                LatePaymentWorkflow.run,
                late,
                **named(late_options(late)),
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                start_signal="notify",
                start_signal_args=[notice],
            )
        return handle

    async def row(self, payment: Payment) -> Payment:
        found = await self.payments.get(payment.id)
        assert found is not None
        return found

    async def refund_row(self, refund: Refund) -> Refund:
        found = await self.refunds.get(refund.id)
        assert found is not None
        return found

    async def flagged(self, payment: Payment, why: Attention) -> None:
        await eventually(lambda: self._has(self.payments.get(payment.id), why))

    async def unflagged(self, payment: Payment) -> None:
        await eventually(lambda: self._has(self.payments.get(payment.id), None))

    async def refund_flagged(self, refund: Refund, why: Attention) -> None:
        await eventually(lambda: self._has(self.refunds.get(refund.id), why))

    async def refunded(self, payment: Payment, amount: int) -> None:
        """The provider and our books agree that this much went back."""

        async def settled() -> bool:
            return (await self.row(payment)).refunded == amount

        await eventually(settled)
        assert self.provider.refunded(payment.reference) == amount

    async def sent(self, verb: str, reference: str, times: int = 1) -> None:
        """The provider has been called so often."""

        async def called() -> bool:
            return self.provider.sent(verb, reference) >= times

        await eventually(called)

    async def _has(self, record: Awaitable[Payment | Refund | None], why: Attention | None) -> bool:
        found = await record
        return found is not None and found.attention is why


def named(options: StartOptions) -> dict[str, Any]:
    """What a run is started with."""
    return {**options.arguments, "task_queue": options.task_queue}
