"""How operators' own updates are encrypted, and what nobody else can do with them."""

import asyncio
import json
from collections.abc import AsyncIterator
from types import SimpleNamespace
from typing import Any

import pytest
import uvicorn
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.client import WorkflowUpdateFailedError
from temporalio.common import RawValue

from cli.embedded.temporal import BINARY
from tests.api.house import House, ProviderSide, Shop, visitor
from tests.security.keyless import Target, is_untouched, notification


@pytest.fixture(scope="module")
async def codec(house: House) -> AsyncIterator[str]:
    """The codec endpoint as the command line reaches it."""
    server = uvicorn.Server(
        uvicorn.Config(house.app, port=0, log_level="error", lifespan="off", ws="none")
    )
    serving = asyncio.create_task(server.serve())
    async with asyncio.timeout(10):
        while not server.started:  # noqa: ASYNC110 - uvicorn has no event for it
            await asyncio.sleep(0.02)
    port = server.servers[0].sockets[0].getsockname()[1]
    yield f"http://127.0.0.1:{port}/ops/codec"
    server.should_exit = True
    await serving


async def cli(target: Target, *words: str) -> tuple[int, str]:
    """Temporal's own command line."""
    process = await asyncio.create_subprocess_exec(
        str(BINARY),
        *words,
        *("--address", target.client.service_client.config.target_host),
        *("--namespace", target.client.namespace, "--output", "json"),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    output, _ = await asyncio.wait_for(process.communicate(), 40)
    return process.returncode or 0, output.decode()


async def entered(house: House, value: Any, **headers: str) -> list[Payload]:
    """What the endpoint makes of an operator's entry."""
    plain = Payload(metadata={"encoding": b"json/plain"}, data=json.dumps(value).encode())
    document = json_format.MessageToDict(Payloads(payloads=[plain]))
    async with visitor(house.app) as client:
        answer = await client.post("/ops/codec/encode", json=document, headers=headers)
    return list(json_format.ParseDict(answer.json(), Payloads()).payloads)


@pytest.mark.parametrize("named", ["script", "ui"])
async def test_an_operators_cancel_closes_the_order(
    shop: Shop,
    provider: ProviderSide,
    payment: dict[str, Any],
    target: Target,
    codec: str,
    named: str,
) -> None:
    header = ["--codec-header", f"X-Workflow-Id={target.workflow_id}"] if named == "script" else []
    code, output = await cli(
        target,
        *("workflow", "update", "execute", "--workflow-id", target.workflow_id),
        *("--name", "cancel", "--input", '"Ann: ordered twice"', "--codec-endpoint", codec),
        *header,
    )

    assert code == 0, output
    await shop.reaches(payment, "closed")
    [found] = await provider.orders(payment)
    assert found["status"] == "CLOSED"


async def test_an_entry_for_one_payment_is_never_good_for_another(
    house: House, shop: Shop, provider: ProviderSide, payment: dict[str, Any], target: Target
) -> None:
    other = await shop.pending()
    name = "payment-" + other["id"].replace("-", "")
    [copied] = await entered(house, "Ann", **{"X-Workflow-Id": name})

    with pytest.raises(WorkflowUpdateFailedError):
        await target.handle.execute_update("cancel", RawValue(copied))

    await is_untouched(house, shop, provider, payment)


@pytest.mark.parametrize("named", [True, False])
async def test_an_entry_is_never_a_notification(
    house: House,
    shop: Shop,
    provider: ProviderSide,
    payment: dict[str, Any],
    target: Target,
    named: object,
) -> None:
    lie = notification(payment).model_dump(mode="json")
    headers = {"X-Workflow-Id": target.workflow_id} if named else {}
    await target.signal(await entered(house, lie, **headers))

    await is_untouched(house, shop, provider, payment)


async def test_an_old_entry_is_never_used_again(
    house: House,
    shop: Shop,
    provider: ProviderSide,
    payment: dict[str, Any],
    target: Target,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    with monkeypatch.context() as clock:
        clock.setattr("engine.encryption.time", SimpleNamespace(time=lambda: 1_000_000_000.0))
        [old] = await entered(house, "Ann: long ago")

    with pytest.raises(WorkflowUpdateFailedError):
        await target.handle.execute_update("cancel", RawValue(old))

    await is_untouched(house, shop, provider, payment)
