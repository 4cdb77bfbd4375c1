"""A buyer with a device, at the sandbox's App Store, and the shop's app on it."""

from dataclasses import dataclass
from typing import Any
from uuid import uuid4

import httpx
import pytest

from tests.api.house import ProviderSide, Shop, eventually, order

COINS = "com.paysaga.tea.coins"
RECIPES = "com.paysaga.tea.recipes"
MONTHLY = "com.paysaga.tea.monthly"
YEARLY = "com.paysaga.tea.yearly"
SEASON = "com.paysaga.tea.season"


def iap_order(product: str = COINS, **changes: Any) -> dict[str, Any]:
    """The body of a payment of a product."""
    body = order(provider="apple_iap", account="main", channel="iap", product=product)
    for name in ("amount", "currency", "subject"):
        del body[name]
    return body | changes


@dataclass
class Buyer:
    """Buys, and does what buyers, families and Apple's support do."""

    shop: Shop
    provider: ProviderSide
    customer: str

    @classmethod
    def of(cls, shop: Shop, provider: ProviderSide) -> "Buyer":
        return cls(shop, provider, uuid4().hex[:12])

    async def ask(self, product: str = COINS, **changes: Any) -> dict[str, Any]:
        """A payment that waits for the buyer."""
        response = await self.shop.create(iap_order(product, **changes))
        assert response.status_code == 201, response.text
        made: dict[str, Any] = response.json()
        return made

    async def buy(self, payment: dict[str, Any], **changes: Any) -> dict[str, Any]:
        """Buy what the payment is for; nobody is told unless `notify` says so."""
        content = {
            "product_id": payment["product_id"],
            "app_account_token": payment["id"],
            "customer": self.customer,
            "quantity": payment["quantity"],
            "notify": False,
        }
        wanted = {name: value for name, value in (content | changes).items() if value is not None}
        return await self.act("buy", **wanted)

    async def act(self, deed: str, **content: Any) -> dict[str, Any]:
        response = await self.provider.control.post(f"/_sandbox/apple_iap/{deed}", json=content)
        assert response.status_code in (200, 201), response.text
        done: dict[str, Any] = response.json()
        return done

    async def signed(self, bought: dict[str, Any], **flaw: Any) -> str:
        """What the app holds of the transaction, signed now."""
        content = {"transaction_id": bought["transaction_id"]} | flaw
        found = await self.act("jws", **content)
        return str(found["signed_transaction"])

    async def verify(self, payment: dict[str, Any], signed: str) -> httpx.Response:
        return await self.shop.http.post(
            f"/v1/payments/{payment['id']}/verify", json={"signed_transaction": signed}
        )

    async def bought(self, product: str = COINS, **changes: Any) -> tuple[Any, Any]:
        """A payment that is paid, and its purchase."""
        payment = await self.ask(product, **changes)
        bought = await self.buy(payment)
        answer = await self.verify(payment, await self.signed(bought))
        assert (answer.status_code, answer.json()["status"]) == (200, "succeeded"), answer.text
        return answer.json(), bought

    async def restore(self, **body: Any) -> httpx.Response:
        return await self.shop.http.post("/v1/restore", json=body)

    async def events(self, payment: dict[str, Any]) -> list[dict[str, Any]]:
        """What the merchant is told of the payment, oldest first."""
        answer = await self.shop.http.get("/v1/events", params={"payment_id": payment["id"]})
        found: list[dict[str, Any]] = answer.json()["data"]
        return sorted(found, key=lambda event: int(event["sequence"]))

    async def hears(self, payment: dict[str, Any], *types: str) -> list[dict[str, Any]]:
        """Until the merchant is told exactly this."""

        found: list[dict[str, Any]] = []

        async def told() -> bool:
            nonlocal found
            found = await self.events(payment)
            return [event["type"] for event in found] == list(types)

        try:
            await eventually(told)
        except TimeoutError:
            pytest.fail(f"The merchant was told {[event['type'] for event in found]}.")
        return found
