import json
from collections.abc import Callable
from datetime import datetime

import httpx
import pytest
from standardwebhooks.webhooks import Webhook

from domain.event import Event
from domain.merchant import Merchant
from tests.webhooks.conftest import STORED_SECRETS
from tests.webhooks.endpoint import Endpoint
from webhooks import sender as sender_module
from webhooks.answers import WebhookAnswer
from webhooks.sender import LARGEST_ANSWER, WebhookFailed, WebhookSender, serialise


async def test_the_merchant_gets_the_event_signed(
    sender: WebhookSender, endpoint: Endpoint, event: Event, merchant: Merchant
) -> None:
    answer = await sender.deliver(event, merchant)

    [request] = endpoint.requests
    verified = Webhook(str(merchant.webhook_secret)).verify(request.body, request.headers)
    assert answer == WebhookAnswer(status=204)
    assert request.line == "POST /hooks?shop=1 HTTP/1.1"
    assert request.headers["content-type"] == "application/json"
    assert request.headers["host"] == f"127.0.0.1:{endpoint.port}"
    assert request.headers["webhook-id"] == str(event.id)
    assert verified == {
        "type": "payment.succeeded",
        "timestamp": "2026-11-22T08:00:00.120000Z",
        "data": event.data,
    }


def test_the_body_is_compact_and_keeps_its_order(event: Event) -> None:
    body = serialise(event)

    assert body.startswith('{"type":"payment.succeeded","timestamp":"2026-11-22T08:00:00.120000Z"')
    assert "龙井 – 50 g" in body
    assert json.loads(body)["data"] == event.data


async def test_another_try_sends_the_same_bytes_under_the_same_id(
    sender: WebhookSender, endpoint: Endpoint, event: Event, merchant: Merchant
) -> None:
    endpoint.says("500 Internal Server Error")
    with pytest.raises(WebhookFailed):
        await sender.deliver(event, merchant)
    endpoint.says("200 OK")
    await sender.deliver(event, merchant)

    first, second = endpoint.requests
    assert first.body == second.body
    assert first.headers["webhook-id"] == second.headers["webhook-id"]


async def test_a_veto_reaches_the_caller(
    sender: WebhookSender, endpoint: Endpoint, event: Event, merchant: Merchant
) -> None:
    endpoint.says("200 OK", b'{"decision":"refund","reason":"sold out"}')

    answer = await sender.deliver(event, merchant)

    assert (answer.decision, answer.reason) == ("refund", "sold out")


@pytest.mark.parametrize(
    "status",
    ["400 Bad Request", "404 Not Found", "429 Too Many Requests", "500 Oops", "503 Later"],
)
async def test_anything_but_2xx_is_a_failure_with_its_status(
    sender: WebhookSender, endpoint: Endpoint, event: Event, merchant: Merchant, status: str
) -> None:
    endpoint.says(status, b'{"decision":"refund"}', "Retry-After: 120")

    with pytest.raises(WebhookFailed) as failed:
        await sender.deliver(event, merchant)

    assert (failed.value.status, failed.value.gone) == (int(status[:3]), False)
    assert failed.value.retry_after == 120.0


async def test_gone_is_gone(
    sender: WebhookSender, endpoint: Endpoint, event: Event, merchant: Merchant
) -> None:
    endpoint.says("410 Gone")

    with pytest.raises(WebhookFailed) as failed:
        await sender.deliver(event, merchant)

    assert failed.value.gone


async def test_a_redirect_is_not_followed(
    sender: WebhookSender, endpoint: Endpoint, event: Event, merchant: Merchant
) -> None:
    endpoint.says("307 Temporary Redirect", b"", f"Location: {endpoint.url}/elsewhere")

    with pytest.raises(WebhookFailed, match="not followed") as failed:
        await sender.deliver(event, merchant)

    assert failed.value.status == 307
    assert len(endpoint.requests) == 1


@pytest.mark.parametrize(
    "answer",
    [b"", b"\x00\x01\x02\x03\r\n\r\n", b"HTTP/1.1 200 OK\r\nContent-Length: 10\r\n\r\nhalf"],
)
async def test_a_broken_answer_is_a_failure(
    sender: WebhookSender, endpoint: Endpoint, event: Event, merchant: Merchant, answer: bytes
) -> None:
    endpoint.answer = answer

    with pytest.raises(WebhookFailed) as failed:
        await sender.deliver(event, merchant)

    assert failed.value.status is None


@pytest.mark.parametrize(
    "silence", [None, b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n"]
)
async def test_no_answer_is_a_failure_in_bounded_time(
    sender: WebhookSender,
    endpoint: Endpoint,
    event: Event,
    merchant: Merchant,
    monkeypatch: pytest.MonkeyPatch,
    *,
    silence: bytes | None,
) -> None:
    monkeypatch.setattr(sender_module, "ATTEMPT_SECONDS", 0.2)
    endpoint.answer = silence

    with pytest.raises(WebhookFailed):
        await sender.deliver(event, merchant)


async def test_nobody_listening_is_a_failure(
    sender: WebhookSender, event: Event, merchant: Merchant
) -> None:
    deaf = merchant.model_copy(update={"webhook_url": "http://127.0.0.1:1/"})

    with pytest.raises(WebhookFailed, match="ConnectError"):
        await sender.deliver(event, deaf)


async def test_an_endless_answer_is_cut_and_is_no_veto(
    sender: WebhookSender, endpoint: Endpoint, event: Event, merchant: Merchant
) -> None:
    body = b'{"decision":"refund","reason":"' + b"x" * LARGEST_ANSWER + b'"}'
    endpoint.says("200 OK", body)

    assert await sender.deliver(event, merchant) == WebhookAnswer(status=200)


async def test_a_compressed_answer_is_not_unfolded(
    sender: WebhookSender, endpoint: Endpoint, event: Event, merchant: Merchant
) -> None:
    endpoint.says("200 OK", b"\x1f\x8b\x08\x00", "Content-Encoding: gzip")

    assert await sender.deliver(event, merchant) == WebhookAnswer(status=200)
    assert endpoint.requests[0].headers["accept-encoding"] == "identity"


@pytest.mark.parametrize(
    "change", [{"webhook_secret": None}, {"webhook_secret": "whsec_"}, {"webhook_url": None}]
)
async def test_nothing_is_sent_unsigned_or_to_nowhere(
    sender: WebhookSender,
    endpoint: Endpoint,
    event: Event,
    merchant: Merchant,
    change: dict[str, str | None],
) -> None:
    with pytest.raises(WebhookFailed):
        await sender.deliver(event, merchant.model_copy(update=change))
    assert endpoint.requests == []


async def test_production_does_not_call_this_machine(
    http: httpx.AsyncClient,
    clock: Callable[[], datetime],
    endpoint: Endpoint,
    event: Event,
    merchant: Merchant,
) -> None:
    sender = WebhookSender(http, allow_private=False, stored_secrets=STORED_SECRETS, clock=clock)

    for url in (endpoint.url, endpoint.url.replace("http:", "https:")):
        with pytest.raises(WebhookFailed):
            await sender.deliver(event, merchant.model_copy(update={"webhook_url": url}))
    assert endpoint.requests == []
