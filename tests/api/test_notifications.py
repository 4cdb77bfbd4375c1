import asyncio
import json
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import httpx
import pytest

from domain.identity import payment_workflow_id
from domain.notification import NotificationOutcome
from domain.payment import PaymentStatus
from domain.refund import Refund
from providers.base import refundable
from tests.api.house import House, ProviderSide, Shop, eventually, order


@pytest.fixture
def outcomes(house: House) -> Any:
    """What the stored notifications of a payment led to, oldest first."""

    async def read(payment: dict[str, Any]) -> list[NotificationOutcome]:
        stored = await house.dependencies.stores.notifications.list_for_payment(UUID(payment["id"]))
        return [record.outcome for record in stored]

    return read


async def test_a_notification_is_kept_signalled_and_only_then_acknowledged(
    shop: Shop, provider: ProviderSide, house: House, outcomes: Any
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    answer = await provider.notify(made)
    assert answer["accepted"]
    assert await outcomes(made) == ["signalled"]
    [record] = await house.dependencies.stores.notifications.list_for_payment(UUID(made["id"]))
    assert json.loads(record.body)["event_type"] == "TRANSACTION.SUCCESS"
    assert "wechatpay-signature" in record.headers
    found = await shop.reaches(made, "succeeded")
    assert found["captured"] == made["amount"]
    assert found["paid_at"] is not None


async def test_an_alipay_notification_is_answered_in_its_own_way(
    shop: Shop, provider: ProviderSide
) -> None:
    made = await shop.pending(provider="alipay", account="main")
    await provider.pay(made)
    answer = await provider.notify(made)
    assert (answer["accepted"], answer["body"]) == (True, "success")
    await shop.reaches(made, "succeeded")


async def test_two_hundred_parallel_duplicates_end_the_payment_once(
    shop: Shop, provider: ProviderSide, outcomes: Any
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    # All at once they would only time out and come again, in the one process that plays all parts
    # here; tests/stack/test_parallel.py sends them all at once.
    at_once = asyncio.Semaphore(40)

    async def duplicate() -> None:
        async with at_once:
            await _until_acknowledged(provider, made)

    await asyncio.gather(*(duplicate() for _ in range(200)))
    found = await shop.reaches(made, "succeeded")
    assert found["captured"] == made["amount"]
    events = (await shop.http.get("/v1/events", params={"payment_id": made["id"]})).json()
    assert [event["type"] for event in events["data"]] == ["payment.succeeded"]
    assert len(await outcomes(made)) >= 200
    assert set(await outcomes(made)) <= {"signalled", "duplicate", "received"}


async def _until_acknowledged(provider: ProviderSide, made: dict[str, Any]) -> None:
    """As a provider does it: what a busy machine could not take in time is sent again."""

    async def accepted() -> bool:
        return bool((await provider.notify(made))["accepted"])

    await eventually(accepted)


@pytest.mark.parametrize("forgery", ["tamper_body", "foreign_key", "stale", "unknown_serial"])
async def test_a_forgery_is_refused_and_leaves_no_trace(
    shop: Shop, provider: ProviderSide, outcomes: Any, forgery: str
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    answer = await provider.notify(made, fault=forgery)
    assert not answer["accepted"]
    assert answer["status"] >= 400
    assert await outcomes(made) == []
    assert (await shop.read(made))["status"] == "pending"


async def test_a_mismatching_notification_calls_a_person_and_is_never_acknowledged(
    shop: Shop, provider: ProviderSide, outcomes: Any
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    for _ in range(2):
        answer = await provider.notify(made, fault="wrong_amount")
        assert not answer["accepted"]
    assert await outcomes(made) == ["mismatch", "mismatch"]

    async def told() -> Any:
        params = {"payment_id": made["id"], "type": "payment.attention"}
        return (await shop.http.get("/v1/events", params=params)).json()["data"]

    [event] = await eventually(told)
    assert event["data"]["attention"] == "amount_mismatch"


async def test_another_accounts_notification_never_pays_our_payment(
    shop: Shop, provider: ProviderSide, house: House, outcomes: Any
) -> None:
    made = await shop.pending()
    ours = await house.dependencies.stores.payments.get(UUID(made["id"]))
    assert ours is not None
    cert = house.dependencies.registry.get("wechatpay", "cert")
    created = await cert.create(ours.model_copy(update={"account": "cert"}))
    theirs = made | {"checkout": created.checkout.model_dump()}
    await provider.pay(theirs)
    answer = await provider.notify(theirs)
    assert not answer["accepted"]
    assert await outcomes(made) == ["foreign"]
    found = await shop.read(made)
    assert (found["status"], found["attention"], found["captured"]) == ("pending", None, 0)


async def test_an_order_that_is_not_ours_is_refused(
    provider: ProviderSide, house: House, shop: Shop
) -> None:
    ours = await house.dependencies.stores.payments.get(UUID((await shop.pending())["id"]))
    assert ours is not None
    foreign = ours.model_copy(update={"id": uuid4(), "order_no": "x"})
    source = house.dependencies.registry.get("wechatpay", "pubkey")
    created = await source.create(foreign)
    document = {
        "id": str(foreign.id),
        "provider": "wechatpay",
        "checkout": created.checkout.model_dump(),
    }
    await provider.pay(document)
    assert not (await provider.notify(document))["accepted"]
    [record] = await house.dependencies.stores.notifications.list_for_payment(foreign.id)
    assert record.outcome is NotificationOutcome.UNKNOWN_REFERENCE


async def test_a_notification_after_the_end_that_says_nothing_new_is_acknowledged(
    shop: Shop, provider: ProviderSide, house: House, outcomes: Any
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    await shop.http.post(f"/v1/payments/{made['id']}/sync")
    handle = house.dependencies.temporal.get_workflow_handle(payment_workflow_id(UUID(made["id"])))
    await handle.result()
    assert (await provider.notify(made))["accepted"]
    assert await outcomes(made) == ["duplicate"]


async def test_money_for_a_closed_payment_is_counted_and_given_back(
    shop: Shop, provider: ProviderSide, house: House, outcomes: Any
) -> None:
    made = await shop.pending()
    await _close_in_our_books_only(house, made)
    await provider.pay(made)
    answers = await asyncio.gather(*(provider.notify(made) for _ in range(10)))
    assert all(answer["accepted"] for answer in answers)
    assert "late" in await outcomes(made)

    async def given_back() -> Any:
        path = f"/v1/payments/{made['id']}/refunds"
        return (await shop.http.get(path)).json()["data"]

    [refund] = await eventually(given_back)
    assert (refund["cause"], refund["amount"]) == ("late_payment", made["amount"])
    found = await shop.read(made)
    assert (found["status"], found["late"]) == ("closed", True)


async def _close_in_our_books_only(house: House, made: dict[str, Any]) -> None:
    payments = house.dependencies.stores.payments
    payment = await payments.get(UUID(made["id"]))
    assert payment is not None
    handle = house.dependencies.temporal.get_workflow_handle(payment_workflow_id(payment.id))
    await handle.terminate("the test takes its place")
    await payments.finalise(payment.model_copy(update={"status": PaymentStatus.CLOSED}))


async def test_a_refund_made_at_the_providers_console_is_recorded(
    shop: Shop, provider: ProviderSide, house: House, outcomes: Any
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    await provider.notify(made)
    await shop.reaches(made, "succeeded")
    payment = await house.dependencies.stores.payments.get(UUID(made["id"]))
    assert payment is not None
    refund = Refund(
        id=uuid4(),
        payment_id=payment.id,
        merchant_id=payment.merchant_id,
        idempotency_key="console",
        request_hash="console",
        provider=payment.provider,
        account=payment.account,
        amount=100,
        created_at=datetime.now(UTC),
    )
    source = house.dependencies.registry.get(payment.provider, payment.account)
    await refundable(source).refund(refund, payment)
    await provider.control.post(
        "/_sandbox/refunds/complete",
        json={"provider": "wechatpay", "refund_reference": refund.reference},
    )
    answer = await provider.notify(made, kind="refund", refund_reference=refund.reference)
    assert answer["accepted"]
    assert "late" in await outcomes(made)

    async def recorded() -> bool:
        return bool((await shop.read(made))["refunded"] == refund.amount)

    await eventually(recorded)
    assert (await shop.read(made))["attention"] is None


async def test_while_temporal_is_down_the_provider_is_asked_to_send_again(
    shop: Shop, provider: ProviderSide, house_without_temporal: House, outcomes: Any
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    with house_without_temporal.takes_notifications():
        assert not (await provider.notify(made))["accepted"]
    assert (await shop.read(made))["status"] == "pending"
    assert (await provider.notify(made))["accepted"]
    assert await outcomes(made) == ["received", "signalled"]
    await shop.reaches(made, "succeeded")


async def test_while_no_worker_runs_the_word_is_kept_all_the_same(
    provider: ProviderSide, house_without_worker: House, shop: Shop
) -> None:
    client = house_without_worker.dependencies.temporal
    waiting = await house_without_worker.shop()
    response = await waiting.create(order())
    assert response.status_code == 202
    made = response.json()
    payment = await house_without_worker.dependencies.stores.payments.get(UUID(made["id"]))
    assert payment is not None
    source = house_without_worker.dependencies.registry.get("wechatpay", "pubkey")
    created = await source.create(payment)
    await provider.pay(made | {"checkout": created.checkout.model_dump()})
    with house_without_worker.takes_notifications():
        assert (await provider.notify(made))["accepted"]
    history = await client.get_workflow_handle(payment_workflow_id(payment.id)).fetch_history()
    assert any(
        event.HasField("workflow_execution_signaled_event_attributes") for event in history.events
    )


async def test_a_notification_for_an_account_that_is_not_ours_is_not_found(
    stranger: httpx.AsyncClient,
) -> None:
    for path in ("/notify/wechatpay/nobody", "/notify/paypal/main"):
        response = await stranger.post(path, content=b"{}")
        assert (response.status_code, response.json()["code"]) == (404, "account_not_found")


@pytest.mark.parametrize("path", ["/notify/wechatpay/pubkey", "/notify/alipay/main"])
@pytest.mark.parametrize("body", [b"", b"{}", b"\xff\xfe", b"a=b&sign=x", b"[" * 60000])
async def test_rubbish_is_refused_in_the_providers_own_way(
    stranger: httpx.AsyncClient, path: str, body: bytes
) -> None:
    response = await stranger.post(path, content=body)
    assert response.content != b"success"
    assert "alipay" in path or response.status_code >= 400


async def test_counters_name_what_happened(
    shop: Shop, provider: ProviderSide, stranger: httpx.AsyncClient
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    await provider.notify(made)
    await provider.notify(made, fault="tamper_body")
    counted = (await stranger.get("/metrics")).text
    for outcome in ("signalled", "forged"):
        assert (
            f'paysaga_notifications_total{{account="pubkey",outcome="{outcome}"'
            ',provider="wechatpay"}' in counted
        )
    assert 'paysaga_payments_created_total{channel="qr",provider="wechatpay"}' in counted
