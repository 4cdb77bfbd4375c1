import pytest

from tests.sandbox.apple_iap.conftest import COINS, MONTHLY, Step
from tests.sandbox.apple_iap.shop import AppStoreShop
from tests.sandbox.rig import Rig

CONSENT = {
    "customerConsented": True,
    "sampleContentProvided": False,
    "deliveryStatus": "DELIVERED",
    "consumptionPercentage": 40_000,
    "refundPreference": "DECLINE",
}


async def test_a_refund_is_apples_alone_and_revokes_the_purchase(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step
) -> None:
    number = (await buy(quantity=2))["transaction_id"]
    await act("refund", transaction_id=number, reason=1)
    claims = await shop.transaction(number)
    assert claims["revocationDate"] <= claims["signedDate"]
    assert (claims["revocationReason"], claims["revocationType"]) == (1, "REFUND_FULL")
    assert claims["revocationPercentage"] == 100_000
    moves = await rig.look("ledger")
    assert [(m["kind"], m["amount"]) for m in moves] == [("capture", 1200), ("refund", 1200)]
    again = {"transaction_id": number}
    assert (await rig.client.post("/_sandbox/apple_iap/refund", json=again)).status_code == 409


async def test_a_part_may_go_back(rig: Rig, shop: AppStoreShop, buy: Step, act: Step) -> None:
    number = (await buy())["transaction_id"]
    await act("refund", transaction_id=number, percentage=33_333)
    claims = await shop.transaction(number)
    assert claims["revocationType"] == "REFUND_PRORATED"
    assert claims["revocationPercentage"] == 33_333
    assert (await rig.look("ledger"))[-1]["amount"] == 199


async def test_a_reversed_refund_leaves_no_trace_on_the_purchase(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step
) -> None:
    number = (await buy())["transaction_id"]
    await act("refund", transaction_id=number)
    await act("reverse-refund", transaction_id=number)
    assert not [name for name in await shop.transaction(number) if name.startswith("revocation")]
    assert sum(m["amount"] for m in await rig.look("ledger") if m["kind"] == "refund") == 0
    assert (await rig.look("orders"))[0]["refunded"] == 0
    told = [item["notificationType"] for item in await shop.history()]
    assert told == ["ONE_TIME_CHARGE", "REFUND", "REFUND_REVERSED"]


async def test_the_refund_history_has_what_was_given_back(
    shop: AppStoreShop, buy: Step, act: Step
) -> None:
    kept = (await buy(customer="ann"))["transaction_id"]
    returned = (await buy(customer="ann"))["transaction_id"]
    await act("refund", transaction_id=returned)
    answer = await shop.get(f"/v2/refund/lookup/{kept}")
    found = [shop.verified(item)["transactionId"] for item in answer["signedTransactions"]]
    assert (found, answer["hasMore"]) == ([returned], False)


async def test_refunding_an_old_period_leaves_the_present_one(
    shop: AppStoreShop, buy: Step, act: Step
) -> None:
    first = (await buy(MONTHLY))["transaction_id"]
    await act("renew", transaction_id=first)
    await act("refund", transaction_id=first)
    answer = await shop.get(f"/v1/subscriptions/{first}")
    assert answer["data"][0]["lastTransactions"][0]["status"] == 1


async def test_a_refunded_subscription_is_revoked(shop: AppStoreShop, buy: Step, act: Step) -> None:
    first = (await buy(MONTHLY))["transaction_id"]
    await act("refund", transaction_id=first)
    answer = await shop.get(f"/v1/subscriptions/{first}")
    assert answer["data"][0]["lastTransactions"][0]["status"] == 5
    assert (await shop.get(f"/v1/subscriptions/{first}", status=[1, 2]))["data"] == []


async def test_apple_queries_how_much_was_consumed_each_time_anew(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step, listening: str
) -> None:
    number = (await buy())["transaction_id"]
    for _ in range(2):
        await act("request-refund", transaction_id=number, reason="FULFILLMENT_ISSUE")
    asked = [shop.notified(item) for item in await rig.receiver.wait_for(2)]
    assert {item["notificationType"] for item in asked} == {"CONSUMPTION_REQUEST"}
    assert asked[0]["data"]["consumptionRequestReason"] == "FULFILLMENT_ISSUE"
    assert len({item["notificationUUID"] for item in asked}) == 2


async def test_the_answer_about_consumption_is_kept(
    rig: Rig, shop: AppStoreShop, buy: Step
) -> None:
    number = (await buy())["transaction_id"]
    answer = await shop.call("PUT", f"/v2/transactions/consumption/{number}", json=CONSENT)
    assert (answer.status_code, answer.content) == (202, b"")
    assert (await rig.look("orders"))[0]["extra"]["consumption"] == CONSENT
    old = await shop.call(
        "PUT", f"/v1/transactions/consumption/{number}", json={"customerConsented": True}
    )
    assert old.status_code == 202


@pytest.mark.parametrize(
    ("change", "code"),
    [
        ({"customerConsented": False}, 4000035),
        ({"customerConsented": None}, 4000035),
        ({"sampleContentProvided": "no"}, 4000041),
        ({"deliveryStatus": "LOST"}, 4000036),
        ({"deliveryStatus": "UNDELIVERED_OTHER"}, 4000000),
        ({"consumptionPercentage": 100_001}, 4000000),
        ({"refundPreference": "PERHAPS"}, 4000000),
    ],
)
async def test_consumption_without_consent_or_sense_is_rejected(
    rig: Rig, shop: AppStoreShop, buy: Step, change: dict[str, object], code: int
) -> None:
    number = (await buy(COINS))["transaction_id"]
    path = f"/v2/transactions/consumption/{number}"
    answer = await shop.call("PUT", path, json=CONSENT | change)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert "consumption" not in (await rig.look("orders"))[0]["extra"]


async def test_nobody_else_refunds_here(rig: Rig, buy: Step, act: Step) -> None:
    number = (await buy())["transaction_id"]
    await act("refund", transaction_id=number, notify=False)
    content = {"provider": "apple_iap", "refund_reference": number, "status": "SUCCESS"}
    assert (await rig.client.post("/_sandbox/refunds/complete", json=content)).status_code == 409
