import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.sandbox.apple_iap.conftest import MONTHLY
from tests.sandbox.apple_iap.shop import AppStoreShop
from tests.sandbox.test_process import sandbox, until_attempted


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client


def shop_in(client: httpx.AsyncClient, data_dir: Path) -> AppStoreShop:
    manifest = json.loads((data_dir / "sandbox.json").read_text())
    return AppStoreShop(client, manifest["apple_iap"])


async def test_production_listens_on_a_port_of_its_own(
    client: httpx.AsyncClient, data_dir: Path
) -> None:
    async with sandbox(data_dir) as (_, origin):
        shop = shop_in(client, data_dir)
        content = {"product_id": MONTHLY, "environment": "Production"}
        bought = (await client.post(f"{origin}/_sandbox/apple_iap/buy", json=content)).json()
        headers = {"authorization": f"Bearer {shop.token()}"}
        path = f"/inApps/v1/transactions/{bought['transaction_id']}"
        hosts = (shop.section["production_url"], origin, shop.section["base_url"])
        answers = [await client.get(f"{host}{path}", headers=headers) for host in hosts]
        assert [answer.status_code for answer in answers] == [200, 404, 404]


async def test_purchases_keys_and_notifications_survive_being_killed(
    client: httpx.AsyncClient, data_dir: Path
) -> None:
    async with sandbox(data_dir) as (process, origin):
        shop = shop_in(client, data_dir)
        inbox = f"{origin}/_sandbox/merchant/tea"
        await client.post(inbox, json={"status": 500})
        told = {"notification_url": f"{origin}/merchant/tea/webhooks"}
        await client.post(shop.app["settings_url"], json=told)
        buying = await client.post(f"{origin}/_sandbox/apple_iap/buy", json={"product_id": MONTHLY})
        bought = buying.json()
        await until_attempted(client, origin)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with sandbox(data_dir, origin.rpartition(":")[2]):
        shop = shop_in(client, data_dir)
        before = shop.verified(bought["signed_transaction"])
        after = await shop.transaction(bought["transaction_id"])
        assert after | {"signedDate": 0} == before | {"signedDate": 0}
        await client.post(inbox, json={"status": 200})
        await client.post(f"{origin}/_sandbox/clock", json={"scale": 1e6})
        seen = await until_attempted(client, origin, 2)
        assert [attempt["accepted"] for attempt in seen["attempts"]] == [False, True]
        received = (await client.get(inbox)).json()
        numbers = {
            shop.verified(json.loads(item["body"])["signedPayload"])["notificationUUID"]
            for item in received
        }
        assert len(numbers) == 1
