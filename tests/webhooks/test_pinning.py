import ssl
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives import hashes, serialization
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.x509.oid import NameOID

from domain.event import Event
from domain.merchant import Merchant
from tests.webhooks.conftest import STORED_SECRETS
from tests.webhooks.endpoint import Endpoint, listening
from webhooks.sender import WebhookFailed, WebhookSender
from webhooks.transport import webhook_client

HOST = "hooks.tea.example"


@pytest.fixture
def certificate(tmp_path: Path) -> Path:
    """A key and a self-signed certificate for HOST, in one file."""
    key = ec.generate_private_key(ec.SECP256R1())
    name = x509.Name([x509.NameAttribute(NameOID.COMMON_NAME, HOST)])
    now = datetime.now(UTC)
    made = (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now - timedelta(hours=1))
        .not_valid_after(now + timedelta(hours=1))
        .add_extension(x509.SubjectAlternativeName([x509.DNSName(HOST)]), critical=False)
        .add_extension(x509.BasicConstraints(ca=True, path_length=None), critical=True)
        .sign(key, hashes.SHA256())
    )
    path = tmp_path / "hooks.pem"
    path.write_bytes(
        key.private_bytes(
            serialization.Encoding.PEM,
            serialization.PrivateFormat.PKCS8,
            serialization.NoEncryption(),
        )
        + made.public_bytes(serialization.Encoding.PEM)
    )
    return path


@pytest.fixture
def tls(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


async def here(host: str, port: int) -> list[str]:
    return ["127.0.0.1"]


@pytest.mark.parametrize(("host", "trusted"), [(HOST, True), ("other.example", False)])
async def test_the_certificate_is_held_against_the_name_not_the_address(
    certificate: Path,
    tls: ssl.SSLContext,
    clock: Callable[[], datetime],
    event: Event,
    merchant: Merchant,
    *,
    host: str,
    trusted: bool,
) -> None:
    verify = ssl.create_default_context(cafile=str(certificate))
    async with (
        listening(tls) as endpoint,
        webhook_client(verify=verify) as http,
    ):
        sender = WebhookSender(
            http, allow_private=True, stored_secrets=STORED_SECRETS, clock=clock, resolver=here
        )
        shop = merchant.model_copy(update={"webhook_url": f"https://{host}:{endpoint.port}/"})
        if trusted:
            await sender.deliver(event, shop)
            assert endpoint.requests[0].headers["host"] == f"{HOST}:{endpoint.port}"
        else:
            with pytest.raises(WebhookFailed):
                await sender.deliver(event, shop)
            assert endpoint.requests == []


async def test_a_name_that_changes_its_answer_is_resolved_once_and_called_where_checked(
    clock: Callable[[], datetime], event: Event, merchant: Merchant
) -> None:
    answers = [["93.184.216.34"], ["127.0.0.1"]]
    called: list[httpx.Request] = []

    async def rebinding(host: str, port: int) -> list[str]:
        return answers.pop(0)

    def handle(request: httpx.Request) -> httpx.Response:
        called.append(request)
        return httpx.Response(200, stream=httpx.ByteStream(b""))

    async with httpx.AsyncClient(transport=httpx.MockTransport(handle)) as http:
        sender = WebhookSender(
            http,
            allow_private=False,
            stored_secrets=STORED_SECRETS,
            clock=clock,
            resolver=rebinding,
        )
        await sender.deliver(
            event, merchant.model_copy(update={"webhook_url": f"https://{HOST}/hooks"})
        )

    assert len(answers) == 1
    assert called[0].url.host == "93.184.216.34"
    assert called[0].headers["host"] == HOST
    assert called[0].extensions["sni_hostname"] == HOST


async def test_a_dead_first_address_does_not_hide_a_living_one(
    http: httpx.AsyncClient,
    clock: Callable[[], datetime],
    endpoint: Endpoint,
    event: Event,
    merchant: Merchant,
) -> None:
    async def two(host: str, port: int) -> list[str]:
        return ["127.0.0.2", "127.0.0.1"]

    sender = WebhookSender(
        http, allow_private=True, stored_secrets=STORED_SECRETS, clock=clock, resolver=two
    )

    assert (await sender.deliver(event, merchant)).status == 204
    assert len(endpoint.requests) == 1


async def test_no_connection_or_cookie_is_kept_for_another_merchant_at_the_same_address(
    http: httpx.AsyncClient,
    clock: Callable[[], datetime],
    endpoint: Endpoint,
    event: Event,
    merchant: Merchant,
) -> None:
    endpoint.says("200 OK", b"", "Set-Cookie: session=1; Path=/")
    sender = WebhookSender(
        http, allow_private=True, stored_secrets=STORED_SECRETS, clock=clock, resolver=here
    )

    for name in ("one.example", "two.example"):
        url = f"http://{name}:{endpoint.port}/"
        await sender.deliver(event, merchant.model_copy(update={"webhook_url": url}))

    assert [request.headers["connection"] for request in endpoint.requests] == ["close"] * 2
    assert not any("cookie" in request.headers for request in endpoint.requests)
