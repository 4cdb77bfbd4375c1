import asyncio
import itertools
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
from fastapi import FastAPI

from api.app import create_app
from api.dependencies import Dependencies
from domain.merchant import Merchant

ORIGIN = "http://paysaga.test"
_NUMBERS = itertools.count(1)


class Door(httpx.AsyncBaseTransport):
    """The way from the providers to our API, which is built after them."""

    def __init__(self) -> None:
        self.app: FastAPI | None = None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        assert self.app is not None
        return await httpx.ASGITransport(self.app).handle_async_request(request)


def visitor(app: FastAPI, key: str | None = None) -> httpx.AsyncClient:
    """Somebody at the API's door, with this API key."""
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    transport = httpx.ASGITransport(app, raise_app_exceptions=False)
    return httpx.AsyncClient(transport=transport, base_url=ORIGIN, headers=headers, timeout=30)


def order(**changes: Any) -> dict[str, Any]:
    """The body of a payment request; an order of its own each time."""
    body = {
        "order_no": f"ORDER-{next(_NUMBERS)}-{uuid4().hex[:8]}",
        "provider": "wechatpay",
        "account": "pubkey",
        "channel": "qr",
        "amount": 1999,
        "currency": "CNY",
        "subject": "Two tickets",
    }
    return body | changes


@dataclass
class Shop:
    """A merchant's backend."""

    merchant: Merchant
    http: httpx.AsyncClient

    async def create(self, body: dict[str, Any], key: str | None = None) -> httpx.Response:
        headers = {"Idempotency-Key": key} if key else {}
        return await self.http.post("/v1/payments", json=body, headers=headers)

    async def pending(self, **changes: Any) -> dict[str, Any]:
        """A payment that waits for its payer."""
        response = await self.create(order(**changes))
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    async def read(self, payment: dict[str, Any]) -> dict[str, Any]:
        response = await self.http.get(f"/v1/payments/{payment['id']}")
        assert response.status_code == 200, response.text
        found: dict[str, Any] = response.json()
        return found

    async def reaches(self, payment: dict[str, Any], status: str) -> dict[str, Any]:
        async def reached() -> dict[str, Any] | None:
            found = await self.read(payment)
            return found if found["status"] == status else None

        found: dict[str, Any] = await eventually(reached)
        return found

    async def refund(self, payment: dict[str, Any], key: str, **body: Any) -> httpx.Response:
        return await self.http.post(
            f"/v1/payments/{payment['id']}/refunds",
            json=body,
            headers={"Idempotency-Key": key},
        )


@dataclass
class ProviderSide:
    """The provider's server, and what it sends to us."""

    control: httpx.AsyncClient
    provider: str = "wechatpay"

    async def pay(self, payment: dict[str, Any]) -> None:
        """The payer pays, and nobody tells us."""
        checkout = payment["checkout"]["value"]
        await self._do("/pay", payment, notify=False, checkout=checkout)

    async def notify(self, payment: dict[str, Any], **more: Any) -> dict[str, Any]:
        """Send one notification; `accepted` says whether our answer satisfied the provider."""
        return await self._do("/notify", payment, **more)

    async def fault(self, operation: str, kind: str, **params: Any) -> None:
        """The provider's next answer to this operation is this fault."""
        content = {
            "provider": self.provider,
            "operation": operation,
            "kind": kind,
            "params": params,
        }
        response = await self.control.post("/_sandbox/faults", json=content)
        assert response.status_code == 201, response.text

    async def orders(self, payment: dict[str, Any]) -> list[dict[str, Any]]:
        params = {"provider": payment["provider"], "reference": _reference(payment)}
        response = await self.control.get("/_sandbox/orders", params=params)
        found: list[dict[str, Any]] = response.json()
        return found

    async def _do(self, path: str, payment: dict[str, Any], **more: Any) -> dict[str, Any]:
        content = {"provider": payment["provider"], "reference": _reference(payment)} | more
        response = await self.control.post(f"/_sandbox{path}", json=content)
        assert response.status_code == 200, response.text
        done: dict[str, Any] = response.json()
        return done


def _reference(payment: dict[str, Any]) -> str:
    return str(payment["id"]).replace("-", "")


@dataclass
class House:
    """Our API with everything behind it, and the provider's server in front."""

    app: FastAPI
    dependencies: Dependencies
    provider: ProviderSide
    door: Door

    @contextmanager
    def takes_notifications(self) -> Iterator[None]:
        """While inside, the providers' notifications come to this house."""
        usual, self.door.app = self.door.app, self.app
        yield
        self.door.app = usual

    async def shop(self) -> Shop:
        """A merchant that nobody else uses."""
        merchant = Merchant(id=f"m-{uuid4().hex[:12]}", name="Shop")
        stores = self.dependencies.stores
        await stores.merchants.create(merchant)
        key = await stores.keys.create(merchant.id, "test")
        return Shop(merchant, visitor(self.app, key))

    @asynccontextmanager
    async def as_merchant(self, shop: Shop) -> AsyncIterator[httpx.AsyncClient]:
        """A merchant of another house that shares these books, at this house's door."""
        key = await self.dependencies.stores.keys.create(shop.merchant.id, "visit")
        async with visitor(self.app, key) as client:
            yield client

    async def ended(self, payment: dict[str, Any]) -> None:
        """Return once the payment's run has ended."""
        run = f"payment-{_reference(payment)}"
        await self.dependencies.temporal.get_workflow_handle(run).result()


async def running(dependencies: Dependencies) -> FastAPI:
    """The application as if its server had started it."""
    app = create_app(dependencies)
    app.state.dependencies = dependencies
    return app


async def eventually(condition: Callable[[], Awaitable[Any]]) -> Any:
    """What the condition says once it is truthy."""
    async with asyncio.timeout(20):
        while not (found := await condition()):  # noqa: ASYNC110 - it changes in other processes
            await asyncio.sleep(0.05)
    return found
