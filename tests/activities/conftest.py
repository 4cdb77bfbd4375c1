from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.fast_path import FastPathActivities
from activities.payments import Flag, PaymentActivities
from activities.provider_calls import ProviderActivities
from activities.webhooks import WebhookActivities
from domain.merchant import Merchant
from domain.payment import Payment
from domain.report import Attention
from providers.registry import Registry
from storage.alarms import AlarmStore
from storage.database import Database
from storage.events import EventStore
from storage.merchants import MerchantStore
from storage.payments import PaymentStore
from tests.domain.making import IDENTITY, payment
from tests.workflows.merchants import ListeningMerchants
from tests.workflows.scripted import ScriptedProvider
from tests.workflows.stores import Outages, ShakyPayments

Alarm = Callable[[str | None], Awaitable[UUID]]


@pytest.fixture
async def ordered(database: Database) -> Payment:
    """Of a merchant of its own, and not written down yet."""
    merchant = Merchant(
        id=f"m-{uuid4().hex}", name="Shop", webhook_url="https://shop.example", webhook_secret=None
    )
    await MerchantStore(database).create(merchant)
    key = uuid4().hex
    return payment().model_copy(
        update={
            "id": IDENTITY.payment_id(merchant.id, key),
            "merchant_id": merchant.id,
            "idempotency_key": key,
            "order_no": key,
        }
    )


@pytest.fixture
async def recorded(database: Database, ordered: Payment) -> Payment:
    return await PaymentStore(database).record(ordered)


@pytest.fixture
def merchants() -> ListeningMerchants:
    return ListeningMerchants()


@pytest.fixture
def webhooks(database: Database, merchants: ListeningMerchants) -> WebhookActivities:
    return WebhookActivities(
        EventStore(database),
        merchants,  # type: ignore[arg-type] # a merchant, not a sender to one
    )


@pytest.fixture
def provider() -> ScriptedProvider:
    return ScriptedProvider()


@pytest.fixture
def outages() -> Outages:
    return Outages()


@pytest.fixture
def fast_path(
    database: Database, webhooks: WebhookActivities, provider: ScriptedProvider, outages: Outages
) -> FastPathActivities:
    payments = ShakyPayments(database, outages)
    providers = ProviderActivities(Registry([provider]), payments, AlarmStore(database))
    return FastPathActivities(PaymentActivities(payments), providers, webhooks)


@pytest.fixture
def alarm(database: Database, recorded: Payment) -> Alarm:
    """Calls a person about a refund of this number; returns the event's id."""
    steps = PaymentActivities(PaymentStore(database))

    async def call(subject: str | None) -> UUID:
        flag = Flag(
            payment_id=recorded.id,
            attention=Attention.EXTERNAL_REFUND,
            detail="seen there",
            subject=subject,
        )
        raised = await ActivityEnvironment().run(steps.flag_payment, flag)
        assert raised is not None
        return raised

    return call
