"""Payments at each provider, and everything in which a notification about one could be seen."""

from typing import Any
from uuid import UUID

from domain.identity import late_workflow_id, payment_workflow_id
from domain.notification import NotificationOutcome
from tests.api.buyer import iap_order
from tests.api.house import House, ProviderSide, Shop, order

ACCOUNTS = {
    "wechatpay": "pubkey",
    "alipay": "main",
    "unionpay": "main",
    "apple_iap": "main",
}


async def pending(shop: Shop, provider: str) -> dict[str, Any]:
    account = ACCOUNTS[provider]
    body = iap_order() if provider == "apple_iap" else order(provider=provider, account=account)
    answer = await shop.create(body)
    assert answer.status_code == 201, answer.text
    made: dict[str, Any] = answer.json()
    return made


async def pay(provider: ProviderSide, made: dict[str, Any]) -> None:
    if made["provider"] != "apple_iap":
        await provider.pay(made)
        return
    wanted = {"product_id": made["product_id"], "app_account_token": made["id"], "notify": False}
    bought = await provider.control.post("/_sandbox/apple_iap/buy", json=wanted)
    assert bought.status_code in (200, 201), bought.text


class Traces:
    """Everything in which a notification about a payment could be seen."""

    def __init__(self, house: House, made: dict[str, Any]) -> None:
        self._house = house
        self.id = UUID(made["id"])
        self.account = f"{made['provider']}/{made['account']}"

    async def signals(self) -> int:
        temporal = self._house.dependencies.temporal
        history = await temporal.get_workflow_handle(payment_workflow_id(self.id)).fetch_history()
        return sum(
            event.HasField("workflow_execution_signaled_event_attributes")
            for event in history.events
        )

    async def outcomes(self) -> list[tuple[NotificationOutcome, int]]:
        stored = self._house.dependencies.stores.notifications
        return [(each.outcome, each.repeats) for each in await stored.list_for_payment(self.id)]

    async def alarms(self, subject: str | None = None) -> int:
        raised = await self._house.dependencies.stores.alarms.list_newest()
        return sum(each.count for each in raised if each.subject == (subject or self.account))

    async def late_workflows(self) -> int:
        temporal = self._house.dependencies.temporal
        query = f"WorkflowId = '{late_workflow_id(self.id)}'"
        return (await temporal.count_workflows(query)).count


async def events(shop: Shop, made: dict[str, Any]) -> list[str]:
    found = await shop.http.get("/v1/events", params={"payment_id": made["id"]})
    return [event["type"] for event in found.json()["data"]]
