"""Merchants, their payments, and events of these that wait to be delivered."""

from uuid import UUID, uuid4

from temporalio.testing import ActivityEnvironment

from activities.payments import Flag, PaymentActivities
from activities.webhooks import WebhookActivities
from domain.merchant import Merchant
from domain.payment import Payment
from domain.report import Attention
from storage.database import Database
from storage.events import EventStore
from storage.merchants import MerchantStore
from storage.payments import PaymentStore
from tests.domain.making import IDENTITY, payment
from tests.workflows.merchants import ListeningMerchants


async def new_merchant(database: Database) -> str:
    """Record a merchant with an endpoint; returns its id."""
    name = f"m-{uuid4().hex}"
    row = Merchant(id=name, name="Shop", webhook_url="https://shop.example", webhook_secret=None)
    await MerchantStore(database).create(row)
    return name


def ordered_by(merchant_id: str) -> Payment:
    """Return a new payment of the merchant, which is in no row yet."""
    key = uuid4().hex
    return payment().model_copy(
        update={
            "id": IDENTITY.payment_id(merchant_id, key),
            "merchant_id": merchant_id,
            "idempotency_key": key,
            "order_no": key,
        }
    )


def delivering_to(merchants: ListeningMerchants, database: Database) -> WebhookActivities:
    """Return the activities that deliver events to these merchants."""
    return WebhookActivities(
        EventStore(database),
        merchants,  # type: ignore[arg-type] # a merchant, not a sender to one
    )


async def flagged(
    database: Database, of: Payment, attention: Attention, subject: str | None = None
) -> UUID:
    """Flag the payment; returns the event that is to be delivered for it."""
    steps = PaymentActivities(PaymentStore(database))
    flag = Flag(payment_id=of.id, attention=attention, detail="test", subject=subject)
    event: UUID | None = await ActivityEnvironment().run(steps.flag_payment, flag)
    assert event is not None
    return event
