"""One account at a provider has one name here, and a store's transaction is granted once.

The names of accounts are the operator's. The provider knows an app, a merchant id or a bundle: two
names for one of them would let one purchase, notification or payment count twice.
"""

import json
from collections.abc import AsyncIterator
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import httpx
import pytest
import pytest_asyncio
from sqlalchemy.sql.dml import ReturningUpdate

from domain.errors import ReportMismatch
from domain.purchase import Purchase
from domain.store_change import Change, StoreChange
from engine.store_apps import name_apps
from providers import registry
from providers.base import Store
from sandbox.app import create_app as create_sandbox
from storage.database import Database
from storage.entitlements import EntitlementStore
from tests.api.buyer import MONTHLY, RECIPES, Buyer
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


@pytest_asyncio.fixture
async def sql(database_url: str) -> AsyncIterator[asyncpg.Connection]:
    connection = await asyncpg.connect(database_url.replace("+asyncpg", ""))
    yield connection
    await connection.close()


async def of_before(house: House, buyer: Buyer, name: str) -> tuple[Purchase, Purchase]:
    """A subscription that was granted before apps were known: the purchase then, and as it is now.

    Its account is called `name`.
    """
    payment = await buyer.ask(MONTHLY)
    found = await proven(house, buyer, await buyer.buy(payment))
    now_known = found.model_copy(update={"account": name})
    then = now_known.model_copy(update={"app": name})
    return then, now_known


async def grant(
    sql: asyncpg.Connection, database: Database, purchase: Purchase, payment: str | UUID
) -> None:
    """Grant it to a payment that is paid."""
    await sql.execute(
        "UPDATE payments SET status = 'succeeded', captured = amount, paid_at = now(),"
        " provider_reference = $2 WHERE id = $1 AND status = 'pending'",
        payment,
        purchase.transaction_id,
    )
    bought = StoreChange(
        purchase=purchase, change=Change.RECORDED, raw_type="X", signed_at=purchase.signed_at
    )
    await EntitlementStore(database).apply(UUID(str(payment)), uuid4().hex, bought)


async def test_a_grant_from_before_the_apps_were_known_is_never_granted_again(
    buyer: Buyer, house: House, database: Database, sql: asyncpg.Connection
) -> None:
    name = f"old-{uuid4().hex[:8]}"
    then, found = await of_before(house, buyer, name)
    assert then.token is not None
    await grant(sql, database, then, then.token)
    stored = EntitlementStore(database)
    other = await buyer.ask(MONTHLY)

    for named in (1, 0):
        count = await stored.name_app("apple_iap", name, sold="never", test=found.app)
        assert count == named

    assert (await stored.owners(found)).transaction == then.token
    assert (await stored.owners(found)).chain == then.token
    with pytest.raises(ReportMismatch):
        await stored.claim(UUID(other["id"]), found)
    with pytest.raises(asyncpg.PostgresError, match=r"does not change"):
        await sql.execute("UPDATE grants SET app = 'other' WHERE payment_id = $1", then.token)


async def test_a_chain_that_is_known_under_both_names_never_keeps_the_api_from_starting(
    buyer: Buyer, house: House, database: Database, sql: asyncpg.Connection
) -> None:
    name = f"old-{uuid4().hex[:8]}"
    then, found = await of_before(house, buyer, name)
    assert then.token is not None
    await grant(sql, database, then, then.token)
    await grant(sql, database, found, then.token)

    assert await EntitlementStore(database).name_app(
        "apple_iap", name, sold="never", test=found.app
    ) == (0)
    assert (await EntitlementStore(database).owners(found)).transaction == then.token


async def test_many_older_grants_never_keep_rows_locked_in_one_statement(
    buyer: Buyer,
    house: House,
    database: Database,
    sql: asyncpg.Connection,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("storage.entitlements.NAMED_AT_ONCE", 2)
    name = f"old-{uuid4().hex[:8]}"
    older = []
    for _ in range(3):
        then, found = await of_before(house, buyer, name)
        assert then.token is not None
        await grant(sql, database, then, then.token)
        older.append(found)
        buyer = Buyer.of(buyer.shop, buyer.provider)
    stored = EntitlementStore(database)
    statements: list[int] = []
    counted = stored._rows  # noqa: SLF001

    async def count(statement: ReturningUpdate[Any]) -> int:
        statements.append(rows := await counted(statement))
        return rows

    monkeypatch.setattr(stored, "_rows", count)
    assert await stored.name_app("apple_iap", name, sold="never", test=older[0].app) == 3
    assert statements == [2, 1, 0]
    for found in older:
        assert (await stored.owners(found)).transaction == found.token


async def test_the_start_never_leaves_an_older_grant_without_its_app(
    buyer: Buyer, house: House, database: Database, sql: asyncpg.Connection
) -> None:
    then, found = await of_before(house, buyer, "main")
    assert then.token is not None
    await grant(sql, database, then, then.token)

    await name_apps(house.dependencies.registry, EntitlementStore(database))

    assert (await EntitlementStore(database).owners(found)).chain == then.token


async def test_a_database_that_is_away_never_keeps_a_process_from_starting(house: House) -> None:
    away = Database("postgresql+asyncpg://paysaga@127.0.0.1:1/paysaga")

    await name_apps(house.dependencies.registry, EntitlementStore(away))

    await away.close()
