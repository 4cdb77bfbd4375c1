from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from domain.merchant import Merchant
from domain.payment import Channel, Payment
from domain.refund import Refund
from storage.database import Database
from storage.entitlements import EntitlementStore
from storage.events import EventStore
from storage.merchants import MerchantStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from tests.domain.making import IDENTITY
from tests.storage.making import EventRows, NewPayment, NewRefund, Paid, succeeded
from tests.storage.selling import paid_by, purchase, sold


@pytest.fixture
def payments(database: Database) -> PaymentStore:
    return PaymentStore(database)


@pytest.fixture
def refunds(database: Database) -> RefundStore:
    return RefundStore(database)


@pytest.fixture
def events(database: Database) -> EventStore:
    return EventStore(database)


@pytest.fixture
async def merchant(database: Database) -> Merchant:
    """A merchant of this test alone."""
    merchant = Merchant(id=f"m-{uuid4().hex}", name="Tea House")
    await MerchantStore(database).create(merchant)
    return merchant


@pytest.fixture
async def sql(owner_url: str) -> AsyncIterator[asyncpg.Connection]:
    """Straight to the database, past every store."""
    connection = await asyncpg.connect(owner_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


@pytest.fixture
def new_payment(merchant: Merchant) -> NewPayment:
    """A pending payment that nobody has recorded yet."""

    def make(**changes: Any) -> Payment:
        key = changes.setdefault("idempotency_key", uuid4().hex)
        created_at = changes.setdefault("created_at", datetime.now(UTC))
        fields: dict[str, Any] = {
            "id": IDENTITY.payment_id(merchant.id, key),
            "merchant_id": merchant.id,
            "order_no": f"order-{key}",
            "request_hash": "a" * 64,
            "provider": "alipay",
            "account": "main",
            "channel": Channel.QR,
            "amount": 1999,
            "subject": "Long Jing, 50 g",
            "metadata": {"shop": "West Lake"},
            "expires_at": created_at + timedelta(minutes=30),
        }
        return Payment(**(fields | changes))

    return make


@pytest.fixture
def paid(payments: PaymentStore, new_payment: NewPayment) -> Paid:
    """A payment recorded and succeeded."""

    async def make(**changes: Any) -> Payment:
        payment = await payments.record(new_payment(**changes))
        final, _ = await payments.finalise(succeeded(payment))
        return final

    return make


@pytest.fixture
def new_refund() -> NewRefund:
    """A pending refund of the payment that nobody has reserved yet."""

    def make(payment: Payment, amount: int = 100, **changes: Any) -> Refund:
        key = changes.setdefault("idempotency_key", uuid4().hex)
        fields: dict[str, Any] = {
            "id": IDENTITY.refund_id(payment.id, key),
            "payment_id": payment.id,
            "merchant_id": payment.merchant_id,
            "request_hash": "b" * 64,
            "provider": payment.provider,
            "account": payment.account,
            "amount": amount,
            "created_at": datetime.now(UTC),
        }
        return Refund(**(fields | changes))

    return make


@pytest.fixture
def stored_events(sql: asyncpg.Connection) -> EventRows:
    """Every event row of a payment, in order."""

    async def read(payment: UUID) -> list[asyncpg.Record]:
        rows: list[asyncpg.Record] = await sql.fetch(
            "SELECT * FROM events WHERE payment_id = $1 ORDER BY sequence", payment
        )
        return rows

    return read


@pytest.fixture
def entitlements(database: Database) -> EntitlementStore:
    return EntitlementStore(database)


@pytest.fixture
async def bought(payments: PaymentStore, new_payment: NewPayment) -> Payment:
    """A payment that its purchase has paid."""
    payment = await payments.record(sold(new_payment))
    paid = paid_by(payment, purchase(payment.id))
    await payments.finalise(paid)
    return paid


@pytest.fixture
async def empty_url(owner_url: str, sql: asyncpg.Connection) -> AsyncIterator[str]:
    """A database with nothing in it."""
    name = f"empty_{uuid4().hex}"
    await sql.execute(f"CREATE DATABASE {name}")
    yield owner_url.rpartition("/")[0] + f"/{name}"
    await sql.execute(f"DROP DATABASE {name} WITH (FORCE)")
