"""The merchants of a shop: what they were told, and how they answer."""

import asyncio
from uuid import UUID

from domain.event import Event
from domain.merchant import Merchant
from domain.payment import Payment
from webhooks.answers import WebhookAnswer
from webhooks.sender import WebhookFailed


class ListeningMerchants:
    """What merchants were told, and how they answer: by script for a payment, then plain 200."""

    def __init__(self) -> None:
        self.told: dict[UUID, list[Event]] = {}
        self.answers: dict[UUID, list[WebhookAnswer | WebhookFailed | asyncio.Event]] = {}

    def heard(self, payment: Payment) -> list[str]:
        return [event.type for event in self.told.get(payment.id, [])]

    async def hear(self, payment: Payment, *types: str) -> None:
        """Until the merchant was told exactly this."""
        async with asyncio.timeout(20):
            while self.heard(payment) != list(types):  # noqa: ASYNC110 - one line, many merchants
                await asyncio.sleep(0.03)

    async def deliver(self, event: Event, _merchant: Merchant) -> WebhookAnswer:
        waiting = self.answers.get(event.payment_id)
        answer = waiting.pop(0) if waiting else WebhookAnswer(status=200)
        if isinstance(answer, WebhookFailed):
            raise answer
        self.told.setdefault(event.payment_id, []).append(event)
        if isinstance(answer, asyncio.Event):
            await answer.wait()
            return WebhookAnswer(status=200)
        return answer
