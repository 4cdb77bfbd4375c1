"""The tables. Their constraints and triggers are in `migrations/initial/`.

Statuses are text held by a CHECK (an enum type cannot lose a value), amounts BIGINT minor units,
times `timestamptz`. No column of ours holds the payer. Free text of merchants and providers may
name them: `storage.erasure` erases it.
"""

from datetime import date, datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    BigInteger,
    DateTime,
    ForeignKeyConstraint,
    LargeBinary,
    MetaData,
    Table,
    Text,
)
from sqlalchemy.dialects.postgresql import JSONB
from sqlmodel import Field, SQLModel

TIME: Any = DateTime(timezone=True)
# SQL NULL, not JSON's: `IS NULL` must mean "nothing there".
DOCUMENT: Any = JSONB(none_as_null=True)


class Row(SQLModel):
    """The base of our tables, with metadata of their own."""

    metadata = MetaData()


class PaymentRow(Row, table=True):
    """A payment. `last_sequence` numbers its events, under this row's lock."""

    __tablename__ = "payments"

    id: UUID = Field(primary_key=True)
    merchant_id: str = Field(sa_type=Text, foreign_key="merchants.id")
    order_no: str = Field(sa_type=Text)
    idempotency_key: str = Field(sa_type=Text)
    request_hash: str = Field(sa_type=Text)
    provider: str = Field(sa_type=Text)
    account: str = Field(sa_type=Text)
    channel: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    subject: str = Field(sa_type=Text)
    return_url: str | None = Field(sa_type=Text)
    # SQLAlchemy keeps the attribute name `metadata` for itself.
    details: dict[str, str] = Field(sa_type=DOCUMENT, sa_column_args=["metadata"])
    product_id: str | None = Field(sa_type=Text)
    quantity: int
    created_at: datetime = Field(sa_type=TIME)
    expires_at: datetime = Field(sa_type=TIME)
    status: str = Field(sa_type=Text)
    checkout: dict[str, Any] | None = Field(sa_type=DOCUMENT)
    provider_reference: str | None = Field(sa_type=Text)
    raw_status: str | None = Field(sa_type=Text)
    captured: int = Field(sa_type=BigInteger)
    refund_reserved: int = Field(sa_type=BigInteger)
    refunded: int = Field(sa_type=BigInteger)
    paid_at: datetime | None = Field(sa_type=TIME)
    test: bool
    store_price: int | None = Field(sa_type=BigInteger)
    store_currency: str | None = Field(sa_type=Text)
    offer: str | None = Field(sa_type=Text)
    late: bool
    duplicate: bool
    attention: str | None = Field(sa_type=Text)
    attention_detail: str | None = Field(sa_type=Text)
    failure: dict[str, Any] | None = Field(sa_type=DOCUMENT)
    last_sequence: int = Field(sa_type=BigInteger)
    forgotten_at: datetime | None = Field(sa_type=TIME)


class RefundRow(Row, table=True):
    """A refund of a payment."""

    __tablename__ = "refunds"

    id: UUID = Field(primary_key=True)
    payment_id: UUID = Field(foreign_key="payments.id")
    merchant_id: str = Field(sa_type=Text)
    idempotency_key: str = Field(sa_type=Text)
    request_hash: str = Field(sa_type=Text)
    provider: str = Field(sa_type=Text)
    account: str = Field(sa_type=Text)
    amount: int = Field(sa_type=BigInteger)
    currency: str = Field(sa_type=Text)
    reason: str | None = Field(sa_type=Text)
    cause: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=TIME)
    status: str = Field(sa_type=Text)
    provider_reference: str | None = Field(sa_type=Text)
    raw_status: str | None = Field(sa_type=Text)
    refunded_at: datetime | None = Field(sa_type=TIME)
    attention: str | None = Field(sa_type=Text)
    attention_detail: str | None = Field(sa_type=Text)
    failure: dict[str, Any] | None = Field(sa_type=DOCUMENT)


class EventRow(Row, table=True):
    """A webhook event, with the state of its delivery."""

    __tablename__ = "events"

    id: UUID = Field(primary_key=True)
    payment_id: UUID = Field(foreign_key="payments.id")
    refund_id: UUID | None = Field(foreign_key="refunds.id")
    merchant_id: str = Field(sa_type=Text)
    sequence: int = Field(sa_type=BigInteger)
    type: str = Field(sa_type=Text)
    attention: str | None = Field(sa_type=Text)
    subject: str | None = Field(sa_type=Text)
    data: dict[str, Any] = Field(sa_type=DOCUMENT)
    created_at: datetime = Field(sa_type=TIME)
    delivery: str = Field(sa_type=Text)
    attempts: int
    delivered_at: datetime | None = Field(sa_type=TIME)
    last_attempt_at: datetime | None = Field(sa_type=TIME)
    last_http_status: int | None
    last_error: str | None = Field(sa_type=Text)
    veto: str | None = Field(sa_type=Text)


class GrantRow(Row, table=True):
    """A store's transaction, bound to the payment that it was granted to."""

    __tablename__ = "grants"

    provider: str = Field(sa_type=Text, primary_key=True)
    account: str = Field(sa_type=Text)
    app: str = Field(sa_type=Text, primary_key=True)
    transaction_id: str = Field(sa_type=Text, primary_key=True)
    original_transaction_id: str = Field(sa_type=Text)
    payment_id: UUID = Field(foreign_key="payments.id")
    product_id: str = Field(sa_type=Text)
    product_type: str = Field(sa_type=Text)
    quantity: int
    purchased_at: datetime = Field(sa_type=TIME)
    signed_at: datetime = Field(sa_type=TIME)
    expires_at: datetime | None = Field(sa_type=TIME)
    revoked_at: datetime | None = Field(sa_type=TIME)
    revoked_share: int | None
    test: bool
    price: int | None = Field(sa_type=BigInteger)
    currency: str | None = Field(sa_type=Text)
    storefront: str | None = Field(sa_type=Text)
    granted_at: datetime = Field(sa_type=TIME)


class EntitlementRow(Row, table=True):
    """What a chain of a store's transactions entitles its buyer to, by the newest report."""

    __tablename__ = "entitlements"
    __table_args__ = (
        ForeignKeyConstraint(
            ["provider", "app", "transaction_id"],
            ["grants.provider", "grants.app", "grants.transaction_id"],
        ),
    )

    provider: str = Field(sa_type=Text, primary_key=True)
    account: str = Field(sa_type=Text)
    app: str = Field(sa_type=Text, primary_key=True)
    original_transaction_id: str = Field(sa_type=Text, primary_key=True)
    payment_id: UUID = Field(foreign_key="payments.id")
    merchant_id: str = Field(sa_type=Text, foreign_key="merchants.id")
    product_id: str = Field(sa_type=Text)
    product_type: str = Field(sa_type=Text)
    transaction_id: str = Field(sa_type=Text)
    purchased_at: datetime = Field(sa_type=TIME)
    status: str = Field(sa_type=Text)
    expires_at: datetime | None = Field(sa_type=TIME)
    grace_until: datetime | None = Field(sa_type=TIME)
    auto_renews: bool | None
    signed_at: datetime = Field(sa_type=TIME)
    test: bool


class NotificationRow(Row, table=True):
    """A verified notification as it first arrived; `repeats` counts the same content again."""

    __tablename__ = "notifications"

    id: UUID = Field(primary_key=True)
    provider: str = Field(sa_type=Text)
    account: str = Field(sa_type=Text)
    notification_id: str = Field(sa_type=Text)
    kind: str = Field(sa_type=Text)
    reference: str = Field(sa_type=Text)
    # No foreign key: a provider may name a payment that is not ours.
    payment_id: UUID | None
    headers: dict[str, str] = Field(sa_type=DOCUMENT)
    body: bytes = Field(sa_type=LargeBinary)
    content_hash: bytes | None = Field(sa_type=LargeBinary)
    received_at: datetime = Field(sa_type=TIME)
    repeats: int = Field(sa_type=BigInteger)
    last_received_at: datetime | None = Field(sa_type=TIME)
    outcome: str = Field(sa_type=Text)
    detail: str = Field(sa_type=Text)


class DeploymentRow(Row, table=True):
    """The one row with the identity key by which this database's ids were derived."""

    __tablename__ = "deployment"

    singleton: bool = Field(primary_key=True, default=True)
    identity_key: str = Field(sa_type=Text)


class AlarmRow(Row, table=True):
    """An alarm that concerns no single payment, counted by day."""

    __tablename__ = "alarms"

    kind: str = Field(sa_type=Text, primary_key=True)
    subject: str = Field(sa_type=Text, primary_key=True)
    day: date = Field(primary_key=True)
    count: int = Field(sa_type=BigInteger)
    first_at: datetime = Field(sa_type=TIME)
    last_at: datetime = Field(sa_type=TIME)
    detail: str = Field(sa_type=Text)


class MerchantRow(Row, table=True):
    """A merchant. The webhook secret is encrypted, not hashed: signing needs it."""

    __tablename__ = "merchants"

    id: str = Field(sa_type=Text, primary_key=True)
    name: str = Field(sa_type=Text)
    webhook_url: str | None = Field(sa_type=Text)
    webhook_secret: str | None = Field(sa_type=Text)
    late_policy: str = Field(sa_type=Text)


class ApiKeyRow(Row, table=True):
    """An API key: its digest, and the prefix that may be shown."""

    __tablename__ = "api_keys"

    digest: bytes = Field(sa_type=LargeBinary, primary_key=True)
    prefix: str = Field(sa_type=Text)
    merchant_id: str = Field(sa_type=Text, foreign_key="merchants.id")
    label: str = Field(sa_type=Text)
    created_at: datetime = Field(sa_type=TIME)
    revoked_at: datetime | None = Field(sa_type=TIME)


payments: Table = Row.metadata.tables["payments"]
refunds: Table = Row.metadata.tables["refunds"]
grants: Table = Row.metadata.tables["grants"]
entitlements: Table = Row.metadata.tables["entitlements"]
events: Table = Row.metadata.tables["events"]
alarms: Table = Row.metadata.tables["alarms"]
deployment: Table = Row.metadata.tables["deployment"]
notifications: Table = Row.metadata.tables["notifications"]
merchants: Table = Row.metadata.tables["merchants"]
api_keys: Table = Row.metadata.tables["api_keys"]
