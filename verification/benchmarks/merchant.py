"""A merchant and its payers over HTTP."""

import asyncio
import json
import time
from contextlib import suppress
from http import HTTPStatus
from typing import Any
from uuid import uuid4

import aiohttp

from domain.merchant import Merchant as MerchantRow
from storage.database import Database
from storage.keys import ApiKeyStore
from storage.merchants import MerchantStore
from verification.benchmarks.ends import Ends
from verification.benchmarks.sides import BenchError, Notified, Opened
from verification.benchmarks.system import System
from webhooks.signing import new_secret

ACCOUNTS = {"alipay": "main", "wechatpay": "pubkey", "unionpay": "main", "apple_iap": "main"}
STORE = "apple_iap"
# A consumable, as the sandbox's store has it.
PRODUCT = "com.paysaga.tea.coins"
_HTTP = aiohttp.ClientTimeout(total=60)
_LOOKS, _LOOK_SECONDS = 100, 0.3


class Merchant:
    """Our payments through one provider, by the merchant's API and the payer's hand."""

    def __init__(self, provider: str, key: str, urls: tuple[str, str], ends: Ends) -> None:
        """`urls` are the API's and the sandbox's, without a trailing slash."""
        self.name = provider
        self.late_checkouts = 0
        api, sandbox = urls
        # The load shares the machine with what it measures: its client must weigh little.
        self._api = _client(api, {"Authorization": f"Bearer {key}"})
        self._sandbox = _client(sandbox, {})
        self._ends = ends

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(self._api.close(), self._sandbox.close())

    async def whole(self) -> None:
        """As `Side`."""
        await self.finish(await self.post(or_later=True))

    async def finish(self, payment: dict[str, Any]) -> None:
        """The payer pays what `post` made, and the merchant has the event."""
        if payment["checkout"]:
            await self.control("pay", checkout=_shown(payment))
        else:
            await self._pay_later(payment["id"])
        await self._ends.delivered(payment["id"])

    async def create(self) -> Opened:
        """As `Side`."""
        payment = await self.post()
        return Opened(payment["id"], _shown(payment))

    async def pay(self, opened: Opened) -> None:
        """As `Side`."""
        await self.control("pay", checkout=opened.shown, notify=False)

    async def notified(self, opened: Opened) -> Notified:
        """As `Side`; the sandbox says how long we took to acknowledge."""
        begun = time.perf_counter()
        answer = await self.control("notify", reference=_reference(opened.id))
        if not answer["accepted"]:
            raise BenchError(f"a notification was answered {answer}")
        delivered = await self._ends.delivered(opened.id)
        if delivered < begun:
            raise BenchError(f"{opened.id} had ended before it was notified")
        return Notified(float(answer["seconds"]), delivered - begun)

    async def pay_and_notify(self, payment: dict[str, Any]) -> float:
        """Seconds from the first notification of this payment until one was acknowledged.

        It is repeated at once where it was not. Returns once the merchant has its webhook.
        """
        await self.control("pay", checkout=_shown(payment), notify=False)
        seconds = 0.0
        for _ in range(_LOOKS):
            answer = await self.control("notify", reference=_reference(payment["id"]))
            seconds += float(answer["seconds"])
            if answer["accepted"]:
                await self._ends.delivered(payment["id"])
                return seconds
        raise BenchError(f"a notification was answered {answer} in the end")

    async def _pay_later(self, payment_id: str) -> None:
        """The checkout did not come in time (202): the payer pays once the provider has it."""
        self.late_checkouts += 1
        for _ in range(_LOOKS):
            with suppress(BenchError):
                await self.control("pay", reference=_reference(payment_id))
                return
            await asyncio.sleep(_LOOK_SECONDS)
        raise BenchError(f"the provider never had {payment_id}")

    async def post(self, *, or_later: bool = False) -> dict[str, Any]:
        """An order made; raises BenchError unless the payer can pay, now or (202) later."""
        body: dict[str, Any] = {
            "order_no": f"bench-{uuid4().hex}",
            "provider": self.name,
            "account": ACCOUNTS[self.name],
            "payer": {"client_ip": "203.0.113.7"},
        }
        if self.name == STORE:
            body |= {"channel": "iap", "product": PRODUCT}
        else:
            body |= {"channel": "qr", "amount": 1999, "subject": "明前龙井", "expires_in": 7200}
        async with self._api.post("/v1/payments", json=body) as answer:
            late = or_later and answer.status == HTTPStatus.ACCEPTED
            if answer.status != HTTPStatus.CREATED and not late:
                raise BenchError(f"a payment was answered {answer.status}: {await answer.text()}")
            payment: dict[str, Any] = await answer.json()
            return payment

    async def control(self, path: str, **content: Any) -> dict[str, Any]:
        """A call of the sandbox's control API. BenchError."""
        content = {"provider": self.name} | content
        async with self._sandbox.post(f"/_sandbox/{path}", json=content) as answer:
            if not answer.ok:
                raise BenchError(f"{path} was answered {answer.status}: {await answer.text()}")
            said: dict[str, Any] = await answer.json()
            return said

    async def behave(self) -> None:
        """Take back every scripted fault."""
        async with self._sandbox.delete("/_sandbox/faults") as answer:
            answer.raise_for_status()


async def register(system: System, ends: Ends) -> tuple[str, str]:
    """A new merchant whose events go to `ends`; its id and API key."""
    database = Database(system.database_url)
    name = f"bench-{uuid4().hex[:8]}"
    secret = system.stored_secrets.encrypt(name, new_secret())
    row = MerchantRow(id=name, name=name, webhook_url=ends.webhook_url, webhook_secret=secret)
    try:
        await MerchantStore(database).create(row)
        return name, await ApiKeyStore(database).create(name, "bench")
    finally:
        await database.close()


def _client(url: str, headers: dict[str, str]) -> aiohttp.ClientSession:
    connector = aiohttp.TCPConnector(limit=0)
    return aiohttp.ClientSession(url, headers=headers, connector=connector, timeout=_HTTP)


def _shown(payment: dict[str, Any]) -> str:
    checkout = payment["checkout"]
    return str(checkout["value"] or json.dumps(checkout["parameters"]))


def _reference(payment_id: str) -> str:
    return payment_id.replace("-", "")
