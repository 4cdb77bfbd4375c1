import time
from typing import Any
from uuid import UUID

import httpx
import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from tests.sandbox.apple_iap.conftest import Step
from tests.sandbox.apple_iap.shop import AppStoreShop, packed

PATH = "/v1/transactions/20000000000001"


class FromNow(int):
    """Seconds from when the test runs, which may be long after it was collected."""


async def refused(shop: AppStoreShop, token: str) -> bool:
    """A refusal says nothing at all, not even why."""
    answer = await shop.call("GET", PATH, token=token)
    assert "content-type" not in answer.headers
    return (answer.status_code, answer.content) == (401, b"")


async def test_a_good_token_opens_the_door(shop: AppStoreShop) -> None:
    assert (await shop.call("GET", PATH)).status_code == 404
    assert (await shop.call("GET", PATH, token=shop.token(iat=None))).status_code == 404


@pytest.mark.parametrize(
    "changes",
    [
        {"iss": "another"},
        {"aud": "appstoreconnect-v2"},
        {"bid": "com.example.another"},
        {"bid": None},
        {"exp": None},
        {"exp": "soon"},
        {"exp": True},
        {"exp": FromNow(-1)},
        {"iat": FromNow(0), "exp": FromNow(3700)},
        {"iat": None, "exp": FromNow(4000)},
        {"iat": FromNow(600), "exp": FromNow(900)},
        {"iat": FromNow(-4000), "exp": FromNow(60)},
    ],
)
async def test_a_token_that_claims_something_else_is_rejected(
    shop: AppStoreShop, changes: dict[str, Any]
) -> None:
    now = int(time.time())
    claims: dict[str, Any] = {
        name: now + value if isinstance(value, FromNow) else value
        for name, value in changes.items()
    }
    assert await refused(shop, shop.token(**claims))


@pytest.mark.parametrize("header", [{"alg": "none"}, {"alg": "HS256"}, {"kid": "X"}, {"typ": "at"}])
async def test_a_token_with_another_header_is_rejected(
    shop: AppStoreShop, header: dict[str, Any]
) -> None:
    assert await refused(shop, shop.token(header=header))


async def test_a_token_of_another_key_is_rejected(shop: AppStoreShop) -> None:
    assert await refused(shop, shop.token(key=ec.generate_private_key(ec.SECP256R1())))


@pytest.mark.parametrize("token", ["x", "a.b.c", "e30.e30.", f"{packed(b'[]')}.e30.AA", "é.é.é"])
async def test_rubbish_is_rejected(shop: AppStoreShop, token: str) -> None:
    headers = {b"authorization": f"Bearer {token}".encode()}
    url = f"{shop.section['base_url']}/inApps{PATH}"
    assert (await shop.client.get(url, headers=headers)).status_code == 401
    assert (await shop.client.get(url)).status_code == 401


async def test_production_is_another_address_and_no_path_prefix(
    shop: AppStoreShop, buy: Step
) -> None:
    production = httpx.URL(shop.section["production_url"])
    assert production.raw_path in (b"", b"/")
    assert production.netloc != httpx.URL(shop.section["base_url"]).netloc
    bought = await buy(environment="Production")
    headers = {"authorization": f"Bearer {shop.token()}"}
    # As Apple's Java library does it: an absolute path, whatever the host's own path.
    url = production.join(f"/inApps/v1/transactions/{bought['transaction_id']}")
    assert (await shop.client.get(url, headers=headers)).status_code == 200


@pytest.mark.parametrize("method", ["GET", "POST", "PUT", "PATCH", "DELETE"])
@pytest.mark.parametrize("path", ["/v3/nothing", "/v1/transactions/1/2/3", "/v1/lookup"])
async def test_an_unknown_address_is_answered_by_apple(
    shop: AppStoreShop, method: str, path: str
) -> None:
    answer = await shop.call(method, path)
    assert (answer.status_code, answer.content) == (404, b"")
    assert UUID(answer.headers["x-apple-request-uuid"]).version == 4
    assert (await shop.call(method, path, token="x")).status_code == 401


@pytest.mark.parametrize("method", ["PATCH", "DELETE", "PUT"])
async def test_another_method_on_a_known_address_is_answered_by_apple(
    shop: AppStoreShop, method: str
) -> None:
    answer = await shop.call(method, PATH)
    assert (answer.status_code, answer.content) == (404, b"")


async def test_every_answer_has_a_request_id(shop: AppStoreShop) -> None:
    answers = [await shop.call("GET", PATH), await shop.call("GET", PATH, token="x")]
    assert len({UUID(answer.headers["x-apple-request-uuid"]) for answer in answers}) == 2


async def test_a_token_is_taken_by_every_host_and_each_knows_its_own_purchases(
    shop: AppStoreShop, buy: Step
) -> None:
    bought = await buy(environment="Production")
    path = f"/inApps/v1/transactions/{bought['transaction_id']}"
    headers = {"authorization": f"Bearer {shop.token()}"}
    at = {
        host: (await shop.client.get(f"{host}{path}", headers=headers)).status_code
        for host in ("", shop.section["base_url"], shop.section["production_url"])
    }
    assert list(at.values()) == [404, 404, 200]
