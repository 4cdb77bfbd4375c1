"""A merchant and its payers over HTTP, and the same steps on the floor."""

import asyncio
import json
import time
from contextlib import suppress
from dataclasses import dataclass
from datetime import timedelta
from typing import Any, Protocol
from uuid import uuid4

import httpx
from temporalio.client import Client, WithStartWorkflowOperation
from temporalio.common import WorkflowIDConflictPolicy, WorkflowIDReusePolicy

from bench import floor
from bench.ends import Ends
from domain.merchant import Merchant as MerchantRow
from embedded.stack import Stack
from storage.database import Database
from storage.keys import ApiKeyStore
from storage.merchants import MerchantStore
from webhooks.signing import new_secret

ACCOUNTS = {"alipay": "main", "wechatpay": "pubkey"}
_RPC = timedelta(seconds=20)
_HTTP_SECONDS = 60
_LOOKS, _LOOK_SECONDS = 100, 0.3


class BenchError(Exception):
    """A payment did not go as it must: there is nothing to measure."""


@dataclass(frozen=True)
class Timed:
    """Seconds of one payment, one at a time: create, notify to acknowledged, notify to webhook."""

    create: float
    acknowledge: float
    webhook: float


class Side(Protocol):
    """What the same load is put on: the floor, or our payments through one provider."""

    name: str

    async def whole(self) -> None:
        """One payment from the order to the merchant told; the provider notifies by itself."""
        ...

    async def create(self) -> str:
        """An open payment; its id."""
        ...

    async def timed(self) -> Timed:
        """One payment, step by step."""
        ...


class Floor:
    """The bare workflow."""

    name = "floor"

    def __init__(self, client: Client, ends: Ends) -> None:
        self._client = client
        self._ends = ends

    async def whole(self) -> None:
        """As `Side`."""
        await self.paid()

    async def paid(self) -> str:
        """One whole order; its id."""
        order = await self.create()
        await self._notify(order)
        await self._ends.told(order)
        return order

    async def create(self) -> str:
        """As `Side`."""
        order = uuid4().hex
        await self._client.execute_update_with_start_workflow(
            floor.FloorWorkflow.checkout,
            start_workflow_operation=WithStartWorkflowOperation(
                floor.FloorWorkflow.run,
                order,
                id=f"floor-{order}",
                task_queue=floor.QUEUE,
                id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
                id_reuse_policy=WorkflowIDReusePolicy.REJECT_DUPLICATE,
            ),
            id=f"checkout-{order}",
            rpc_timeout=_RPC,
        )
        return order

    async def timed(self) -> Timed:
        """As `Side`."""
        start = time.perf_counter()
        order = await self.create()
        created = time.perf_counter()
        await self._notify(order)
        acknowledged = time.perf_counter()
        told = await self._ends.told(order)
        return Timed(created - start, acknowledged - created, told - created)

    async def _notify(self, order: str) -> None:
        handle = self._client.get_workflow_handle_for(floor.FloorWorkflow.run, f"floor-{order}")
        await handle.signal(floor.FloorWorkflow.notify, "paid", rpc_timeout=_RPC)


class Merchant:
    """Our payments through one provider, by the merchant's API and the payer's hand."""

    def __init__(self, provider: str, key: str, urls: tuple[str, str], ends: Ends) -> None:
        """`urls` are the API's and the sandbox's, without a trailing slash."""
        self.name = provider
        self.late_checkouts = 0
        api, sandbox = urls
        limits = httpx.Limits(max_connections=None, max_keepalive_connections=None)
        self.api = httpx.AsyncClient(
            base_url=api,
            headers={"Authorization": f"Bearer {key}"},
            timeout=_HTTP_SECONDS,
            limits=limits,
            trust_env=False,
        )
        self._sandbox = httpx.AsyncClient(
            base_url=sandbox, timeout=_HTTP_SECONDS, limits=limits, trust_env=False
        )
        self._ends = ends

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(self.api.aclose(), self._sandbox.aclose())

    async def whole(self) -> None:
        """As `Side`."""
        payment = await self.post(or_later=True)
        if payment["checkout"]:
            await self.control("pay", checkout=_shown(payment))
        else:
            await self._pay_later(payment["id"])
        await self._ends.told(payment["id"])

    async def create(self) -> str:
        """As `Side`."""
        return str((await self.post())["id"])

    async def timed(self) -> Timed:
        """As `Side`; the sandbox says how long we took to acknowledge."""
        start = time.perf_counter()
        payment = await self.post()
        created = time.perf_counter()
        await self.control("pay", checkout=_shown(payment), notify=False)
        answer, told = await self.notified(payment["id"])
        return Timed(created - start, answer, told)

    async def notified(self, payment_id: str) -> tuple[float, float]:
        """Seconds until one notification was acknowledged, and until the merchant was told."""
        reference = payment_id.replace("-", "")
        begun = time.perf_counter()
        answer = await self.control("notify", reference=reference)
        if not answer["accepted"]:
            raise BenchError(f"a notification was answered {answer}")
        return float(answer["seconds"]), await self._ends.told(payment_id) - begun

    async def pay(self, payment_id: str) -> None:
        """The payer pays; nothing is notified."""
        await self.control("pay", reference=payment_id.replace("-", ""), notify=False)

    async def _pay_later(self, payment_id: str) -> None:
        """The checkout did not come in time (202): the payer pays once the provider has it."""
        self.late_checkouts += 1
        for _ in range(_LOOKS):
            with suppress(BenchError):
                await self.control("pay", reference=payment_id.replace("-", ""))
                return
            await asyncio.sleep(_LOOK_SECONDS)
        raise BenchError(f"the provider never had {payment_id}")

    async def post(self, *, or_later: bool = False) -> dict[str, Any]:
        """An order made; raises BenchError unless the payer can pay, now or (202) later."""
        body = {
            "order_no": f"bench-{uuid4().hex}",
            "provider": self.name,
            "account": ACCOUNTS[self.name],
            "channel": "qr",
            "amount": 1999,
            "subject": "明前龙井",
            "payer": {"client_ip": "203.0.113.7"},
            "expires_in": 7200,
        }
        answer = await self.api.post("/v1/payments", json=body)
        late = or_later and answer.status_code == httpx.codes.ACCEPTED
        if answer.status_code != httpx.codes.CREATED and not late:
            raise BenchError(f"a payment was answered {answer.status_code}: {answer.text}")
        payment: dict[str, Any] = answer.json()
        return payment

    async def control(self, path: str, **content: Any) -> dict[str, Any]:
        """A call of the sandbox's control API. BenchError."""
        answer = await self._sandbox.post(
            f"/_sandbox/{path}", json={"provider": self.name} | content
        )
        if answer.is_error:
            raise BenchError(f"{path} was answered {answer.status_code}: {answer.text}")
        said: dict[str, Any] = answer.json()
        return said

    async def behave(self) -> None:
        """Take back every scripted fault."""
        (await self._sandbox.delete("/_sandbox/faults")).raise_for_status()


async def register(stack: Stack, ends: Ends) -> tuple[str, str]:
    """A new merchant that is told at `ends`; its id and API key."""
    database = Database(stack.database_url)
    name = f"bench-{uuid4().hex[:8]}"
    row = MerchantRow(id=name, name=name, webhook_url=ends.webhook_url, webhook_secret=new_secret())
    try:
        await MerchantStore(database).create(row)
        return name, await ApiKeyStore(database).create(name, "bench")
    finally:
        await database.close()


def _shown(payment: dict[str, Any]) -> str:
    checkout = payment["checkout"]
    return str(checkout["value"] or json.dumps(checkout["parameters"]))
