import asyncio
from dataclasses import replace
from typing import Any
from uuid import UUID

import pytest

from domain.checkout import Checkout, CheckoutKind, Created
from providers.registry import Registry
from tests.api.house import House, ProviderSide, Shop, order, running

LONG_URL = f"https://shop.example/{'a' * 380}"


async def test_a_payment_is_made_with_what_the_payer_needs_next(shop: Shop) -> None:
    body = order(metadata={"table": "7"})
    response = await shop.create(body)
    made = response.json()
    assert response.status_code == 201
    assert (made["result_code"], made["result_msg"], made["err_detail"]) == (0, "OK", None)
    assert made["status"] == "pending"
    assert made["checkout"]["kind"] == "qr"
    assert made["checkout"]["value"].startswith("weixin://")
    assert made["metadata"] == {"table": "7"}
    assert made["created_at"].endswith("Z")
    assert await shop.read(made) == made


async def test_a_repeat_is_the_same_payment_and_makes_no_second_order(
    shop: Shop, provider: ProviderSide
) -> None:
    body = order()
    first, second = await shop.create(body), await shop.create(body)
    assert (first.status_code, second.status_code) == (201, 200)
    assert first.json() == second.json()
    assert len(await provider.orders(first.json())) == 1


async def test_fifty_parallel_creates_make_one_payment(shop: Shop, provider: ProviderSide) -> None:
    body = order()
    responses = await asyncio.gather(*(shop.create(body, key="k") for _ in range(50)))
    assert sorted(r.status_code for r in responses) == [200] * 49 + [201]
    assert len({r.json()["id"] for r in responses}) == 1
    assert len({r.json()["checkout"]["value"] for r in responses}) == 1
    assert len(await provider.orders(responses[0].json())) == 1


async def test_another_body_under_the_same_key_is_rejected(shop: Shop) -> None:
    first = await shop.create(order(), key="key-1")
    other = await shop.create(order(), key="key-1")
    assert other.status_code == 409
    assert other.json()["code"] == "idempotency_key_reused"
    assert other.json()["id"] == first.json()["id"]


async def test_parallel_creates_with_two_bodies_make_the_payment_of_one(shop: Shop) -> None:
    bodies = [order(), order()]
    responses = await asyncio.gather(*(shop.create(bodies[i % 2], "k") for i in range(20)))
    made = [r for r in responses if r.status_code in (200, 201)]
    refused = [r for r in responses if r.status_code == 409]
    assert (len(made), len(refused)) == (10, 10)
    assert len({r.json()["order_no"] for r in made}) == 1
    assert {r.json()["code"] for r in refused} == {"idempotency_key_reused"}


async def test_a_repeat_after_the_end_answers_with_the_end(
    shop: Shop, provider: ProviderSide
) -> None:
    body = order()
    made = (await shop.create(body)).json()
    await provider.pay(made)
    assert (await provider.notify(made))["accepted"]
    await shop.reaches(made, "succeeded")
    repeat, other = await shop.create(body), await shop.create(body | {"amount": 1})
    assert (repeat.status_code, repeat.json()["status"]) == (200, "succeeded")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


async def test_how_a_body_is_spelled_does_not_make_it_another(shop: Shop) -> None:
    body = order()
    first = await shop.create(body)
    spelled = dict(reversed(body.items())) | {"metadata": {}, "payer": {}, "expires_in": None}
    second = await shop.create(spelled)
    assert (second.status_code, second.json()["id"]) == (200, first.json()["id"])


async def test_an_order_that_is_paid_cannot_be_paid_again(
    shop: Shop, provider: ProviderSide
) -> None:
    body = order()
    made = (await shop.create(body)).json()
    await provider.pay(made)
    await provider.notify(made)
    await shop.reaches(made, "succeeded")
    for _ in range(2):
        again = await shop.create(body, key="another-attempt")
        assert (again.status_code, again.json()["code"]) == (409, "order_already_paid")


async def test_a_rejection_by_the_provider_is_notified_with_its_reports(
    shop: Shop, provider: ProviderSide
) -> None:
    await provider.fault("create", "server_error", code="PARAM_ERROR", status=400)
    body = order()
    for _ in range(2):
        response = await shop.create(body)
        problem = response.json()
        assert response.status_code == 422
        assert problem["code"] == "provider_rejected"
        assert problem["provider"]["code"] == "PARAM_ERROR"
        assert problem["retryable"] is False
        found = await shop.http.get(f"/v1/payments/{problem['id']}")
        assert found.json()["status"] == "failed"


async def test_without_a_worker_the_payment_exists_and_its_outcome_is_unknown(
    house_without_worker: House,
) -> None:
    shop = await house_without_worker.shop()
    body = order()
    response, other = await asyncio.gather(
        shop.create(body, "k"), shop.create(body | {"amount": 1}, "k")
    )
    taken, refused = sorted((response, other), key=lambda r: r.status_code)
    assert (taken.status_code, refused.status_code) == (202, 409)
    made = taken.json()
    assert (made["result_code"], made["status"], made["checkout"]) == (0, "pending", None)
    assert await shop.read(made) | {"result_msg": made["result_msg"]} == made


async def test_without_temporal_a_create_says_try_again(house_without_temporal: House) -> None:
    shop = await house_without_temporal.shop()
    response = await shop.create(order())
    assert response.status_code == 503
    assert (response.json()["code"], response.json()["retryable"]) == ("temporal_unavailable", True)


async def test_without_temporal_a_repeat_still_gets_its_answer(
    shop: Shop, house_without_temporal: House
) -> None:
    body = order()
    made = (await shop.create(body)).json()
    async with house_without_temporal.as_merchant(shop) as away:
        repeat = await away.post("/v1/payments", json=body)
    assert (repeat.status_code, repeat.json()["id"]) == (200, made["id"])


async def test_a_key_whose_request_was_rejected_is_used_up(
    shop: Shop, provider: ProviderSide, house: House
) -> None:
    body = order()
    made = (await shop.create(body)).json()
    await provider.pay(made)
    await provider.notify(made)
    await shop.reaches(made, "succeeded")
    refused = await shop.create(body, key="second")
    other = await shop.create(order(), key="second")
    assert (refused.json()["code"], other.json()["code"]) == (
        "order_already_paid",
        "idempotency_key_reused",
    )


@pytest.mark.parametrize(
    ("changes", "param", "says"),
    [
        ({"provider": "paypal"}, "provider", "alipay"),
        ({"account": "nobody"}, "account", "nobody"),
        ({"provider": "wechatpay", "channel": "page"}, "channel", "qr"),
        ({"channel": "carrier-pigeon"}, "channel", "jsapi"),
        ({"channel": "jsapi"}, "payer.open_id", "payer.open_id"),
        ({"currency": "XYZ"}, "currency", "CNY"),
        ({"currency": "cny"}, "currency", "pattern"),
        ({"amount": 0}, "amount", "greater than 0"),
        ({"amount": 19.99}, "amount", "integer"),
        ({"amount": 1.0}, "amount", "integer"),
        ({"amount": "1999"}, "amount", "integer"),
        ({"amount": True}, "amount", "integer"),
        ({"expires_in": 1}, "expires_in", "between"),
        ({"expires_in": 10**9}, "expires_in", "between"),
        ({"order_no": "no spaces"}, "order_no", "pattern"),
        ({"subject": ""}, "subject", "at least 1"),
        ({"return_url": "javascript:alert(1)"}, "return_url", "http"),
        (
            {"provider": "alipay", "account": "main", "channel": "wap", "return_url": LONG_URL},
            "return_url",
            "at most 400 characters",
        ),
        ({"payer": {"client_ip": "not-an-ip"}}, "payer.client_ip", "IP"),
        ({"amuont": 1}, "amuont", "amount"),
        ({"payer": {"openid": "x"}}, "payer.openid", "open_id"),
        ({"metadata": {"n": 7}}, "metadata.n", "string"),
        ({"metadata": {f"n{n}": "龙" * 160 for n in range(9)}}, "metadata", "at most 4096 bytes"),
    ],
)
async def test_a_mistake_is_named_with_what_to_do(
    shop: Shop, changes: dict[str, Any], param: str, says: str
) -> None:
    response = await shop.create(order(**changes))
    problem = response.json()
    assert response.status_code == 422
    assert (problem["code"], problem["param"]) == ("invalid_request", param)
    assert says in problem["detail"]


@pytest.mark.parametrize(("channel", "url"), [("wap", LONG_URL[:400]), ("page", LONG_URL)])
async def test_a_return_url_that_the_channel_takes_is_kept_whole(
    shop: Shop, channel: str, url: str
) -> None:
    response = await shop.create(
        order(provider="alipay", account="main", channel=channel, return_url=url)
    )
    assert (response.status_code, response.json()["return_url"]) == (201, url)


async def test_the_first_account_is_the_default(shop: Shop) -> None:
    body = order()
    del body["account"]
    made = (await shop.create(body)).json()
    assert made["account"] == "cert"


async def test_an_account_of_other_merchants_is_not_there(
    shop: Shop, house: House, provider: ProviderSide
) -> None:
    mine = f"only-{shop.merchant.id}"
    kept = Registry(
        house.dependencies.registry.all(),
        {("wechatpay", "cert"): frozenset({mine}), ("wechatpay", "pubkey"): frozenset({mine})},
    )
    restricted = House(
        await running(replace(house.dependencies, registry=kept)),
        replace(house.dependencies, registry=kept),
        provider,
        house.door,
    )
    async with restricted.as_merchant(shop) as door:
        named = await door.post("/v1/payments", json=order())
        unnamed = await door.post(
            "/v1/payments", json={k: v for k, v in order().items() if k != "account"}
        )
    for refused in (named, unnamed):
        assert (refused.status_code, refused.json()["param"]) == (422, "provider")
        assert "wechatpay" not in refused.json()["detail"].partition("configured:")[2]


async def test_a_pending_payment_that_nobody_can_pay_is_not_notified_as_made(
    shop: Shop, house: House
) -> None:
    body = order()
    made = (await shop.create(body)).json()
    # As after a refusal that turned out to be of an order that is there: its QR text is lost.
    lost = Created(checkout=Checkout(kind=CheckoutKind.NONE))
    await house.dependencies.stores.payments.save_checkout(UUID(made["id"]), lost)
    repeated = await shop.create(body)
    assert repeated.status_code == 202
    assert (repeated.json()["status"], repeated.json()["checkout"]["kind"]) == ("pending", "none")
    assert repeated.json()["result_msg"] != "OK"


async def test_a_barcode_that_waits_for_a_password_needs_no_checkout(shop: Shop) -> None:
    payer = {"auth_code": "130000000000000001"}
    body = order(channel="barcode", payer=payer)
    made = await shop.create(body)
    assert made.status_code == 201
    assert (made.json()["status"], made.json()["checkout"]["kind"]) == ("pending", "none")
