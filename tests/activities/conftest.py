from collections.abc import Awaitable, Callable
from uuid import UUID, uuid4

import pytest
from temporalio.testing import ActivityEnvironment

from activities.payments import Flag, PaymentActivities
from domain.identity import payment_id
from domain.merchant import Merchant
from domain.payment import Payment
from domain.report import Attention
from storage.database import Database
from storage.merchants import MerchantStore
from storage.payments import PaymentStore
from tests.domain.making import payment

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
            "id": payment_id(merchant.id, key),
            "merchant_id": merchant.id,
            "idempotency_key": key,
            "order_no": key,
        }
    )


@pytest.fixture
async def recorded(database: Database, ordered: Payment) -> Payment:
    return await PaymentStore(database).record(ordered)


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
        return await ActivityEnvironment().run(steps.flag_payment, flag)

    return call
