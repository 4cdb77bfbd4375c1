"""One account at a provider has one name here, and a store's transaction is granted once.

The names of accounts are the operator's. The provider knows an app, a merchant id or a bundle: two
names for one of them would let one purchase, notification or payment count twice.
"""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID

import httpx
import pytest
import pytest_asyncio

from domain.errors import ReportMismatch
from domain.purchase import Purchase
from providers import registry
from providers.base import Store
from sandbox.app import create_app as create_sandbox
from tests.api.buyer import RECIPES, Buyer
from tests.api.house import House
from tests.providers.alipay.harness import AlipayHarness
from tests.providers.apple_iap.harness import AppleIapHarness
from tests.providers.harness import Harness, account_of
from tests.providers.stand import now
from tests.providers.unionpay.harness import UnionpayHarness
from tests.providers.wechatpay.harness import WechatpayHarness

HARNESSES: list[Harness] = [
    AlipayHarness(),
    WechatpayHarness(),
    UnionpayHarness(),
    AppleIapHarness(),
]


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("identities")
    create_sandbox(folder, "http://sandbox.test")
    found: dict[str, Any] = json.loads((folder / "sandbox.json").read_text())
    return found


@pytest_asyncio.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as client:
        yield client


def build(http: httpx.AsyncClient, **accounts: list[dict[str, Any]]) -> registry.Registry:
    return registry.build(accounts, http=http, clock=now, public_url="https://pay.example.com")


@pytest.mark.parametrize("harness", HARNESSES, ids=lambda harness: harness.name)
def test_two_names_for_one_account_never_start(
    http: httpx.AsyncClient, manifest: dict[str, Any], harness: Harness
) -> None:
    account = account_of(manifest, harness.name, harness.modes[0])
    again = account | {"name": "again", "merchants": ["m-1"]}

    with pytest.raises(ValueError, match="have the same") as refusal:
        build(http, **{harness.name: [account, again]})

    for name in (harness.name, repr(account["name"]), repr("again")):
        assert name in str(refusal.value)


@pytest.mark.parametrize("harness", HARNESSES, ids=lambda harness: harness.name)
def test_accounts_that_differ_at_the_provider_are_never_refused(
    http: httpx.AsyncClient, manifest: dict[str, Any], harness: Harness
) -> None:
    accounts = [account_of(manifest, harness.name, mode) for mode in harness.modes]

    found = build(http, **{harness.name: accounts})

    assert [each.account for each in found.all()] == list(harness.modes)


def test_one_app_of_wechat_pay_may_serve_two_merchant_ids_and_one_id_two_apps(
    http: httpx.AsyncClient, manifest: dict[str, Any]
) -> None:
    first = account_of(manifest, "wechatpay", "pubkey")
    others = [
        first | {"name": "another-id", "mchid": "1600000001"},
        first | {"name": "another-app", "appid": "wx0123456789abcdef"},
    ]

    assert len(build(http, wechatpay=[first, *others]).all()) == 3


def test_one_app_is_never_sold_for_by_an_account_for_each_environment(
    http: httpx.AsyncClient, manifest: dict[str, Any]
) -> None:
    sandbox = account_of(manifest, "apple_iap", "main")
    live = sandbox | {"name": "live", "environment": "Production", "app_apple_id": 1}
    del live["root_certificate"]
    assert len(build(http, apple_iap=[live]).all()) == 1

    with pytest.raises(ValueError, match="'main' and 'live' have the same bundle_id"):
        build(http, apple_iap=[sandbox, live])


async def test_the_operators_name_is_never_part_of_a_transactions_identity(
    http: httpx.AsyncClient, manifest: dict[str, Any]
) -> None:
    account = account_of(manifest, "apple_iap", "main")
    named = [
        build(http, apple_iap=[account | {"name": name}]).get("apple_iap", name)
        for name in ("main", "renamed")
    ]

    for each in named:
        assert isinstance(each, Store)
        assert each.app(test=True) == f"{account['bundle_id']}/Sandbox"
        assert each.app(test=False) == f"{account['bundle_id']}/Production"


async def proven(house: House, buyer: Buyer, bought: Any) -> Purchase:
    """The transaction as the store's signature proves it."""
    store = house.dependencies.registry.get("apple_iap", "main")
    assert isinstance(store, Store)
    change = (await store.verify_purchase(await buyer.signed(bought))).change
    assert change is not None
    assert change.purchase is not None
    return change.purchase


async def test_one_transaction_is_never_granted_twice_through_two_account_names(
    buyer: Buyer, house: House
) -> None:
    payment, bought = await buyer.bought(RECIPES)
    other = await buyer.ask(RECIPES)
    found = await proven(house, buyer, bought)
    renamed = found.model_copy(update={"account": "renamed", "token": UUID(other["id"])})
    stored = house.dependencies.stores.entitlements

    with pytest.raises(ReportMismatch):
        await stored.claim(UUID(other["id"]), renamed)

    owner = await stored.payment_of(renamed)
    assert owner is not None
    assert owner.id == UUID(payment["id"])
    assert await stored.get(renamed) is not None


async def test_a_number_of_another_environment_or_app_is_never_taken_for_it(
    buyer: Buyer, house: House
) -> None:
    _, bought = await buyer.bought(RECIPES)
    found = await proven(house, buyer, bought)
    stored = house.dependencies.stores.entitlements

    for app in (found.app.replace("Sandbox", "Production"), "com.example.other/Sandbox"):
        other = found.model_copy(update={"app": app, "token": None})
        assert await stored.payment_of(other) is None
        assert await stored.get(other) is None


def test_a_purchase_in_an_older_history_is_never_without_an_identity() -> None:
    kept = {
        "provider": "apple_iap",
        "account": "main",
        "transaction_id": "1",
        "original_transaction_id": "1",
        "product_id": "tea",
        "product_type": "consumable",
        "purchased_at": "2026-05-01T12:00:00Z",
        "signed_at": "2026-05-01T12:00:00Z",
    }

    assert Purchase.model_validate(kept).app == "main"
