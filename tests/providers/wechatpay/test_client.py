import json
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from domain.errors import OutcomeUnknown, ProviderRejected, ProviderUnavailable
from domain.payment import Payment
from domain.refund import Refund
from domain.report import Outcome
from providers.wechatpay.provider import WechatpayProvider
from providers.wechatpay.signing import verify
from tests.providers.wechatpay import wechat as side
from tests.providers.wechatpay.wechat import FakeWechat, Key

CODE_URL = {"code_url": "weixin://wxpay/bizpayurl?pr=1"}


async def test_the_signed_bytes_are_the_sent_bytes(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then(200, CODE_URL)
    await provider.create(payment)
    request = wechat.requests[0]
    scheme, _, rest = request.headers["authorization"].partition(" ")
    values = {
        name: value.strip('"') for name, value in (part.split("=", 1) for part in rest.split(","))
    }
    message = (
        f"POST\n/v3/pay/transactions/native\n{values['timestamp']}\n{values['nonce_str']}\n".encode()
        + request.content
        + b"\n"
    )
    verify(side.rsa_key("merchant").public_key(), values["signature"], message)
    assert scheme == "WECHATPAY2-SHA256-RSA2048"
    assert values["mchid"] == side.MCHID
    assert "一杯咖啡".encode() in request.content


async def test_a_request_carries_the_headers_that_wechat_demands(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then(200, CODE_URL)
    await provider.create(payment)
    headers = wechat.requests[0].headers
    assert headers["accept"] == headers["content-type"] == "application/json"
    assert headers["user-agent"]
    assert headers["wechatpay-serial"] == side.PUBLIC_KEY_ID


async def test_a_certificate_account_asks_for_no_particular_key(
    certificate_provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then(200, CODE_URL)
    await certificate_provider.create(payment)
    assert "wechatpay-serial" not in wechat.requests[0].headers


async def test_two_requests_never_share_a_nonce(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, transaction: dict[str, Any]
) -> None:
    wechat.then(200, transaction)
    wechat.then(200, transaction)
    await provider.query(payment)
    await provider.query(payment)
    first, second = (request.headers["authorization"] for request in wechat.requests)
    assert first != second


def unsigned(response: httpx.Response) -> httpx.Response:
    kept = {
        name: value for name, value in response.headers.items() if not name.startswith("wechatpay")
    }
    return httpx.Response(response.status_code, content=response.content, headers=kept)


def tampered(response: httpx.Response) -> httpx.Response:
    return httpx.Response(
        response.status_code,
        content=response.content.replace(b"1999", b"1"),
        headers=response.headers,
    )


def probing(response: httpx.Response) -> httpx.Response:
    response.headers["wechatpay-signature"] = "WECHATPAY/SIGNTEST/not=base64"
    return response


def foreign(response: httpx.Response) -> httpx.Response:
    response.headers["wechatpay-serial"] = "PUB_KEY_ID_9999"
    return response


@pytest.mark.parametrize("spoil", [unsigned, tampered, probing, foreign])
async def test_a_success_that_is_not_verified_is_an_unknown_outcome(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    spoil: Callable[[httpx.Response], httpx.Response],
) -> None:
    wechat.then(200, transaction)
    genuine = wechat.script.pop()
    wechat.script.append(lambda request: spoil(genuine(request)))
    with pytest.raises(OutcomeUnknown, match="not verified"):
        await provider.query(payment)


async def test_a_replayed_success_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, transaction: dict[str, Any]
) -> None:
    body = json.dumps(transaction).encode()
    wechat.script.append(
        lambda _: httpx.Response(200, content=body, headers=wechat.seal(body, age=301))
    )
    with pytest.raises(OutcomeUnknown, match="stale"):
        await provider.query(payment)


async def test_a_success_signed_by_another_key_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.signer = Key(side.PUBLIC_KEY_ID, side.rsa_key("forger"))
    wechat.then(200, CODE_URL)
    with pytest.raises(OutcomeUnknown, match="not verified"):
        await provider.create(payment)


async def test_a_signed_answer_that_is_not_json_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    body = b'{"trade_state":"SUCC'
    wechat.script.append(lambda _: httpx.Response(200, content=body, headers=wechat.seal(body)))
    with pytest.raises(OutcomeUnknown, match="not as documented"):
        await provider.query(payment)


async def test_an_unsigned_refusal_in_wechats_words_is_believed(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then_unsigned(400, {"code": "PARAM_ERROR", "message": "参数错误"})
    with pytest.raises(ProviderRejected) as caught:
        await provider.create(payment)
    assert caught.value.provider_code == "PARAM_ERROR"
    assert caught.value.provider_message == "参数错误"


async def test_a_refusal_with_a_wrong_signature_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    body = b'{"code":"PARAM_ERROR","message":""}'
    headers = wechat.seal(b"something else")
    wechat.script.append(lambda _: httpx.Response(400, content=body, headers=headers))
    with pytest.raises(OutcomeUnknown, match="400"):
        await provider.create(payment)


@pytest.mark.parametrize("status", [302, 400, 403, 404, 413, 500, 502, 504])
@pytest.mark.parametrize("body", [b"<html>blocked</html>", b"", b'{"code":"A","code":"B"}', b"[]"])
async def test_an_answer_in_somebody_elses_words_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, status: int, body: bytes
) -> None:
    wechat.then_unsigned(status, body)
    with pytest.raises(OutcomeUnknown) as caught:
        await provider.create(payment)
    assert caught.value.provider_code == f"HTTP {status}"


@pytest.mark.parametrize(
    "error",
    [
        httpx.ConnectError("refused"),
        httpx.ConnectTimeout("too slow"),
        httpx.PoolTimeout("too busy"),
    ],
)
async def test_a_call_that_was_never_sent_is_unavailable(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, error: Exception
) -> None:
    wechat.then_raise(error)
    with pytest.raises(ProviderUnavailable):
        await provider.create(payment)


@pytest.mark.parametrize(
    "error",
    [
        httpx.ReadTimeout("too slow"),
        httpx.WriteTimeout("too slow"),
        httpx.ReadError("reset"),
        httpx.WriteError("reset"),
        httpx.RemoteProtocolError("cut off"),
        httpx.DecodingError("bad gzip"),
    ],
)
async def test_a_call_that_was_sent_and_not_answered_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, error: Exception
) -> None:
    wechat.then_raise(error)
    with pytest.raises(OutcomeUnknown):
        await provider.create(payment)


async def test_a_rate_limit_says_when_to_come_back(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then_unsigned(429, {"code": "RATE_LIMITED", "message": ""}, **{"Retry-After": "7"})
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.create(payment)
    assert caught.value.retry_after == 7.0


@pytest.mark.parametrize("text", ["Sun, 22 Nov 2026 08:00:07 GMT", "-1", "soon", "9" * 400])
async def test_a_rate_limit_that_names_no_seconds_names_nothing(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, text: str
) -> None:
    wechat.then_unsigned(429, {"code": "RATE_LIMITED"}, **{"Retry-After": text})
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.create(payment)
    assert caught.value.retry_after is None


async def test_a_throttled_refund_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, refund: Refund
) -> None:
    wechat.then_unsigned(429, {"code": "FREQUENCY_LIMITED", "message": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.refund(refund, payment)


async def test_a_base_url_may_end_with_a_slash(
    build_provider: Callable[..., WechatpayProvider],
    account: dict[str, Any],
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
) -> None:
    wechat.then(200, transaction)
    provider = build_provider(account | {"base_url": "https://api2.mch.weixin.qq.com/"})
    assert (await provider.query(payment)).outcome is Outcome.PAID
    assert str(wechat.requests[0].url) == (
        "https://api2.mch.weixin.qq.com/v3/pay/transactions/out-trade-no/"
        f"{payment.reference}?mchid={side.MCHID}"
    )


async def test_no_secret_and_no_payer_reaches_the_log_or_an_error(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    caplog: pytest.LogCaptureFixture,
) -> None:
    caplog.set_level("DEBUG")
    wechat.then_unsigned(500, b'{"code":"SYSTEM_ERROR","payer":"oUpF8uMuAJO"}')
    with pytest.raises(OutcomeUnknown) as caught:
        await provider.create(payment)
    spoken = caplog.text + str(caught.value) + repr(provider) + repr(vars(provider))
    for secret in (side.API_V3_KEY, "PRIVATE KEY", "oUpF8uMuAJO", "signature="):
        assert secret not in spoken
