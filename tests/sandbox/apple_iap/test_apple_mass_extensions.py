"""Every active subscriber gets more days, once a request."""

from typing import Any
from uuid import uuid4

import pytest

from tests.sandbox.apple_iap.conftest import COINS, MONTHLY, YEARLY, Step
from tests.sandbox.apple_iap.shop import AppStoreShop, good
from tests.sandbox.rig import Rig

MASS = "/v1/subscriptions/extend/mass"
DAY = 86_400_000


def asked(**changes: Any) -> dict[str, Any]:
    usual = {"extendByDays": 7, "extendReasonCode": 1, "requestIdentifier": str(uuid4())}
    return usual | {"productId": MONTHLY} | changes


async def test_active_subscribers_of_the_product_are_extended_once_a_request(
    rig: Rig, shop: AppStoreShop, buy: Step, act: Step, listening: str
) -> None:
    assert listening
    first, second, ended, other = [
        await buy(product, app_account_token=str(uuid4()))
        for product in (MONTHLY, MONTHLY, MONTHLY, YEARLY)
    ]
    await act("expire", transaction_id=ended["transaction_id"], notify=False)
    before = {
        item["transaction_id"]: (await shop.transaction(item["transaction_id"]))["expiresDate"]
        for item in (first, second, ended, other)
    }
    request = asked(storefrontCountryCodes=["CHN"])
    for _ in range(2):
        answer = good(await shop.call("POST", MASS, json=request))
        assert answer == {"requestIdentifier": request["requestIdentifier"]}
    gained = [
        (await shop.transaction(number))["expiresDate"] - expires
        for number, expires in before.items()
    ]
    assert gained == [7 * DAY, 7 * DAY, 0, 0]
    status = await shop.get(f"{MASS}/{MONTHLY}/{request['requestIdentifier']}")
    assert (status["complete"], status["succeededCount"], status["failedCount"]) == (True, 2, 0)
    told = [shop.notified(item) for item in await rig.receiver.wait_for(3)]
    types = sorted(item["notificationType"] for item in told)
    assert types == ["RENEWAL_EXTENDED", "RENEWAL_EXTENDED", "RENEWAL_EXTENSION"]
    [summary] = [item["summary"] for item in told if "summary" in item]
    assert (summary["productId"], summary["succeededCount"]) == (MONTHLY, 2)


async def test_another_storefront_has_nobody_to_extend(shop: AppStoreShop, buy: Step) -> None:
    bought = await buy(MONTHLY)
    before = await shop.transaction(bought["transaction_id"])
    request = asked(storefrontCountryCodes=["USA"])
    good(await shop.call("POST", MASS, json=request))
    status = await shop.get(f"{MASS}/{MONTHLY}/{request['requestIdentifier']}")
    assert status["succeededCount"] == 0
    after = await shop.transaction(bought["transaction_id"])
    assert after["expiresDate"] == before["expiresDate"]


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"extendByDays": 91}, 4000009),
        ({"extendByDays": True}, 4000009),
        ({"extendReasonCode": 4}, 4000010),
        ({"requestIdentifier": ""}, 4000011),
        ({"requestIdentifier": "x" * 129}, 4000011),
        ({"productId": COINS}, 4000023),
        ({"productId": None}, 4000023),
        ({"storefrontCountryCodes": []}, 4000027),
        ({"storefrontCountryCodes": ["cn"]}, 4000028),
    ],
)
async def test_a_mass_extension_that_makes_no_sense_extends_nobody(
    shop: AppStoreShop, buy: Step, changes: dict[str, Any], code: int
) -> None:
    bought = await buy(MONTHLY)
    before = await shop.transaction(bought["transaction_id"])
    response = await shop.call("POST", MASS, json=asked(**changes))
    assert (response.status_code, response.json()["errorCode"]) == (400, code)
    after = await shop.transaction(bought["transaction_id"])
    assert after["expiresDate"] == before["expiresDate"]


async def test_an_unknown_mass_extension_is_not_found(shop: AppStoreShop) -> None:
    response = await shop.call("GET", f"{MASS}/{MONTHLY}/nonsense")
    assert (response.status_code, response.json()["errorCode"]) == (404, 4040009)


async def test_what_apple_grants_on_application_is_forbidden(shop: AppStoreShop) -> None:
    response = await shop.call("GET", "/v1/messaging/image/list")
    assert (response.status_code, response.content) == (403, b"")
    assert (await shop.call("GET", "/v1/vanish")).status_code == 404
