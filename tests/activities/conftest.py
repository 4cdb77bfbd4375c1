from collections.abc import Awaitable, Callable
from functools import partial
from uuid import UUID

import pytest

from activities.fast_path import FastPathActivities
from activities.payments import PaymentActivities
from activities.provider_calls import ProviderActivities
from activities.webhooks import WebhookActivities
from domain.payment import Payment
from domain.report import Attention
from providers.registry import Registry
from storage.alarms import AlarmStore
from storage.database import Database
from storage.payments import PaymentStore
from tests.activities.making import delivering_to, flagged, new_merchant, ordered_by
from tests.workflows.merchants import ListeningMerchants
from tests.workflows.scripted import ScriptedProvider
from tests.workflows.stores import Outages, ShakyPayments

Alarm = Callable[[str | None], Awaitable[UUID]]


@pytest.fixture
async def ordered(database: Database) -> Payment:
    """Of a merchant of its own, and not written down yet."""
    return ordered_by(await new_merchant(database))


@pytest.fixture
async def recorded(database: Database, ordered: Payment) -> Payment:
    return await PaymentStore(database).record(ordered)


@pytest.fixture
def merchants() -> ListeningMerchants:
    return ListeningMerchants()


@pytest.fixture
def webhooks(database: Database, merchants: ListeningMerchants) -> WebhookActivities:
    return delivering_to(merchants, database)


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
    """Flags the payment for a refund of this number; returns the event's id."""
    return partial(flagged, database, recorded, Attention.EXTERNAL_REFUND)
