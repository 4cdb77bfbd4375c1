from collections.abc import AsyncIterator, Callable
from datetime import UTC, datetime
from uuid import uuid4

import httpx
import pytest

from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from domain.event import Event, EventType
from domain.merchant import Merchant
from tests.webhooks.endpoint import Endpoint, listening
from webhooks.sender import WebhookSender
from webhooks.signing import new_secret
from webhooks.stored_secrets import StoredSecrets
from webhooks.transport import webhook_client

# Merchants of these tests have their secrets in clear, as earlier releases stored them.
STORED_SECRETS = StoredSecrets(Encryption(KeyRing(newest="k1", keys={"k1": bytes(32)})))


@pytest.fixture
async def endpoint() -> AsyncIterator[Endpoint]:
    async with listening() as endpoint:
        yield endpoint


@pytest.fixture
async def http() -> AsyncIterator[httpx.AsyncClient]:
    async with webhook_client() as client:
        yield client


@pytest.fixture
def clock() -> Callable[[], datetime]:
    """The real time: the receiver's check of the timestamp is real too."""
    return lambda: datetime.now(UTC)


@pytest.fixture
def sender(http: httpx.AsyncClient, clock: Callable[[], datetime]) -> WebhookSender:
    """One that may call this machine."""
    return WebhookSender(http, allow_private=True, stored_secrets=STORED_SECRETS, clock=clock)


@pytest.fixture
def merchant(endpoint: Endpoint) -> Merchant:
    return Merchant(
        id="m-1", name="Tea House", webhook_url=endpoint.url, webhook_secret=new_secret()
    )


@pytest.fixture
def event() -> Event:
    payment_id = uuid4()
    return Event(
        id=uuid4(),
        payment_id=payment_id,
        merchant_id="m-1",
        sequence=1,
        type=EventType.PAYMENT_SUCCEEDED,
        data={"id": str(payment_id), "amount": 1999, "subject": "龙井 – 50 g"},
        created_at=datetime(2026, 11, 22, 8, 0, 0, 120_000, tzinfo=UTC),
    )
