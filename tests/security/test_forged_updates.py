"""What a process that was taken over cannot rewrite, although its role may write to the tables.

Columns that no code of ours updates are closed to the role; a guard holds what is left.
"""

import json
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from domain.checkout import Checkout, CheckoutKind, Created
from domain.notification import Notification, NotificationKind, NotificationOutcome
from domain.payment import Failure, Payment
from domain.refund import RefundStatus
from storage.database import Database
from storage.events import EventStore
from storage.keys import ApiKeyStore
from storage.notifications import Arrival, NotificationStore
from storage.payments import PaymentStore
from storage.privileges import PRIVILEGES
from storage.refunds import RefundStore
from storage.tables import Row
from tests.storage.making import NewPayment, NewRefund, ended, succeeded
from tests.storage.raw import refused

FIXED = [
    (table.name, column.name)
    for table in Row.metadata.sorted_tables
    for column in table.columns
    if column.name not in {name for p in PRIVILEGES if p.table == table.name for name in p.updated}
]
# Nothing that was asked for, sent by a provider or sent to a merchant is ever in the lists of
# storage/privileges.py.
NEVER_UPDATED = {
    "payments": {
        *("id", "merchant_id", "order_no", "idempotency_key", "request_hash", "provider"),
        *("account", "channel", "amount", "currency", "subject", "metadata", "return_url"),
        *("product_id", "quantity", "created_at", "expires_at", "forgotten_at"),
    },
    "refunds": {
        *("id", "payment_id", "merchant_id", "idempotency_key", "request_hash", "provider"),
        *("account", "amount", "currency", "cause", "reason", "created_at"),
    },
    "events": {
        *("id", "payment_id", "refund_id", "merchant_id", "sequence", "type", "subject"),
        *("attention", "data", "created_at"),
    },
    "notifications": {
        *("id", "provider", "account", "notification_id", "kind", "reference", "payment_id"),
        *("headers", "body", "content_hash", "received_at"),
    },
    "grants": {
        *("provider", "account", "app", "transaction_id", "product_id", "quantity", "price"),
        "granted_at",
    },
    "merchants": {"id"},
    "api_keys": {"digest", "prefix", "merchant_id", "label", "created_at"},
}


@pytest.fixture
async def runtime(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    """The role of API, workers and commands, past every store."""
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


@pytest.fixture
async def over(
    payments: PaymentStore,
    refunds: RefundStore,
    events: EventStore,
    new_payment: NewPayment,
    new_refund: NewRefund,
) -> Payment:
    """A paid payment with a failed refund, its events delivered with a veto."""
    payment = await payments.record(new_payment(return_url="https://tea.example/done"))
    checkout = Checkout(kind=CheckoutKind.QR, value="https://qr.example/1")
    await payments.save_checkout(payment.id, Created(checkout=checkout))
    final, _ = await payments.finalise(succeeded(payment))
    refund = await refunds.reserve(new_refund(payment, reason="spilt"))
    failure = Failure(code="no", message="The account is closed.")
    failed = ended(refund, RefundStatus.FAILED).model_copy(update={"failure": failure})
    await refunds.finalise(failed)
    for event in (await events.list_for_merchant(payment.merchant_id)).items:
        await events.delivered(event.id, 200, veto="sold out")
    return final


@pytest.fixture
async def notified(database: Database, over: Payment) -> UUID:
    """The id of a notification's row that a workflow was sent."""
    store = NotificationStore(database)
    notification = Notification(
        provider=over.provider,
        account=over.account,
        notification_id=uuid4().hex,
        kind=NotificationKind.PAYMENT,
        reference=over.reference,
    )
    row = await store.record(notification, Arrival({"a": "b"}, b"theirs", datetime.now(UTC)))
    await store.note(row, NotificationOutcome.SIGNALLED)
    return row


def test_no_column_of_a_request_is_granted() -> None:
    granted = {p.table: set(p.updated) for p in PRIVILEGES}
    assert {table: granted[table] & columns for table, columns in NEVER_UPDATED.items()} == {
        table: set() for table in NEVER_UPDATED
    }


@pytest.mark.parametrize(("table", "column"), FIXED)
async def test_what_no_code_updates_is_not_rewritten(
    runtime: asyncpg.Connection, table: str, column: str
) -> None:
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await runtime.execute(f"UPDATE {table} SET {column} = {column} WHERE false")  # noqa: S608


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("provider_reference = 'theirs'", "payments_reference_fixed"),
        ("raw_status = 'REFUNDED'", "payments_reference_fixed"),
        ("paid_at = now()", "payments_reference_fixed"),
        ("captured = captured + 1", "payments_money_forward"),
        ("status = 'failed'", "payments_status_final"),
        ("last_sequence = 0", "payments_money_forward"),
        ("""checkout = '{"kind": "qr", "value": "evil"}'""", "payments_text_fixed"),
        ("""failure = '{"code": "no", "message": "no"}'""", "payments_text_fixed"),
    ],
)
async def test_a_paid_payment_is_not_rewritten(
    runtime: asyncpg.Connection, over: Payment, change: str, rule: str
) -> None:
    with refused(rule):
        await runtime.execute(f"UPDATE payments SET {change} WHERE id = $1", over.id)  # noqa: S608


@pytest.mark.parametrize(
    ("change", "rule"),
    [
        ("status = 'succeeded'", "refunds_status_final"),
        ("provider_reference = 'theirs'", "refunds_end_fixed"),
        ("refunded_at = now()", "refunds_end_fixed"),
        ("failure = NULL", "refunds_end_fixed"),
    ],
)
async def test_an_ended_refund_is_not_rewritten(
    runtime: asyncpg.Connection, over: Payment, change: str, rule: str
) -> None:
    with refused(rule):
        await runtime.execute(f"UPDATE refunds SET {change} WHERE payment_id = $1", over.id)  # noqa: S608


@pytest.mark.parametrize(
    "change",
    [
        *("delivery = 'waiting'", "delivery = 'given_up'", "delivered_at = now()"),
        *("veto = NULL", "veto = 'in stock'", "attempts = 0"),
    ],
)
async def test_a_delivered_event_is_not_taken_back(
    runtime: asyncpg.Connection, over: Payment, change: str
) -> None:
    with refused("events_delivery_final"):
        await runtime.execute(f"UPDATE events SET {change} WHERE payment_id = $1", over.id)  # noqa: S608


async def test_a_veto_is_not_forged_for_a_delivered_event(
    runtime: asyncpg.Connection, events: EventStore, paid: Any
) -> None:
    payment: Payment = await paid()
    [event] = (await events.list_for_merchant(payment.merchant_id)).items
    await events.delivered(event.id, 200)

    for veto in ("''", "'sold out'"):
        with refused("events_delivery_final"):
            await runtime.execute(f"UPDATE events SET veto = {veto} WHERE id = $1", event.id)  # noqa: S608


@pytest.mark.parametrize("outcome", ["received", "ignored", "foreign"])
async def test_a_notification_is_not_made_one_that_nobody_was_sent(
    runtime: asyncpg.Connection, notified: UUID, outcome: str
) -> None:
    with refused("notifications_evidence_fixed"):
        await runtime.execute(
            "UPDATE notifications SET outcome = $2 WHERE id = $1", notified, outcome
        )


async def test_what_a_provider_sent_is_not_rewritten_by_the_owner_either(
    sql: asyncpg.Connection, notified: UUID
) -> None:
    for change in (
        *("body = 'forged'", """headers = '{"a": "c"}'""", "payment_id = NULL", "repeats = -1"),
        *("reference = 'other'", "received_at = now() - interval '1 year'", "content_hash = NULL"),
    ):
        with refused("notifications_evidence_fixed"):
            await sql.execute(f"UPDATE notifications SET {change} WHERE id = $1", notified)  # noqa: S608


async def test_a_revoked_key_is_not_made_valid_again(
    runtime: asyncpg.Connection, database: Database, over: Payment
) -> None:
    keys = ApiKeyStore(database)
    key = await keys.create(over.merchant_id, "")
    await runtime.execute(
        "UPDATE api_keys SET revoked_at = now() WHERE merchant_id = $1", over.merchant_id
    )

    for moment in ("NULL", "now() + interval '1 day'"):
        with refused("api_keys_revoked_for_good"):
            await runtime.execute(
                f"UPDATE api_keys SET revoked_at = {moment} WHERE merchant_id = $1",  # noqa: S608
                over.merchant_id,
            )
    assert await keys.authenticate(key) is None


async def test_no_event_and_no_payment_says_other_things_than_before(
    sql: asyncpg.Connection, over: Payment
) -> None:
    """By the tables' own guards, whoever writes."""
    for change in ("""data || '{"amount": 1}'""", """data || '{"metadata": {"a": "b"}}'""", "'{}'"):
        with refused("events_content_fixed"):
            await sql.execute(
                f"UPDATE events SET data = {change} WHERE payment_id = $1",  # noqa: S608
                over.id,
            )
    for text in ("subject = 'gold'", "return_url = 'https://evil.example'"):
        with refused("payments_text_fixed"):
            await sql.execute(f"UPDATE payments SET {text} WHERE id = $1", over.id)  # noqa: S608
    with refused("payments_text_fixed"):
        await sql.execute(
            "UPDATE payments SET metadata = $2 WHERE id = $1", over.id, json.dumps({"a": "b"})
        )
    with refused("refunds_reason_fixed"):
        await sql.execute("UPDATE refunds SET reason = 'other' WHERE payment_id = $1", over.id)
