import json
import signal
from collections.abc import AsyncIterator
from pathlib import Path

import httpx
import pytest

from tests.sandbox.test_process import sandbox, until_attempted
from tests.sandbox.unionpay.shop import UnionpayShop


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client


def shop_in(client: httpx.AsyncClient, data_dir: Path) -> UnionpayShop:
    unionpay = json.loads((data_dir / "sandbox.json").read_text())["unionpay"]
    return UnionpayShop(client, unionpay["base_url"], unionpay["merchants"]["main"])


async def test_payments_refunds_and_notifications_survive_being_killed(
    client: httpx.AsyncClient, data_dir: Path
) -> None:
    async with sandbox(data_dir) as (process, origin):
        shop = shop_in(client, data_dir)
        inbox = f"{origin}/_sandbox/merchant/tea"
        await client.post(inbox, json={"status": 500})
        back_url = f"{origin}/merchant/tea/webhooks"
        request, _ = await shop.app(backUrl=back_url)
        waiting, placed = await shop.app(backUrl=back_url)
        pay = {"provider": "unionpay", "reference": request["orderId"]}
        await client.post(f"{origin}/_sandbox/pay", json=pay)
        query_id = (await shop.query(request))["queryId"]
        fault = {"provider": "unionpay", "operation": "refund", "kind": "refund_status"}
        await client.post(
            f"{origin}/_sandbox/faults", json=fault | {"params": {"then": "PROCESSING"}}
        )
        refund = shop.give_back("04", query_id, backUrl=back_url)
        assert (await shop.back(refund))["respCode"] == "00"
        await until_attempted(client, origin)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with sandbox(data_dir, origin.rpartition(":")[2]):
        shop = shop_in(client, data_dir)
        assert (await shop.query(request))["queryId"] == query_id
        assert (await shop.query(refund))["origRespCode"] == "05"
        assert (await shop.back(refund))["respCode"] == "12"
        checkout = {"provider": "unionpay", "checkout": placed["tn"]}
        assert (await client.post(f"{origin}/_sandbox/pay", json=checkout)).is_success
        assert (await shop.query(waiting))["origRespCode"] == "00"
        done = {"provider": "unionpay", "refund_reference": refund["orderId"]}
        await client.post(f"{origin}/_sandbox/refunds/complete", json=done)
        await client.post(inbox, json={"status": 200})
        await client.post(f"{origin}/_sandbox/clock", json={"scale": 1e4})
        seen = await until_attempted(client, origin, 4)
        assert len(seen["deliveries"]) == 3
        ledger = (await client.get(f"{origin}/_sandbox/ledger")).json()
        assert [(move["kind"], move["amount"]) for move in ledger] == [
            ("capture", 2000),
            ("capture", 2000),
            ("refund", 2000),
        ]
