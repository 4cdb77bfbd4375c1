"""The move from one certificate to the next, and on to the public key, while payments go on."""

import json
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import httpx
import pytest

from domain.payment import Channel, Payment
from domain.report import Outcome
from providers.wechatpay.provider import WechatpayProvider, build
from sandbox.app import create_app
from tests.providers.harness import account_of

ORIGIN = "http://sandbox.test"


@dataclass
class Town:
    """A sandbox of its own: rotation cannot be undone. `inbox` holds what it sent to us."""

    http: httpx.AsyncClient
    folder: Path
    inbox: list[httpx.Request]

    def provider(self, mode: str) -> WechatpayProvider:
        """The account as the manifest has it now."""
        manifest = json.loads((self.folder / "sandbox.json").read_text())
        account = account_of(manifest, "wechatpay", mode)
        return build(
            account,
            http=self.http,
            clock=lambda: datetime.now(UTC),
            notify_url="http://paysaga.test/notify/wechatpay/cert",
        )

    async def rotate(self, mode: str) -> None:
        await self.control("/keys/rotate", mode=mode)

    async def control(self, path: str, **content: Any) -> None:
        answer = await self.http.post(
            f"{ORIGIN}/_sandbox{path}", json={"provider": "wechatpay"} | content
        )
        answer.raise_for_status()


@pytest.fixture
async def town(tmp_path: Path) -> AsyncIterator[Town]:
    inbox: list[httpx.Request] = []

    def receive(request: httpx.Request) -> httpx.Response:
        inbox.append(request)
        return httpx.Response(503)

    app = create_app(tmp_path, ORIGIN, transport=httpx.MockTransport(receive))
    transport = httpx.ASGITransport(app=app)
    async with (
        app.router.lifespan_context(app),
        httpx.AsyncClient(transport=transport) as http,
    ):
        yield Town(http, tmp_path, inbox)


@pytest.fixture
def new_payment(make_payment: Callable[..., Payment]) -> Callable[[], Payment]:
    now = datetime.now(UTC)
    return lambda: make_payment(
        Channel.QR, id=uuid4(), created_at=now, expires_at=now.replace(year=now.year + 1)
    )


async def test_payments_go_on_while_two_certificates_take_turns(
    town: Town, new_payment: Callable[[], Payment]
) -> None:
    provider = town.provider("cert")
    await provider.create(new_payment())
    await town.rotate("overlap")
    for _ in range(4):
        payment = new_payment()
        await provider.create(payment)
        assert (await provider.query(payment)).outcome is Outcome.PENDING
        assert (await provider.close(payment)).outcome is Outcome.CLOSED
    await town.rotate("finish")
    assert (await provider.query(payment)).outcome is Outcome.CLOSED


async def test_notifications_verify_under_certificates_and_public_key_in_turn(
    town: Town, new_payment: Callable[[], Payment]
) -> None:
    await town.rotate("overlap")
    await town.rotate("public_key")
    provider = town.provider("cert")
    payment = new_payment()
    await provider.create(payment)
    await town.control("/pay", reference=payment.reference, notify=False)
    serials = set()
    for _ in range(6):
        await town.control("/notify", reference=payment.reference)
        request = town.inbox[-1]
        serials.add(request.headers["wechatpay-serial"])
        found = await provider.parse_notification(dict(request.headers), request.content)
        assert found.payment is not None
        assert found.payment.outcome is Outcome.PAID
    assert len(serials) == 3


async def test_an_account_that_has_moved_to_the_public_key_needs_no_certificate(
    town: Town, new_payment: Callable[[], Payment]
) -> None:
    await town.rotate("public_key")
    provider = town.provider("cert")
    await town.rotate("finish")
    payment = new_payment()
    await provider.create(payment)
    assert (await provider.query(payment)).outcome is Outcome.PENDING
