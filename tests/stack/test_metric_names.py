"""Every metric that the operators' manual or compose names is served by a running process."""

import re
import socket
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import httpx
import pytest
from temporalio.client import Client

from cli.embedded.config import ONE_MERCHANT, StackConfig
from cli.embedded.stack import Stack
from tests.stack.shop import Shop, open_shop
from tests.stack.waiting import eventually
from workflows.policies import TASK_QUEUE

pytestmark = pytest.mark.stack

ROOT = Path(__file__).parents[2]
# Of Temporal's own server. The embedded one shows none; the rehearsal looks at the real one.
SERVER_METRICS = {
    "certificates_expiring",
    "certificates_expired",
    "persistence_errors",
    "persistence_latency",
}


def documented() -> set[str]:
    """The metrics in the first column of the manual's table of signals, and of health checks."""
    table = (
        (ROOT / "docs" / "operations.md").read_text().split("## Watch", 1)[1].split("\n## ", 1)[0]
    )
    cells = [line.split("|")[1] for line in table.splitlines() if line.startswith("| `")]
    names = {name for cell in cells for name in re.findall(r"`([a-z_]+)(?:\{[^`]*\})?`", cell)}
    compose = (ROOT / "docker-compose.yml").read_text()
    probed = re.findall(r"/metrics\n +- (temporal_[a-z_]+)\n", compose)
    assert probed, "the worker's health check"
    return {name for name in names if "_" in name} | set(probed)


def free_address() -> str:
    with socket.create_server(("127.0.0.1", 0)) as free:
        return f"127.0.0.1:{free.getsockname()[1]}"


class Measured:
    """A stack whose API and worker serve the Temporal SDK's metrics."""

    def __init__(self, state: Path) -> None:
        self.addresses = [free_address(), free_address()]
        names = ("PAYSAGA_METRICS_ADDRESS", "PAYSAGA_API_METRICS_ADDRESS")
        variables = ONE_MERCHANT | dict(zip(names, self.addresses, strict=True))
        self.stack = Stack(StackConfig(state, sandbox_time_scale=40, variables=variables))

    async def served(self) -> set[str]:
        """The names of all samples of all processes, histograms by their own name."""
        urls = [f"http://{address}/metrics" for address in self.addresses]
        async with httpx.AsyncClient() as http:
            texts = [(await http.get(url)).text for url in [*urls, f"{self.stack.api_url}/metrics"]]
        found = {line.split("{")[0].split()[0] for text in texts for line in text.splitlines()}
        return found | {name.removesuffix("_bucket") for name in found}


@pytest.fixture
async def measured(tmp_path: Path) -> AsyncIterator[Measured]:
    measured = Measured(tmp_path / "state")
    async with measured.stack:
        yield measured


async def break_a_task(client: Client) -> None:
    """Start a workflow that no worker knows: its task fails, and is tried again."""
    await client.start_workflow("Unknown", id=f"unknown-{uuid4().hex}", task_queue=TASK_QUEUE)


async def refuse_everything(shop: Shop, client: Client, stack: Stack) -> None:
    """Do what each counter of refusals counts."""
    order = shop.order("alipay")
    await order.create()
    # Without the payload keys.
    plain = await Client.connect(client.service_client.config.target_host)
    await plain.get_workflow_handle(f"payment-{order.reference}").signal("notify", {"forged": True})
    async with httpx.AsyncClient(base_url=stack.api_url) as stranger:
        await stranger.get("/v1/payments", headers={"Authorization": "Bearer psk_wrong"})
        await stranger.post("/notify/alipay/main", data={"sign": "forged"})


async def test_every_metric_that_the_manual_names_is_served(measured: Measured) -> None:
    wanted = documented()
    assert len(wanted) > len(SERVER_METRICS)
    client = await measured.stack.temporal_client()
    async with open_shop(measured.stack) as shop:
        order = shop.order("alipay")
        await order.create()
        await order.pay()
        await order.shows(status="succeeded")
        await order.refund(order.amount)
        await order.told("payment.succeeded", "refund.succeeded")
        await refuse_everything(shop, client, measured.stack)
    await break_a_task(client)

    async def all_served() -> None:
        assert wanted - await measured.served() == SERVER_METRICS

    await eventually(all_served, 30)
