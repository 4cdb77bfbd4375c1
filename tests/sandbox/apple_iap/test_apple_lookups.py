import time
from typing import Any

import pytest

from tests.sandbox.apple_iap.conftest import COINS, MONTHLY, RECIPES, Step
from tests.sandbox.apple_iap.shop import AppStoreShop, good
from tests.sandbox.rig import Rig


async def history(shop: AppStoreShop, number: str, version: str = "v2", **query: Any) -> list[Any]:
    """The whole history, page by page, verified."""
    found: list[Any] = []
    while True:
        answer = await shop.get(f"/{version}/history/{number}", **query)
        assert len(answer["signedTransactions"]) <= 20
        found += [shop.verified(item) for item in answer["signedTransactions"]]
        if not answer["hasMore"]:
            return found
        query["revision"] = answer["revision"]


async def test_the_history_is_everything_one_customer_bought(
    shop: AppStoreShop, buy: Step, act: Step
) -> None:
    coins = (await buy(customer="ann"))["transaction_id"]
    recipes = (await buy(RECIPES, customer="ann"))["transaction_id"]
    await buy(customer="ben")
    await act("refund", transaction_id=coins)
    found = await history(shop, coins)
    assert [item["transactionId"] for item in found] == [recipes, coins]
    assert "revocationDate" in found[1]
    newest_first = await history(shop, recipes, sort="DESCENDING")
    assert [item["transactionId"] for item in newest_first] == [coins, recipes]


async def test_a_long_history_comes_in_pages_of_twenty(shop: AppStoreShop, buy: Step) -> None:
    bought = [(await buy(customer="ann"))["transaction_id"] for _ in range(41)]
    assert [item["transactionId"] for item in await history(shop, bought[7])] == bought


async def test_a_revision_belongs_to_its_filters(shop: AppStoreShop, buy: Step) -> None:
    number = (await buy())["transaction_id"]
    revision = (await shop.get(f"/v2/history/{number}"))["revision"]
    path = f"/v2/history/{number}"
    for query in ({"revision": revision, "revoked": "true"}, {"revision": "x"}):
        answer = await shop.call("GET", path, params=query)
        assert answer.json()["errorCode"] == 4000005
    assert (await shop.get(path, revision=revision))["signedTransactions"] == []


async def test_the_old_history_forgets_finished_consumables(shop: AppStoreShop, buy: Step) -> None:
    coins = (await buy(customer="ann"))["transaction_id"]
    recipes = (await buy(RECIPES, customer="ann"))["transaction_id"]
    for number in (coins, recipes):
        good_status = (await shop.call("POST", f"/v1/transactions/{number}/finish")).status_code
        assert good_status == 200
    assert [item["transactionId"] for item in await history(shop, coins, "v1")] == [recipes]
    assert len(await history(shop, coins)) == 2


@pytest.mark.parametrize(
    ("query", "products"),
    [
        ({"productId": [COINS, MONTHLY]}, [COINS, MONTHLY]),
        ({"productType": ["NON_CONSUMABLE"]}, [RECIPES]),
        ({"productType": ["AUTO_RENEWABLE", "CONSUMABLE"]}, [COINS, MONTHLY]),
        ({"subscriptionGroupIdentifier": ["21560001"]}, [MONTHLY]),
        ({"inAppOwnershipType": "FAMILY_SHARED"}, []),
        ({"revoked": "True"}, [RECIPES]),
        ({"revoked": "false"}, [COINS, MONTHLY]),
        ({"startDate": 0, "endDate": 1}, []),
        ({"startDate": 1}, [COINS, MONTHLY, RECIPES]),
    ],
)
async def test_the_history_is_narrowed(
    shop: AppStoreShop, buy: Step, act: Step, query: dict[str, Any], products: list[str]
) -> None:
    for product in (COINS, RECIPES, MONTHLY):
        number = (await buy(product, customer="ann"))["transaction_id"]
        if product == RECIPES:
            await act("refund", transaction_id=number)
    found = await history(shop, number, **query)
    assert sorted(item["productId"] for item in found) == sorted(products)


@pytest.mark.parametrize(
    ("query", "code"),
    [
        ({"sort": "UP"}, 4000021),
        ({"productType": "COINS"}, 4000022),
        ({"inAppOwnershipType": "MINE"}, 4000026),
        ({"revoked": "perhaps"}, 4000030),
        ({"startDate": "yesterday"}, 4000015),
        ({"endDate": "-1"}, 4000016),
        ({"startDate": 2, "endDate": 1}, 4000013),
    ],
)
async def test_a_filter_that_makes_no_sense_is_rejected(
    shop: AppStoreShop, buy: Step, query: dict[str, Any], code: int
) -> None:
    number = (await buy())["transaction_id"]
    answer = await shop.call("GET", f"/v2/history/{number}", params=query)
    assert (answer.status_code, answer.json()["errorCode"]) == (400, code)
    assert answer.headers["content-type"] == "application/json"


@pytest.mark.parametrize(("number", "code"), [("20000000000001", 4040010), ("12ab", 4000006)])
@pytest.mark.parametrize(
    "path", ["v1/transactions", "v2/history", "v1/subscriptions", "v2/refund/lookup"]
)
async def test_an_unknown_transaction_is_rejected_by_its_code(
    shop: AppStoreShop, path: str, number: str, code: int
) -> None:
    answer = await shop.call("GET", f"/{path}/{number}")
    assert (answer.status_code, answer.json()["errorCode"]) == (code // 10_000, code)


async def test_an_open_purchase_sheet_is_no_transaction(
    rig: Rig, shop: AppStoreShop, buy: Step
) -> None:
    await buy(ask_to_buy=True)
    assert (await rig.look("orders"))[0]["provider_reference"] is None
    assert await shop.history() == []


async def test_the_number_on_the_invoice_finds_the_purchase(
    rig: Rig, shop: AppStoreShop, buy: Step
) -> None:
    number = (await buy())["transaction_id"]
    order_id = (await rig.look("orders"))[0]["extra"]["order_id"]
    found = await shop.get(f"/v1/lookup/{order_id}")
    assert found["status"] == 0
    assert [shop.verified(item)["transactionId"] for item in found["signedTransactions"]] == [
        number
    ]
    assert await shop.get("/v1/lookup/MNOTHING") == {"status": 1, "signedTransactions": []}


async def test_the_app_itself_was_bought_too(shop: AppStoreShop, buy: Step) -> None:
    number = (await buy())["transaction_id"]
    answer = await shop.get(f"/v1/transactions/appTransactions/{number}")
    claims = shop.verified(answer["signedAppTransactionInfo"])
    bought = await shop.transaction(number)
    assert claims["appTransactionId"] == bought["appTransactionId"]
    assert claims["receiptType"] == "Sandbox"


async def test_a_token_may_be_set_later_on_the_first_transaction_only(
    shop: AppStoreShop, buy: Step, act: Step, token: str
) -> None:
    first = (await buy(MONTHLY, app_account_token=None))["transaction_id"]
    second = (await act("renew", transaction_id=first))["transaction_id"]
    answers = [
        await shop.call(
            "PUT", f"/v1/transactions/{number}/appAccountToken", json={"appAccountToken": text}
        )
        for number, text in ((first, token.upper()), (second, token), (first, "x"))
    ]
    assert [answer.status_code for answer in answers] == [200, 400, 400]
    assert [answer.json()["errorCode"] for answer in answers[1:]] == [4000187, 4000183]
    assert (await shop.transaction(first))["appAccountToken"] == token


@pytest.mark.parametrize(
    ("body", "code"),
    [
        ({"startDate": None}, 4000015),
        ({"endDate": "now"}, 4000016),
        ({"startDate": 1}, 4000012),
        ({"endDate": 1}, 4000013),
        ({"notificationType": "NEVER"}, 4000018),
        ({"notificationType": "REFUND", "transactionId": "1"}, 4000019),
    ],
)
async def test_a_question_about_notifications_is_checked(
    shop: AppStoreShop, buy: Step, body: dict[str, Any], code: int
) -> None:
    await buy()
    now = int(time.time() * 1000)
    usual = {"startDate": now - 60_000, "endDate": now + 60_000}
    answer = await shop.call("POST", "/v1/notifications/history", json=usual | body)
    assert answer.json()["errorCode"] == code


@pytest.mark.parametrize("body", [b"[]", b"{", b"\xff", b"null"])
async def test_a_body_that_is_no_object_is_rejected(shop: AppStoreShop, body: bytes) -> None:
    answer = await shop.call("POST", "/v1/notifications/history", content=body)
    assert answer.json()["errorCode"] == 4000000


async def test_notifications_are_narrowed_and_come_in_pages(
    shop: AppStoreShop, buy: Step, act: Step
) -> None:
    numbers = [(await buy())["transaction_id"] for _ in range(21)]
    await act("refund", transaction_id=numbers[3])
    assert len(await shop.history()) == 22
    about = await shop.history(transactionId=numbers[3])
    assert [item["notificationType"] for item in about] == ["ONE_TIME_CHARGE", "REFUND"]
    assert len(await shop.history(notificationType="REFUND")) == 1
    both = {"notificationType": "EXPIRED", "notificationSubtype": "VOLUNTARY"}
    assert await shop.history(**both) == []
    now = int(time.time() * 1000)
    body = {"startDate": now - 60_000, "endDate": now + 60_000}
    path = "/v1/notifications/history"
    first = good(await shop.call("POST", path, json=body))
    query = {"paginationToken": first["paginationToken"]}
    other = await shop.call("POST", path, params=query, json=body | {"onlyFailures": True})
    assert other.json()["errorCode"] == 4000014
