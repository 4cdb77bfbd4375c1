from typing import Any

import pytest

from tests.sandbox.apple_iap.conftest import COINS, MONTHLY, YEARLY, Step
from tests.sandbox.apple_iap.shop import AppStoreShop
from tests.sandbox.rig import Rig

DAY = 86_400_000


async def status(shop: AppStoreShop, transaction_id: str) -> dict[str, Any]:
    """The only subscription of a customer, opened."""
    answer = await shop.get(f"/v1/subscriptions/{transaction_id}")
    [group] = answer["data"]
    [item] = group["lastTransactions"]
    return {
        "status": item["status"],
        "transaction": shop.verified(item["signedTransactionInfo"]),
        "renewal": shop.verified(item["signedRenewalInfo"]),
    }


async def test_a_renewal_is_a_new_transaction_of_the_same_chain(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step, token: str
) -> None:
    first = (await buy(MONTHLY))["transaction_id"]
    second = await act("renew", transaction_id=first)
    claims = shop.verified(second["signed_transaction"])
    assert claims["transactionId"] != first
    assert claims["originalTransactionId"] == first
    assert (claims["transactionReason"], claims["appAccountToken"]) == ("RENEWAL", token)
    begun = await shop.transaction(first)
    assert claims["expiresDate"] == begun["expiresDate"] + 30 * DAY
    assert [move["amount"] for move in await rig.look("ledger")] == [1800, 1800]


async def test_a_rejected_card_with_grace_keeps_access_and_a_later_charge_heals(
    shop: AppStoreShop, buy: Step, act: Step
) -> None:
    first = (await buy(MONTHLY))["transaction_id"]
    await act("fail-renewal", transaction_id=first, grace=True)
    seen = await status(shop, first)
    assert seen["status"] == 4
    assert seen["renewal"]["isInBillingRetryPeriod"] is True
    assert seen["renewal"]["gracePeriodExpiresDate"] > seen["transaction"]["expiresDate"]
    await act("end-grace", transaction_id=first)
    assert (await status(shop, first))["status"] == 3
    await act("renew", transaction_id=first)
    assert (await status(shop, first))["status"] == 1
    told = [(item["notificationType"], item.get("subtype")) for item in await shop.history()]
    assert told == [
        ("SUBSCRIBED", "INITIAL_BUY"),
        ("DID_FAIL_TO_RENEW", "GRACE_PERIOD"),
        ("GRACE_PERIOD_EXPIRED", None),
        ("DID_RENEW", "BILLING_RECOVERY"),
    ]


async def test_without_grace_a_rejected_card_ends_access_at_once(
    shop: AppStoreShop, buy: Step, act: Step
) -> None:
    first = (await buy(MONTHLY))["transaction_id"]
    await act("fail-renewal", transaction_id=first)
    seen = await status(shop, first)
    assert (seen["status"], "gracePeriodExpiresDate" in seen["renewal"]) == (3, False)


async def test_an_expired_subscription_is_over_and_may_be_bought_again(
    shop: AppStoreShop, buy: Step, act: Step
) -> None:
    first = (await buy(MONTHLY))["transaction_id"]
    await act("auto-renew", transaction_id=first, enabled=False)
    await act("expire", transaction_id=first)
    seen = await status(shop, first)
    assert (seen["status"], seen["renewal"]["expirationIntent"]) == (2, 1)
    assert seen["renewal"]["autoRenewStatus"] == 0
    assert seen["transaction"]["expiresDate"] <= seen["transaction"]["signedDate"]
    again = shop.verified((await act("renew", transaction_id=first))["signed_transaction"])
    assert (again["originalTransactionId"], again["transactionReason"]) == (first, "PURCHASE")
    assert (await shop.history())[-1]["subtype"] == "RESUBSCRIBE"


async def test_an_upgrade_counts_at_once_and_the_old_period_gives_no_access(
    shop: AppStoreShop, buy: Step, act: Step
) -> None:
    first = (await buy(MONTHLY))["transaction_id"]
    better = await act("change-plan", transaction_id=first, product_id=YEARLY)
    assert shop.verified(better["signed_transaction"])["productId"] == YEARLY
    assert (await shop.transaction(first))["isUpgraded"] is True
    assert (await status(shop, first))["renewal"]["autoRenewProductId"] == YEARLY


async def test_a_downgrade_counts_from_the_next_period_on(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step
) -> None:
    first = (await buy(YEARLY))["transaction_id"]
    await act("change-plan", transaction_id=first, product_id=MONTHLY)
    seen = await status(shop, first)
    assert seen["transaction"]["productId"] == YEARLY
    assert seen["renewal"]["autoRenewProductId"] == MONTHLY
    assert len(await rig.look("ledger")) == 1
    renewed = await act("renew", transaction_id=first)
    assert shop.verified(renewed["signed_transaction"])["productId"] == MONTHLY


async def test_the_developer_gives_days_away(shop: AppStoreShop, buy: Step) -> None:
    first = (await buy(MONTHLY))["transaction_id"]
    before = (await shop.transaction(first))["expiresDate"]
    body = {"extendByDays": 7, "extendReasonCode": 1, "requestIdentifier": "r1"}
    path = f"/v1/subscriptions/extend/{first}"
    answer = await shop.call("PUT", path, json=body)
    assert (answer.json()["success"], answer.json()["effectiveDate"]) == (True, before + 7 * DAY)
    assert (await shop.transaction(first))["expiresDate"] == before + 7 * DAY
    refused = await shop.call("PUT", path, json=body | {"extendByDays": 91})
    assert refused.json()["errorCode"] == 4000009


@pytest.mark.parametrize("deed", ["renew", "expire", "fail-renewal", "auto-renew", "end-grace"])
async def test_coins_have_no_periods(rig: Rig, buy: Step, deed: str) -> None:
    number = (await buy(COINS))["transaction_id"]
    answer = await rig.client.post(
        f"/_sandbox/apple_iap/{deed}", json={"transaction_id": number, "enabled": True}
    )
    assert answer.status_code == 409
