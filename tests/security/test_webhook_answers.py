"""An endpoint that answers without end, or in crumbs, never holds up the webhooks of others."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from uuid import uuid4

import pytest

from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from domain.event import Event, EventType
from domain.merchant import Merchant
from webhooks.answers import WebhookAnswer
from webhooks.sender import ATTEMPT_SECONDS, WebhookFailed, WebhookSender
from webhooks.signing import new_secret
from webhooks.stored_secrets import StoredSecrets
from webhooks.transport import MOST_BYTES, webhook_client

INTERIM = b"HTTP/1.1 103 E\r\n\r\n"
CHUNKED = b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"
# Much less than an attempt may take: it was ended by what was sent, not by the clock.
SOON = ATTEMPT_SECONDS / 2
SECRETS = StoredSecrets(Encryption(KeyRing(newest="k1", keys={"k1": bytes(32)})))


@asynccontextmanager
async def endpoint(first: bytes, again: bytes) -> AsyncIterator[str]:
    """Answers every request with `first`, then with `again` for as long as it is read."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(first)
        try:
            while again:
                writer.write(again * 1000)
                await writer.drain()
            await reader.read()
        except ConnectionError:
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with server:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}/"


async def deliver(url: str) -> WebhookAnswer:
    event = Event(
        id=uuid4(),
        payment_id=uuid4(),
        merchant_id="m-1",
        sequence=1,
        type=EventType.PAYMENT_SUCCEEDED,
        data={},
        created_at=datetime.now(UTC),
    )
    merchant = Merchant(id="m-1", name="m-1", webhook_url=url, webhook_secret=new_secret())
    async with webhook_client() as http, asyncio.timeout(SOON):
        sender = WebhookSender(
            http, allow_private=True, stored_secrets=SECRETS, clock=lambda: datetime.now(UTC)
        )
        return await sender.deliver(event, merchant)


@pytest.mark.parametrize(
    ("first", "again"),
    [
        (b"", INTERIM),
        (b"HTTP/1.1 200 OK\r\n", b"X-Again: and again\r\n"),
        (b"", b"A"),
    ],
    ids=["interim answers", "headers", "no answer at all"],
)
async def test_an_answer_without_end_never_lasts_as_long_as_an_attempt_may(
    first: bytes, again: bytes
) -> None:
    async with endpoint(first, again) as url:
        with pytest.raises(WebhookFailed):
            await deliver(url)


async def test_an_answer_in_crumbs_is_not_read_to_its_end() -> None:
    async with endpoint(CHUNKED, b"1\r\nA\r\n") as url:
        answer = await deliver(url)

    assert answer == WebhookAnswer(status=200)


async def test_a_large_page_as_an_answer_is_still_a_delivery() -> None:
    page = b"<html>" + b"x" * (2 * MOST_BYTES)
    head = f"HTTP/1.1 200 OK\r\nContent-Length: {len(page)}\r\n\r\n".encode()
    async with endpoint(head + page, b"") as url:
        answer = await deliver(url)

    assert answer == WebhookAnswer(status=200)
