from typing import Literal

from domain.errors import PaymentError
from domain.event import Event
from domain.frozen import Frozen
from domain.merchant import Merchant


class WebhookAnswer(Frozen):
    """What the merchant's endpoint said: the HTTP status, and a veto where it sent one."""

    status: int
    decision: Literal["refund"] | None = None
    reason: str | None = None


class WebhookFailed(PaymentError):  # noqa: N818 - the name says what it is
    """The merchant was not told. `gone`: it wants no more (HTTP 410)."""

    code = "webhook_failed"
    retry_after: float | None
    gone: bool
    status: int | None


class WebhookSender:
    """`WebhookSender(http, allow_private, clock)`; `http` is an httpx.AsyncClient."""

    async def deliver(self, event: Event, merchant: Merchant) -> WebhookAnswer:
        """Send once; WebhookFailed where the endpoint did not answer 2xx."""
        raise NotImplementedError
