"""What is personal in a payment can be erased in our whole database, and does not come back."""

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest

from domain.checkout import Checkout, CheckoutKind, Created
from domain.errors import Conflict, NotFound
from domain.event import DeliveryStatus
from domain.payment import Failure, Payment
from domain.refund import RefundStatus
from domain.report import Attention
from storage.database import Database
from storage.erasure import forget_notifications, forget_payment
from storage.events import EventStore
from storage.notifications import NotificationStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from tests.api.house import House, ProviderSide, Shop, order
from tests.security.personal_data import acknowledge, arrival_of, columns_with, everything
from tests.storage.making import NewPayment, NewRefund, closed, ended, paid_late, succeeded


@pytest.fixture
def person() -> str:
    """A payer of this test alone."""
    return f"Zhang Wei, {uuid4()}"


@pytest.fixture
def notifications(database: Database) -> NotificationStore:
    return NotificationStore(database)


@pytest.fixture
async def personal(
    payments: PaymentStore,
    refunds: RefundStore,
    events: EventStore,
    notifications: NotificationStore,
    new_payment: NewPayment,
    new_refund: NewRefund,
    person: str,
) -> Payment:
    """A payment that is over, with the payer's name in every field that is free text."""
    payment = await payments.record(
        new_payment(
            subject=f"Tea for {person}",
            metadata={"buyer": person},
            return_url=f"https://tea.example/{person}",
        )
    )
    checkout = Checkout(kind=CheckoutKind.QR, value=f"https://qr.example/{person}")
    await payments.save_checkout(payment.id, Created(checkout=checkout))
    await payments.finalise(succeeded(payment))
    refund = await refunds.reserve(new_refund(payment, reason=f"{person} did not like it"))
    await refunds.finalise(ended(refund))
    other = await refunds.reserve(new_refund(payment, reason=f"{person} again"))
    failure = Failure(code="no", message=person, provider_code="ACQ.X", provider_message=person)
    failed = ended(other, RefundStatus.FAILED).model_copy(update={"failure": failure})
    await refunds.finalise(failed)
    await payments.flag(payment.id, Attention.EXTERNAL_REFUND, "1.00 went back")
    await notifications.record(*arrival_of(payment, person))
    page = await events.list_for_merchant(payment.merchant_id)
    await events.record_attempt(page.items[0].id, 500, f"no such customer: {person}")
    for event in page.items[1:]:
        await events.delivered(event.id, 200, veto=f"not for {person}")
    await events.mark(page.items[0].id, DeliveryStatus.GIVEN_UP)
    return payment


async def test_nothing_personal_is_readable_after_a_payment_was_forgotten(
    database: Database, personal: Payment, person: str
) -> None:
    assert await columns_with(database, person) == {
        *("payments.subject", "payments.metadata", "payments.return_url", "payments.checkout"),
        *("refunds.reason", "refunds.failure", "events.data", "events.veto", "events.last_error"),
        *("notifications.headers", "notifications.body"),
    }

    await forget_payment(database, personal.id)
    await forget_payment(database, personal.id)

    assert await columns_with(database, person) == set()


async def test_no_fact_of_the_money_is_erased(
    database: Database, personal: Payment, sql: asyncpg.Connection
) -> None:
    before = await everything(sql, personal.id)
    await forget_payment(database, personal.id)
    after = await everything(sql, personal.id)

    changed: dict[str, set[str]] = {}
    for table, rows in before.items():
        for old, new in zip(rows, after[table], strict=True):
            changed.setdefault(table, set()).update(key for key in old if old[key] != new[key])
    assert changed == {
        "payments": {"subject", "metadata", "return_url", "checkout", "forgotten_at"},
        "refunds": {"reason", "failure"},
        "events": {"data", "veto", "last_error"},
        "notifications": {"headers", "body"},
    }
    data = {
        key
        for old, new in zip(before["events"], after["events"], strict=True)
        for key in old["data"]
        if old["data"][key] != new["data"][key]
    }
    assert data == {"metadata", "reason", "failure"}
    [failure] = [row["failure"] for row in after["refunds"] if row["failure"]]
    assert (failure["code"], failure["provider_code"]) == ("no", "ACQ.X")
    assert {event["veto"] for event in after["events"]} == {None, ""}, "that there was one stays"


async def test_what_comes_late_about_a_forgotten_payment_brings_nothing_back(
    database: Database,
    payments: PaymentStore,
    events: EventStore,
    notifications: NotificationStore,
    new_payment: NewPayment,
    person: str,
) -> None:
    payment = await payments.record(new_payment(metadata={"buyer": person}, subject=person))
    await payments.finalise(closed(payment))
    await acknowledge(events, payment)
    early = arrival_of(payment, person)
    await notifications.record(*early)
    await forget_payment(database, payment.id)

    # The workflow still has the whole payment; the provider repeats itself, and sends more.
    await notifications.record(*early)
    await notifications.record(*arrival_of(payment, person))
    await payments.capture_late(paid_late(payment))
    await payments.accept_late(payment.id)
    await payments.flag(payment.id, Attention.CONTRADICTION, "")
    await acknowledge(events, payment, veto=f"not for {person}")
    await payments.record(payment)
    checkout = Checkout(kind=CheckoutKind.QR, value=person)
    await payments.save_checkout(payment.id, Created(checkout=checkout))

    assert await columns_with(database, person) == set()
    page = await events.list_for_merchant(payment.merchant_id)
    assert len(page.items) == 3
    assert {event.data["amount"] for event in page.items} == {payment.amount}
    assert [record.repeats for record in await notifications.list_for_payment(payment.id)] == [1, 0]


async def test_a_notification_that_is_being_kept_meanwhile_is_not_overlooked(
    database: Database, personal: Payment, person: str, sql: asyncpg.Connection
) -> None:
    async with sql.transaction():
        await sql.execute(
            "INSERT INTO notifications (id, provider, account, notification_id, kind, reference,"
            " payment_id, headers, body, received_at)"
            " VALUES ($1, 'alipay', 'main', 'n', 'payment', 'r', $2, '{}', $3, now())",
            *(uuid4(), personal.id, person.encode()),
        )
        forgetting = asyncio.create_task(forget_payment(database, personal.id))
        waiting = "SELECT count(*) FROM pg_locks WHERE NOT granted"
        while not forgetting.done() and not await sql.fetchval(waiting):  # noqa: ASYNC110
            await asyncio.sleep(0.01)
    await forgetting

    assert await columns_with(database, person) == set()


async def test_a_forgotten_payment_is_still_refunded_and_its_reasons_are_not_kept(
    database: Database,
    payments: PaymentStore,
    refunds: RefundStore,
    new_refund: NewRefund,
    personal: Payment,
    person: str,
) -> None:
    await forget_payment(database, personal.id)

    given_back = new_refund(personal, 200, reason=f"{person} wrote again")
    await refunds.reserve(given_back)
    await refunds.finalise(ended(given_back))
    failure = Failure(code="no", message=person, provider_message=person)
    second = new_refund(personal, 300, reason=f"{person} once more")
    await refunds.reserve(second)
    await refunds.finalise(
        ended(second, RefundStatus.FAILED).model_copy(update={"failure": failure})
    )

    stored = await payments.get(personal.id)
    assert stored is not None
    assert (stored.refunded, stored.refund_reserved) == (300, 0)
    assert await columns_with(database, person) == set()


async def test_nothing_is_forgotten_while_it_is_still_needed(
    database: Database,
    payments: PaymentStore,
    refunds: RefundStore,
    events: EventStore,
    new_payment: NewPayment,
    new_refund: NewRefund,
) -> None:
    async def is_kept(payment: Payment) -> None:
        with pytest.raises(Conflict) as kept:
            await forget_payment(database, payment.id)
        assert kept.value.code == "payment_not_over"
        assert (await payments.get_for_merchant(payment.merchant_id, payment.id)).metadata

    payment = await payments.record(new_payment())
    await is_kept(payment)
    await payments.finalise(succeeded(payment))
    await is_kept(payment)
    await acknowledge(events, payment)
    refund = await refunds.reserve(new_refund(payment))
    await is_kept(payment)
    await refunds.finalise(ended(refund))
    await is_kept(payment)
    await acknowledge(events, payment)

    await forget_payment(database, payment.id)


async def test_a_payment_that_is_not_there_is_not_forgotten(database: Database) -> None:
    with pytest.raises(NotFound):
        await forget_payment(database, uuid4())


async def test_evidence_of_the_last_month_is_not_erased_in_bulk(
    database: Database, personal: Payment, person: str
) -> None:
    with pytest.raises(Conflict) as refused:
        await forget_notifications(database, datetime.now(UTC) - timedelta(days=29))
    assert refused.value.code == "notifications_too_young"
    assert "notifications.body" in await columns_with(database, person)
    assert personal.captured == 0


async def test_a_forgotten_payment_reads_and_refunds_without_its_texts(
    shop: Shop, provider: ProviderSide, house: House, database: Database, person: str
) -> None:
    """Through the API, its workflows and the provider's side."""
    request = order(metadata={"customer": person}, subject=person)
    key = uuid4().hex
    made: dict[str, Any] = (await shop.create(request, key)).json()
    await provider.pay(made)
    await provider.notify(made)
    paid = await shop.reaches(made, "succeeded")
    stores = house.dependencies.stores
    payment_id = UUID(made["id"])
    for event in (await stores.events.list_for_merchant(shop.merchant.id)).items:
        await stores.events.mark(event.id, DeliveryStatus.GIVEN_UP)

    await forget_payment(database, payment_id)
    await provider.notify(made)

    found = await shop.read(made)
    assert (found["subject"], found["metadata"], found["checkout"]) == ("", {}, None)
    erased = {"subject", "metadata", "checkout", "return_url"}
    assert {name: paid[name] for name in paid if name not in erased} == {
        name: found[name] for name in found if name not in erased
    }
    # The same request is still known by its hash, and answered with what is left.
    again = await shop.create(request, key)
    assert (again.status_code, again.json()["id"]) == (200, made["id"])
    refund = (await shop.refund(made, uuid4().hex, amount=1, reason=f"for {person}")).json()
    assert refund["status"] in ("pending", "succeeded"), refund
    assert await columns_with(database, person) == set()
