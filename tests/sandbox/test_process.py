"""The sandbox as a process of its own, killed without warning."""

import asyncio
import json
import signal
import sys
from asyncio.subprocess import PIPE, Process
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.sandbox.alipay_shop import AlipayShop

PRECREATE = "alipay.trade.precreate"


@asynccontextmanager
async def sandbox(data_dir: Path, port: str = "0") -> AsyncIterator[tuple[Process, str]]:
    arguments = ("-m", "sandbox", "--data", str(data_dir), "--port", port)
    process = await asyncio.create_subprocess_exec(sys.executable, *arguments, stdout=PIPE)
    try:
        assert process.stdout is not None
        async with asyncio.timeout(20):
            line = (await process.stdout.readline()).decode()
        yield process, line.split()[3].rstrip(",")
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


def main_shop(client: httpx.AsyncClient, data_dir: Path) -> AlipayShop:
    manifest: dict[str, Any] = json.loads((data_dir / "sandbox.json").read_text())
    return AlipayShop(client, manifest["alipay"]["apps"]["main"], manifest["alipay"]["gateway_url"])


async def healthy(client: httpx.AsyncClient, origin: str) -> None:
    assert (await client.get(f"{origin}/healthz")).json() == {"status": "ok"}


@pytest.fixture
async def client() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient(trust_env=False, timeout=10) as client:
        yield client


async def test_nothing_is_forgotten_when_the_process_is_killed(
    client: httpx.AsyncClient, data_dir: Path, order: dict[str, Any]
) -> None:
    reference = order["out_trade_no"]
    async with sandbox(data_dir) as (process, origin):
        await healthy(client, origin)
        shop = main_shop(client, data_dir)
        inbox = f"{origin}/_sandbox/merchant/tea"
        await client.post(inbox, json={"status": 500})
        notify_url = f"{origin}/merchant/tea/webhooks"
        assert (await shop.call(PRECREATE, order, notify_url=notify_url))["code"] == "10000"
        pay = {"provider": "alipay", "reference": reference}
        await client.post(f"{origin}/_sandbox/pay", json=pay)
        fault = {"provider": "alipay", "operation": "query", "kind": "rate_limited"}
        await client.post(f"{origin}/_sandbox/faults", json=fault)
        await until_attempted(client, origin)
        process.send_signal(signal.SIGKILL)
        await process.wait()
    async with sandbox(data_dir, origin.rpartition(":")[2]) as (_, again):
        assert again == origin
        shop = main_shop(client, data_dir)
        limited = await shop.call("alipay.trade.query", order)
        query = await shop.call("alipay.trade.query", order)
        assert (limited["code"], query["trade_status"]) == ("40005", "TRADE_SUCCESS")
        await client.post(inbox, json={"text": "success", "times": 1})
        await client.post(f"{origin}/_sandbox/clock", json={"scale": 1e5})
        deliveries = (await until_attempted(client, origin, 2))["deliveries"]
        assert len(deliveries) == 1
        assert len((await client.get(f"{origin}/_sandbox/ledger")).json()) == 1
        first, second = (await client.get(inbox)).json()[:2]
        assert "notify_id=" in first["body"]
        assert identity(first["body"]) == identity(second["body"])


async def test_a_lost_answer_breaks_a_real_connection(
    client: httpx.AsyncClient, data_dir: Path, order: dict[str, Any]
) -> None:
    async with sandbox(data_dir) as (_, origin):
        shop = main_shop(client, data_dir)
        for seconds in (0, 30):
            params = {"seconds": seconds}
            fault = {"provider": "alipay", "operation": "*", "kind": "lost_answer"}
            await client.post(f"{origin}/_sandbox/faults", json=fault | {"params": params})
            client.timeout = httpx.Timeout(1)
            with pytest.raises((httpx.RemoteProtocolError, httpx.ReadTimeout, httpx.ReadError)):
                await shop.call(PRECREATE, order)
            client.timeout = httpx.Timeout(10)
        assert len((await client.get(f"{origin}/_sandbox/orders")).json()) == 1
        assert (await shop.call(PRECREATE, order))["code"] == "10000"


async def test_header_names_keep_their_capitals_on_a_real_connection(
    data_dir: Path,
) -> None:
    async with sandbox(data_dir) as (_, origin), asyncio.timeout(10):
        host, port = origin.removeprefix("http://").split(":")
        reader, writer = await asyncio.open_connection(host, int(port))
        writer.write(b"GET /v3/certificates HTTP/1.1\r\nHost: sandbox\r\n\r\n")
        head = await reader.readuntil(b"\r\n\r\n")
        writer.close()
    assert b"\r\nRequest-ID: " in head
    assert b"\r\nContent-Type: application/json" in head


async def until_attempted(client: httpx.AsyncClient, origin: str, count: int = 1) -> Any:
    async with asyncio.timeout(15):
        while True:
            seen = (await client.get(f"{origin}/_sandbox/notifications")).json()
            if len(seen["attempts"]) >= count:
                return seen
            await asyncio.sleep(0.05)


def identity(body: str) -> str:
    return body.partition("notify_id=")[2].partition("&")[0]
