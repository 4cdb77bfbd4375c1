"""One merchant's payments at a steady rate, through all four providers, whatever happens meanwhile.

The client does as a good merchant: it repeats a request with the same order number until it is
answered. Every repeat is counted.
"""

import asyncio
import json
import random
import time
from collections import Counter
from dataclasses import dataclass, field
from typing import Any
from uuid import uuid4

import httpx

# Account and channel at each provider; what a store sells has a product.
ORDERS: list[dict[str, Any]] = [
    {"provider": "alipay", "account": "main", "channel": "qr"},
    {"provider": "wechatpay", "account": "pubkey", "channel": "qr"},
    {"provider": "unionpay", "account": "main", "channel": "qr"},
    {"provider": "apple_iap", "account": "main", "channel": "iap"},
]
_PRICED = {"amount": 1999, "subject": "Longjing tea"}
_PRODUCT = {"product": "com.paysaga.tea.coins"}
_AGAIN_SECONDS = 0.25
_REQUEST_SECONDS = 30.0
# Longer than any fault here takes.
PATIENCE_SECONDS = 240.0
_SLOWEST_PAYER = 2.0


@dataclass
class Seen:
    """What the merchant saw: payments by id, failed requests by kind, seconds of each create."""

    payments: dict[str, str] = field(default_factory=dict)
    failures: Counter[str] = field(default_factory=Counter)
    seconds: list[float] = field(default_factory=list)
    left: dict[str, str] = field(default_factory=dict)

    @property
    def slowest(self) -> float:
        """Seconds until the slowest create was answered, repeats included."""
        return max(self.seconds, default=0.0)


class Merchant:
    """The merchant's backend and its payers.

    Args:
        key: the merchant's API key.
        api_url, sandbox_url: without a trailing slash.
    """

    def __init__(self, key: str, api_url: str, sandbox_url: str) -> None:
        limits = httpx.Limits(max_connections=None)
        self._api = httpx.AsyncClient(
            base_url=api_url,
            headers={"Authorization": f"Bearer {key}"},
            timeout=_REQUEST_SECONDS,
            trust_env=False,
            limits=limits,
        )
        self._sandbox = httpx.AsyncClient(base_url=sandbox_url, trust_env=False, limits=limits)
        self.seen = Seen()

    async def close(self) -> None:
        """Close the connections."""
        await asyncio.gather(self._api.aclose(), self._sandbox.aclose())

    async def load(self, rate: float, over: asyncio.Event) -> None:
        """Take payments at `rate` a second until the event; return when each was paid."""
        began, tasks = time.monotonic(), list[asyncio.Task[None]]()
        while not over.is_set():
            await asyncio.sleep(max(began + len(tasks) / rate - time.monotonic(), 0))
            tasks.append(asyncio.create_task(self.take(ORDERS[len(tasks) % len(ORDERS)])))
        await asyncio.gather(*tasks)

    async def take(self, order: dict[str, Any]) -> None:
        """Create one payment and pay it."""
        bought = _PRODUCT if order["provider"] == "apple_iap" else _PRICED
        payer = {"payer": {"client_ip": "203.0.113.7"}}
        body = order | bought | payer | {"order_no": f"r-{uuid4().hex[:16]}"}
        began = time.monotonic()
        payment = await self._until_answered(lambda: self._api.post("/v1/payments", json=body))
        if payment is None:
            return
        self.seen.seconds.append(time.monotonic() - began)
        self.seen.payments[payment["id"]] = order["provider"]
        while payment is not None and payment["checkout"] is None:
            await asyncio.sleep(_AGAIN_SECONDS)
            path = f"/v1/payments/{payment['id']}"
            payment = await self._until_answered(lambda path=path: self._api.get(path))
        if payment is None:
            return
        await asyncio.sleep(random.uniform(0, _SLOWEST_PAYER))  # noqa: S311 - a payer
        paying = {"provider": order["provider"], "checkout": _shown(payment["checkout"])}
        await self._until_answered(lambda: self._sandbox.post("/_sandbox/pay", json=paying))

    async def settle(self) -> None:
        """Return when every payment has succeeded; what has not in time is in `seen.left`."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        open_ = set(self.seen.payments)
        while open_ and time.monotonic() < deadline:
            for payment_id in list(open_):
                if await self._status(payment_id) == "succeeded":
                    open_.discard(payment_id)
            await asyncio.sleep(_AGAIN_SECONDS if open_ else 0)
        self.seen.left = {each: await self._status(each) for each in open_}

    async def _status(self, payment_id: str) -> str:
        try:
            answer = await self._api.get(f"/v1/payments/{payment_id}")
        except httpx.HTTPError as error:
            return type(error).__name__
        return str(answer.json().get("status", answer.status_code))

    async def _until_answered(self, send: Any) -> dict[str, Any] | None:
        """The answer of a request that is repeated until it is a good one; None after minutes."""
        deadline = time.monotonic() + PATIENCE_SECONDS
        while time.monotonic() < deadline:
            try:
                answer = await send()
            except httpx.HTTPError as error:
                self.seen.failures[type(error).__name__] += 1
            else:
                if answer.is_success:
                    found: dict[str, Any] = answer.json()
                    return found
                self.seen.failures[str(answer.status_code)] += 1
            await asyncio.sleep(_AGAIN_SECONDS)
        self.seen.failures["never answered"] += 1
        return None


def _shown(checkout: dict[str, Any]) -> str:
    """The checkout as the payer's device gets it from the shop."""
    return str(checkout["value"] or json.dumps(checkout["parameters"]))
