"""What a store tells us by itself: the sale, and all that comes after it."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import httpx
import pytest

from domain.identity import late_workflow_id, payment_workflow_id
from domain.notification import NotificationOutcome
from tests.api.buyer import COINS, MONTHLY, RECIPES, Buyer
from tests.api.house import House, ProviderSide, Shop, eventually


async def stands(shop: Shop, payment: dict[str, Any], **entitlement: Any) -> dict[str, Any]:
    """Until the payment's entitlement is so."""

    async def reached() -> dict[str, Any] | None:
        found = (await shop.read(payment))["entitlement"]
        fits = found and all(found[name] == value for name, value in entitlement.items())
        return found if fits else None

    found: dict[str, Any] = await eventually(reached)
    return found


async def test_the_stores_report_alone_pays(buyer: Buyer, shop: Shop) -> None:
    payment = await buyer.ask(RECIPES)
    await buyer.buy(payment, notify=True)
    paid = await shop.reaches(payment, "succeeded")
    assert paid["entitlement"]["product_id"] == RECIPES


async def test_a_report_that_was_lost_is_found_by_querying(buyer: Buyer, shop: Shop) -> None:
    payment = await buyer.ask()
    await buyer.buy(payment)
    answer = await shop.http.post(f"/v1/payments/{payment['id']}/sync")
    assert answer.json()["status"] == "succeeded", answer.text
    assert (await shop.reaches(payment, "succeeded"))["entitlement"]["has_access"]


async def test_a_report_after_the_run_is_bound_before_the_late_run_queries_it(
    buyer: Buyer, house: House, provider: ProviderSide
) -> None:
    payment = await buyer.ask()
    bought = await buyer.buy(payment)
    temporal, payment_id = house.dependencies.temporal, UUID(payment["id"])
    await temporal.get_workflow_handle(payment_workflow_id(payment_id)).terminate("by an operator")
    assert (await provider.notify(payment))["accepted"]

    late = temporal.get_workflow_handle(late_workflow_id(payment_id))
    started = (await anext(late.fetch_history_events())).workflow_execution_started_event_attributes
    [order] = await temporal.data_converter.decode(started.input.payloads)
    assert order["payment"]["provider_reference"] == bought["transaction_id"]


async def test_a_report_and_its_repeats_pay_once(
    buyer: Buyer, shop: Shop, provider: ProviderSide
) -> None:
    payment = await buyer.ask()
    bought = await buyer.buy(payment)
    answers = [await provider.notify(payment) for _ in range(3)]
    assert [answer["accepted"] for answer in answers] == [True] * 3
    await shop.reaches(payment, "succeeded")
    assert (await buyer.verify(payment, await buyer.signed(bought))).status_code == 200
    await buyer.hears(payment, "payment.succeeded")


@pytest.mark.parametrize(
    "flaw", ["bad_signature", "nested_foreign_ca", "foreign_ca", "two_certificates", "alg_hs256"]
)
async def test_a_forged_report_changes_nothing_and_is_rejected(
    buyer: Buyer, shop: Shop, provider: ProviderSide, flaw: str
) -> None:
    payment = await buyer.ask()
    await buyer.buy(payment)
    answer = await provider.notify(payment, fault=flaw)
    assert not answer["accepted"]
    assert (await shop.read(payment))["status"] == "pending"


async def test_a_refund_by_the_store_is_followed_and_notified(buyer: Buyer, shop: Shop) -> None:
    payment, bought = await buyer.bought()
    await buyer.act("refund", transaction_id=bought["transaction_id"])
    told = await buyer.hears(
        payment, "payment.succeeded", "entitlement.changed", "refund.succeeded"
    )
    changed, refunded = told[1]["data"], told[2]["data"]
    assert (changed["status"], changed["has_access"]) == ("refunded", False)
    assert (refunded["cause"], refunded["amount"]) == ("provider", payment["amount"])
    found = await shop.read(payment)
    assert (found["status"], found["refunded"]) == ("succeeded", payment["amount"])
    refunds = (await shop.http.get(f"/v1/payments/{payment['id']}/refunds")).json()["data"]
    assert [(each["status"], each["cause"]) for each in refunds] == [("succeeded", "provider")]


async def test_a_refund_taken_back_gives_the_goods_back(buyer: Buyer, shop: Shop) -> None:
    payment, bought = await buyer.bought(RECIPES)
    number = bought["transaction_id"]
    await buyer.act("refund", transaction_id=number)
    await stands(shop, payment, status="refunded")
    await buyer.act("reverse-refund", transaction_id=number)
    await stands(shop, payment, status="active")
    told = await buyer.hears(
        payment,
        "payment.succeeded",
        "entitlement.changed",
        "refund.succeeded",
        "entitlement.changed",
        "refund.reversed",
    )
    assert told[-1]["data"]["status"] == "reversed"
    assert (await shop.read(payment))["refunded"] == 0
    # And once more: another refund of its own.
    await buyer.act("refund", transaction_id=number)
    await stands(shop, payment, status="refunded")
    assert (await shop.read(payment))["refunded"] == payment["amount"]


async def test_a_part_refunded_is_a_part(buyer: Buyer, shop: Shop) -> None:
    payment, bought = await buyer.bought(MONTHLY)
    await buyer.act("refund", transaction_id=bought["transaction_id"], percentage=40_000)
    await stands(shop, payment, status="refunded")
    assert (await shop.read(payment))["refunded"] == payment["amount"] * 40 // 100


async def test_a_refund_received_before_the_purchase_is_brought_ends_as_both(
    buyer: Buyer, shop: Shop
) -> None:
    payment = await buyer.ask()
    bought = await buyer.buy(payment)
    signed = await buyer.signed(bought)
    await buyer.act("refund", transaction_id=bought["transaction_id"])
    await shop.reaches(payment, "succeeded")
    assert (await buyer.verify(payment, signed)).status_code == 200
    found = await stands(shop, payment, status="refunded")
    assert not found["has_access"]
    await buyer.hears(payment, "payment.succeeded", "refund.succeeded")
    assert (await shop.read(payment))["refunded"] == payment["amount"]


async def test_a_subscription_lives_by_the_stores_reports(buyer: Buyer, shop: Shop) -> None:
    payment, bought = await buyer.bought(MONTHLY)
    chain = bought["original_transaction_id"]
    first = (await shop.read(payment))["entitlement"]
    renewed = await buyer.act("renew", transaction_id=bought["transaction_id"])
    found = await stands(shop, payment, transaction_id=renewed["transaction_id"], status="active")
    assert found["expires_at"] > first["expires_at"]
    assert found["original_transaction_id"] == chain
    await buyer.act("auto-renew", transaction_id=renewed["transaction_id"], enabled=False)
    await stands(shop, payment, auto_renews=False)
    await buyer.act("auto-renew", transaction_id=renewed["transaction_id"], enabled=True)
    await stands(shop, payment, auto_renews=True)
    await buyer.act("fail-renewal", transaction_id=renewed["transaction_id"], grace=True)
    found = await stands(shop, payment, status="grace")
    assert found["has_access"]
    assert found["grace_until"] is not None
    await buyer.act("end-grace", transaction_id=renewed["transaction_id"])
    assert not (await stands(shop, payment, status="billing_retry"))["has_access"]
    await buyer.act("expire", transaction_id=renewed["transaction_id"], reason="BILLING_RETRY")
    await stands(shop, payment, status="expired")
    found = await shop.read(payment)
    assert (found["captured"], found["refunded"]) == (payment["amount"], 0)
    told = [event["data"]["change"] for event in (await buyer.events(payment))[1:]]
    assert told == [
        "renewed",
        "renewal_preference",
        "renewal_preference",
        "grace",
        "billing_retry",
        "expired",
    ]


async def test_a_refund_of_an_earlier_period_leaves_the_running_one(
    buyer: Buyer, shop: Shop
) -> None:
    payment, bought = await buyer.bought(MONTHLY)
    renewed = await buyer.act("renew", transaction_id=bought["transaction_id"])
    await stands(shop, payment, transaction_id=renewed["transaction_id"])
    await buyer.act("refund", transaction_id=bought["transaction_id"])
    await buyer.hears(
        payment,
        "payment.succeeded",
        "entitlement.changed",
        "entitlement.changed",
        "refund.succeeded",
    )
    found = await stands(shop, payment, status="active")
    assert found["transaction_id"] == renewed["transaction_id"]


async def test_a_consumption_request_is_notified_once_each(buyer: Buyer) -> None:
    payment, bought = await buyer.bought()
    await buyer.act("request-refund", transaction_id=bought["transaction_id"], reason="LEGAL")
    told = await buyer.hears(payment, "payment.succeeded", "entitlement.consumption_requested")
    assert told[-1]["data"]["reason"] == "LEGAL"
    assert told[-1]["data"]["changed_transaction_id"] == bought["transaction_id"]


async def test_a_second_purchase_with_one_token_is_granted_too(buyer: Buyer, shop: Shop) -> None:
    payment, first = await buyer.bought(COINS)
    second = await buyer.buy(payment, notify=True)
    assert second["transaction_id"] != first["transaction_id"]
    told = await buyer.hears(payment, "payment.succeeded", "entitlement.changed")
    assert told[-1]["data"]["transaction_id"] == second["transaction_id"]
    assert (await shop.read(payment))["captured"] == payment["amount"]
    await buyer.act("refund", transaction_id=second["transaction_id"])
    await buyer.hears(payment, "payment.succeeded", "entitlement.changed", "entitlement.changed")
    # The payment's own purchase was not refunded.
    assert (await shop.read(payment))["refunded"] == 0


async def test_a_purchase_that_names_nobody_is_kept_until_it_is_claimed(
    buyer: Buyer, shop: Shop, house: House
) -> None:
    payment = await buyer.ask()
    bought = await buyer.buy(payment, app_account_token=None, notify=True)
    assert (await shop.read(payment))["status"] == "pending"
    assert (await buyer.verify(payment, await buyer.signed(bought))).status_code == 200
    # From now on the store's words find it, although they do not name it.
    await buyer.act("refund", transaction_id=bought["transaction_id"])
    await stands(shop, payment, status="refunded")


async def test_a_report_about_nothing_that_we_sell_is_taken_and_kept(
    buyer: Buyer, shop: Shop, house: House, provider: ProviderSide
) -> None:
    done = await buyer.act("notify", type="TEST")
    stored = house.dependencies.stores.notifications
    assert done["notification_uuid"]
    payment, bought = await buyer.bought()
    for kind in ("PRICE_INCREASE", "SOMETHING_NEW_OF_2031"):
        await buyer.act("notify", type=kind, transaction_id=bought["transaction_id"])
    rows = await stored.list_for_payment(payment["id"])
    assert rows[0].outcome is NotificationOutcome.SIGNALLED
    assert [event["type"] for event in await buyer.events(payment)] == ["payment.succeeded"]
    assert (await stands(shop, payment, status="active"))["has_access"]


async def test_reports_that_were_lost_are_fetched_by_an_operator(
    buyer: Buyer, shop: Shop, stranger: httpx.AsyncClient
) -> None:
    payment, bought = await buyer.bought(MONTHLY)
    begun = datetime.now(UTC) - timedelta(minutes=1)
    renewed = await buyer.act("renew", transaction_id=bought["transaction_id"], notify=False)
    assert (await shop.read(payment))["entitlement"]["auto_renews"] is None
    for _ in range(2):
        answer = await stranger.post(
            "/ops/stores/apple_iap/main/catch-up", json={"since": begun.isoformat()}
        )
        assert answer.status_code == 200, answer.text
        await stands(shop, payment, transaction_id=renewed["transaction_id"], auto_renews=True)
    assert answer.json()["outcomes"]["duplicate"] >= 1
    await buyer.hears(payment, "payment.succeeded", "entitlement.changed")


async def test_who_keeps_no_history_cannot_be_caught_up_with(stranger: httpx.AsyncClient) -> None:
    answer = await stranger.post(
        "/ops/stores/wechatpay/pubkey/catch-up", json={"since": "2026-05-01T00:00:00Z"}
    )
    assert (answer.status_code, answer.json()["param"]) == (422, "provider")
