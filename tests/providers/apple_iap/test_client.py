import base64
import json
from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any

import httpx
import pytest
import pytest_asyncio
from cryptography.hazmat.primitives.asymmetric.ec import ECDSA
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256

from domain.errors import OutcomeUnknown, ProviderError, ProviderRejected, ProviderUnavailable
from providers.apple_iap.client import AppleClient, Request, get
from providers.apple_iap.config import AppleIapConfig
from providers.apple_iap.provider import AppleIapProvider
from tests.providers.apple_iap.appstore import NOW, SANDBOX, FakeAppStore, Keys, ms


async def ask(provider: AppleIapProvider) -> Any:
    return await provider.ask_purchase("2000000000000001")


async def test_every_call_executes_a_fresh_token_of_ours(
    provider: AppleIapProvider, store: FakeAppStore, keys: Keys, account: dict[str, Any]
) -> None:
    answer = {"signedTransactionInfo": store.transaction()}
    store.then(answer, answer)
    await ask(provider)
    store.now += timedelta(minutes=10)
    await ask(provider)
    for call, moment in zip(store.calls, (NOW, NOW + timedelta(minutes=10)), strict=True):
        scheme, token = call.headers["authorization"].split(" ")
        signed, _, signature = token.rpartition(".")
        header, claims = (
            json.loads(base64.urlsafe_b64decode(part + "==")) for part in signed.split(".")
        )
        assert scheme == "Bearer"
        assert header == {"alg": "ES256", "kid": account["key_id"], "typ": "JWT"}
        assert claims == {
            "iss": account["issuer_id"],
            "iat": ms(moment) // 1000,
            "exp": ms(moment) // 1000 + 300,
            "aud": "appstoreconnect-v1",
            "bid": account["bundle_id"],
        }
        raw = base64.urlsafe_b64decode(signature + "==")
        der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
        keys.api.public_key().verify(der, signed.encode(), ECDSA(SHA256()))


async def test_an_id_cannot_lead_to_another_address(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    store.then_error(400, 4000006)
    with pytest.raises(ProviderRejected):
        await provider.ask_purchase("../../v2/history/1?x=y#z")
    path = "/inApps/v1/transactions/..%2F..%2Fv2%2Fhistory%2F1%3Fx%3Dy%23z"
    assert str(store.calls[0].url) == SANDBOX + path


@pytest.mark.parametrize(
    ("status", "code", "expected"),
    [
        (404, 4040010, ProviderRejected),
        (400, 4000006, ProviderRejected),
        (400, 4999999, ProviderRejected),
        (404, 4040002, ProviderUnavailable),
        (404, 4040004, ProviderUnavailable),
        (404, 4040006, ProviderUnavailable),
        (429, 4290000, ProviderUnavailable),
        (429, None, ProviderUnavailable),
        (401, None, ProviderUnavailable),
        (500, 5000000, OutcomeUnknown),
        (500, 5000001, OutcomeUnknown),
        (500, 5999999, OutcomeUnknown),
        (400, None, OutcomeUnknown),
        (404, None, OutcomeUnknown),
        (302, None, OutcomeUnknown),
        (503, None, OutcomeUnknown),
    ],
)
async def test_every_rejection_is_one_of_three_outcomes(
    provider: AppleIapProvider,
    store: FakeAppStore,
    status: int,
    code: int | None,
    expected: type[ProviderError],
) -> None:
    store.then_error(status, code)
    with pytest.raises(expected) as caught:
        await ask(provider)
    assert type(caught.value) is expected
    assert caught.value.provider_code == (str(code) if code else f"HTTP {status}")


@pytest.mark.parametrize(
    "content", [b"<html>", b"[]", b"\xff", b'{"errorCode":"4040010"}', b'{"errorCode":null}']
)
async def test_a_proxys_own_rejection_is_nobodys_report(
    provider: AppleIapProvider, store: FakeAppStore, content: bytes
) -> None:
    store.then_raw(content, 404)
    with pytest.raises(OutcomeUnknown):
        await ask(provider)


@pytest.mark.parametrize("content", [b"<html>", b"[]", b"{", b"", b"{}", b"null"])
async def test_a_success_that_says_nothing_is_an_unknown_outcome(
    provider: AppleIapProvider, store: FakeAppStore, content: bytes
) -> None:
    store.then_raw(content)
    with pytest.raises(OutcomeUnknown):
        await ask(provider)


@pytest.mark.parametrize(
    ("header", "seconds"),
    [
        (str(ms(NOW + timedelta(seconds=90))), 90),
        (str(ms(NOW - timedelta(seconds=90))), 1),
        (str(ms(NOW + timedelta(days=90))), 3600),
        ("30", 1),
        ("soon", None),
        ("", None),
        ("9" * 20, None),
        ("9" * 5000, None),
    ],
)
async def test_retry_after_is_a_moment_in_milliseconds(
    provider: AppleIapProvider, store: FakeAppStore, header: str, seconds: float | None
) -> None:
    store.then_error(429, 4290000, **{"retry-after": header})
    with pytest.raises(ProviderUnavailable) as caught:
        await ask(provider)
    assert caught.value.retry_after == seconds


@pytest.mark.parametrize(
    ("error", "expected"),
    [
        (httpx.ConnectError("refused"), ProviderUnavailable),
        (httpx.ConnectTimeout("slow"), ProviderUnavailable),
        (httpx.PoolTimeout("busy"), ProviderUnavailable),
        (httpx.ReadTimeout("slow"), OutcomeUnknown),
        (httpx.RemoteProtocolError("?"), OutcomeUnknown),
    ],
)
async def test_a_line_that_breaks_says_whether_anything_was_sent(
    provider: AppleIapProvider,
    store: FakeAppStore,
    error: httpx.HTTPError,
    expected: type[ProviderError],
) -> None:
    def broken(_: httpx.Request) -> httpx.Response:
        raise error

    store.then(broken)
    with pytest.raises(expected):
        await ask(provider)


@pytest_asyncio.fixture
async def offline() -> AsyncIterator[httpx.AsyncClient]:
    async with httpx.AsyncClient() as http:
        yield http


def test_a_path_may_be_queried_with_parameters(
    offline: httpx.AsyncClient, account: dict[str, Any]
) -> None:
    client = AppleClient(AppleIapConfig.model_validate(account), offline, lambda: NOW)
    assert [host.base_url for host in client.hosts] == [SANDBOX]
    assert get("/a/{}", "1/2", revision="x") == Request("GET", "/a/1%2F2", params={"revision": "x"})
