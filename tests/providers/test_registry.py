from collections.abc import AsyncIterator
from typing import Any

import httpx
import pytest
import pytest_asyncio

from domain.errors import InvalidRequest
from domain.payment import Channel
from providers import registry
from tests.providers.alipay.harness import AlipayHarness
from tests.providers.conftest import Make, Sandbox
from tests.providers.harness import account_of
from tests.providers.stand import now


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


@pytest.fixture
def account(sandbox: Sandbox) -> dict[str, Any]:
    return account_of(sandbox.manifest, "alipay", "main")


def build(http: httpx.AsyncClient, **accounts: list[dict[str, Any]]) -> registry.Registry:
    return registry.build(accounts, http=http, clock=now, public_url="https://pay.example.com")


def test_accounts_are_found_by_provider_and_name(
    http: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    found = build(http, alipay=[account, account | {"name": "second", "app_id": "2"}])
    assert found.get("alipay", "second").account == "second"
    assert [provider.account for provider in found.all()] == ["main", "second"]
    assert found.default_account("alipay") == "main"


@pytest.mark.parametrize(
    ("provider", "name", "param"),
    [("alipay", "nobody", "account"), ("paypal", "main", "provider"), ("", "", "provider")],
)
def test_what_is_not_configured_is_the_requests_mistake(
    http: httpx.AsyncClient, account: dict[str, Any], provider: str, name: str, param: str
) -> None:
    with pytest.raises(InvalidRequest) as caught:
        build(http, alipay=[account]).get(provider, name)
    assert caught.value.param == param


def test_a_registry_without_accounts_knows_no_provider(http: httpx.AsyncClient) -> None:
    empty = build(http)
    assert empty.all() == ()
    with pytest.raises(InvalidRequest, match="configured: none"):
        empty.default_account("alipay")


@pytest.mark.parametrize(
    ("accounts", "complaint"),
    [
        ({"paypal": [{"name": "main"}]}, "no provider is called 'paypal'"),
        ({"alipay": [{"name": "main"}]}, "app_id"),
        ({"alipay": [{}]}, "name"),
    ],
)
def test_a_wrong_configuration_stops_the_start(
    http: httpx.AsyncClient, accounts: dict[str, list[dict[str, Any]]], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        build(http, **accounts)


def test_two_accounts_of_one_name_stop_the_start(
    http: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="two alipay accounts are called 'main'"):
        build(http, alipay=[account, account])


def test_an_account_that_names_merchants_is_there_for_them_alone(
    http: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    found = build(
        http,
        alipay=[
            account | {"name": "theirs", "app_id": "1", "merchants": ["m-1", "m-2"]},
            account | {"name": "nobodys", "app_id": "2", "merchants": []},
            account | {"name": "everybodys", "app_id": "3"},
        ],
        wechatpay=[],
    )
    theirs, others = found.offered_to("m-1"), found.offered_to("m-3")
    assert [provider.account for provider in theirs.all()] == ["theirs", "everybodys"]
    assert theirs.default_account("alipay") == "theirs"
    assert others.default_account("alipay") == "everybodys"
    # Payments that were made before go on, and their notifications are read.
    assert [provider.account for provider in found.all()] == ["theirs", "nobodys", "everybodys"]
    for name in ("theirs", "nobody"):
        with pytest.raises(InvalidRequest) as caught:
            others.get("alipay", name)
        assert caught.value.message == f"There is no alipay account '{name}'."


def test_a_provider_without_an_account_for_the_merchant_is_not_there(
    http: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    others = build(http, alipay=[account | {"merchants": ["m-1"]}]).offered_to("m-2")
    with pytest.raises(InvalidRequest, match="configured: none") as caught:
        others.default_account("alipay")
    assert caught.value.param == "provider"


@pytest.mark.parametrize("merchants", ["m-1", [""], [7], {"m-1": True}, None])
def test_merchants_that_are_no_list_of_ids_stop_the_start(
    http: httpx.AsyncClient, account: dict[str, Any], merchants: object
) -> None:
    with pytest.raises(ValueError, match="alipay account 'main': merchants"):
        build(http, alipay=[account | {"merchants": merchants}])


async def test_the_provider_learns_our_own_addresses(make_stand: Make) -> None:
    stand = make_stand(AlipayHarness(), "main")
    payment = stand.payment(Channel.PAGE)
    created = await stand.provider.create(payment)
    params = httpx.URL(created.checkout.value or "").params
    assert params["notify_url"] == "http://paysaga.test/notify/alipay/main"
    assert params["return_url"] == "http://paysaga.test/return/alipay/main"
