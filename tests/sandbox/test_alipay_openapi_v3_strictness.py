"""OpenAPI v3 refuses what the real one refuses, before anything is executed."""

from typing import Any

import pytest

from tests.sandbox.alipay_v3_shop import TILL, AlipayV3Shop, code_of
from tests.sandbox.conftest import shop_of
from tests.sandbox.rig import Rig

VERBS = (
    "pay",
    "precreate",
    "create",
    "query",
    "cancel",
    "close",
    "refund",
    "fastpay.refund.query",
)


@pytest.mark.parametrize("verb", VERBS)
async def test_an_unsigned_request_is_rejected_at_every_verb(
    rig: Rig, v3: AlipayV3Shop, order: dict[str, Any], reference: str, verb: str
) -> None:
    request = v3.request(verb, order | TILL)
    bare = v3.authorization(request).partition(",sign=")[0]
    for header, code in (("", "missing-timestamp"), (bare, "missing-signature")):
        response = await v3.send(request, authorization=header)
        assert code_of(response) == (400, code)
        assert "alipay-signature" not in response.headers
        assert response.headers["alipay-trace-id"] in response.json()["links"][0]["link"]
    assert await rig.look("orders", provider="alipay", reference=reference) == []


@pytest.mark.parametrize(
    ("attribute", "value"),
    [
        ("body", b'{"out_trade_no":"other"}'),
        ("path", "/v3/alipay/trade/query?out_trade_no=other"),
        ("path", "/v3/alipay/trade/cancel"),
    ],
)
async def test_a_request_changed_after_signing_is_rejected_and_notified_what_was_verified(
    v3: AlipayV3Shop, attribute: str, value: Any
) -> None:
    request = v3.request("close", {"out_trade_no": "x"})
    header = v3.authorization(request)
    setattr(request, attribute, value)
    response = await v3.send(request, authorization=header)
    assert code_of(response) == (400, "invalid-signature")
    assert request.body.decode() in v3.opened(response)["message"]


async def test_another_applications_key_is_rejected(v3: AlipayV3Shop, v3_aes: AlipayV3Shop) -> None:
    request = v3.request("query", {"out_trade_no": "x"})
    response = await v3.send(request, authorization=v3_aes.authorization(request))
    assert code_of(response) == (400, "invalid-signature")


async def test_an_authorisation_token_is_signed_and_still_not_genuine(v3: AlipayV3Shop) -> None:
    request = v3.request("query", {"out_trade_no": "x"})
    header = v3.authorization(request)
    request.headers["alipay-app-auth-token"] = "201509BB"
    assert code_of(await v3.send(request, authorization=header)) == (400, "invalid-signature")
    assert code_of(await v3.send(request)) == (401, "invalid-app-auth-token")


@pytest.mark.parametrize(
    ("changes", "code"),
    [
        ({"app_id": "2021999999999999"}, "invalid-app-id"),
        ({"app_id": ""}, "missing-app-id"),
        ({"timestamp": ""}, "missing-timestamp"),
        ({"timestamp": "2026-01-01 00:00:00"}, "invalid-timestamp"),
        ({"nonce": ""}, "invalid-parameter"),
        ({"nonce": "n" * 129}, "invalid-parameter"),
        ({"expired_seconds": "soon"}, "invalid-parameter"),
        ({"app_cert_sn": "0" * 32}, "app-cert-not-exist"),
    ],
)
async def test_a_wrong_part_of_the_authorization_is_named(
    v3: AlipayV3Shop, changes: dict[str, str], code: str
) -> None:
    request = v3.request("query", {"out_trade_no": "x"})
    request.fields |= changes
    assert code_of(await v3.send(request)) == (400, code)


async def test_another_scheme_or_a_repeated_part_is_rejected(v3: AlipayV3Shop) -> None:
    request = v3.request("query", {"out_trade_no": "x"})
    header = v3.authorization(request)
    other = header.replace("SHA256withRSA", "SHA1withRSA")
    assert code_of(await v3.send(request, authorization=other)) == (400, "invalid-signature-type")
    twice = header.replace("app_id=", "app_id=1,app_id=")
    assert code_of(await v3.send(request, authorization=twice)) == (400, "invalid-parameter")


async def test_an_application_of_the_old_signature_has_no_v3(rig: Rig) -> None:
    old = AlipayV3Shop(shop_of(rig, "old"))
    response = await old.send(old.request("query", {"out_trade_no": "x"}))
    assert code_of(response) == (400, "invalid-signature-type")


@pytest.mark.parametrize(
    ("field", "value", "code"),
    [
        ("app_cert_sn", None, "missing-app-cert-sn"),
        ("app_cert_sn", "0" * 32, "app-cert-not-exist"),
        ("root_cert_sn", None, "missing-alipay-root-cert-sn"),
        ("root_cert_sn", "0" * 32, "invalid-alipay-root-cert-sn"),
    ],
)
async def test_a_wrong_serial_number_is_rejected_over_v3(
    v3_cert: AlipayV3Shop, field: str, value: str | None, code: str
) -> None:
    setattr(v3_cert, field, value)
    assert code_of(await v3_cert.send(v3_cert.request("query", {}))) == (400, code)


@pytest.mark.parametrize("extra", [{}, {"expired_seconds": "120"}])
async def test_an_old_request_is_rejected_unless_the_switch_allows_it(
    rig: Rig, v3: AlipayV3Shop, extra: dict[str, str]
) -> None:
    async def sent_late(seconds: int) -> tuple[int, str]:
        request = v3.request("query", {"out_trade_no": "x"})
        moment = int(request.fields["timestamp"]) - seconds * 1000
        request.fields |= {"timestamp": str(moment)} | extra
        return code_of(await v3.send(request))

    limit = 120 if extra else 600
    assert await sent_late(limit - 20) == (400, "ACQ.TRADE_NOT_EXIST")
    assert await sent_late(limit + 20) == (400, "invalid-timestamp")
    assert await sent_late(-limit - 20) == (400, "invalid-timestamp")
    await rig.control("strictness", alipay_v3_timestamp_window=False)
    assert await sent_late(limit + 20) == (400, "ACQ.TRADE_NOT_EXIST")


async def test_a_replay_moves_nothing_unless_the_switch_allows_it(
    rig: Rig, v3: AlipayV3Shop, order: dict[str, Any], reference: str
) -> None:
    await v3.call("pay", order | TILL)
    request = v3.request("refund", {"out_trade_no": reference, "refund_amount": "20.00"})
    header = v3.authorization(request)
    assert (await v3.send(request, authorization=header)).status_code == 200
    assert code_of(await v3.send(request, authorization=header)) == (400, "invalid-parameter")
    await rig.control("strictness", alipay_v3_repeated_nonce=False)
    assert (await v3.send(request, authorization=header)).json()["fund_change"] == "N"
    assert await rig.moved("alipay", reference) == {"capture": [2000], "refund": [2000]}


async def test_the_nonce_of_a_forger_does_not_use_up_the_sellers(v3: AlipayV3Shop) -> None:
    request = v3.request("query", {"out_trade_no": "x"})
    header = v3.authorization(request)
    forged = header[:-8] + "AAAAAAA="
    assert code_of(await v3.send(request, authorization=forged))[1] == "invalid-signature"
    assert code_of(await v3.send(request, authorization=header))[1] == "ACQ.TRADE_NOT_EXIST"


@pytest.mark.parametrize("method", ["GET", "HEAD", "POST", "PUT", "PATCH", "DELETE"])
async def test_an_unknown_path_is_not_found(v3: AlipayV3Shop, method: str) -> None:
    request = v3.request("vanish", {})
    request.method = method
    response = await v3.send(request)
    assert response.status_code == 404
    assert "alipay-trace-id" in response.headers
    if method != "HEAD":
        assert response.json()["code"] == "invalid-method"


@pytest.mark.parametrize("method", ["GET", "PUT", "PATCH", "DELETE"])
async def test_another_http_method_is_rejected_at_every_verb(v3: AlipayV3Shop, method: str) -> None:
    for verb in VERBS:
        request = v3.request(verb, {"out_trade_no": "x"})
        request.method = method
        assert code_of(await v3.send(request)) == (400, "invalid-http-method")


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"{", "illegal-json"),
        (b"[]", "illegal-json"),
        (b"\xff", "illegal-json"),
        (b"", "ACQ.INVALID_PARAMETER"),
        (b'{"notify_url": 7}', "ACQ.INVALID_PARAMETER"),
    ],
)
async def test_a_body_that_is_no_content_is_rejected(
    v3: AlipayV3Shop, body: bytes, code: str
) -> None:
    response = await v3.send(v3.request("query", body))
    assert code_of(response) == (400, code)
    v3.verify(response)


async def test_a_form_is_rejected(v3: AlipayV3Shop) -> None:
    request = v3.request("query", b"out_trade_no=x")
    request.headers["content-type"] = "application/x-www-form-urlencoded"
    assert code_of(await v3.send(request)) == (400, "invalid-content-type")


@pytest.mark.parametrize(
    ("headers", "code"),
    [
        ({"alipay-encrypt-type": "AES"}, "decryption-error-unknown"),
        ({"alipay-encrypt-type": "DES"}, "decryption-error-not-valid-encrypt-type"),
        ({}, "illegal-json"),
    ],
)
async def test_a_body_that_does_not_decrypt_is_rejected(
    v3_aes: AlipayV3Shop, headers: dict[str, str], code: str
) -> None:
    request = v3_aes.request("query", b"bm90aGluZw==")
    kind = "text/plain" if headers else "application/json"
    request.headers |= headers | {"content-type": kind}
    assert code_of(await v3_aes.send(request)) == (400, code)


async def test_encryption_without_a_key_is_rejected(v3: AlipayV3Shop) -> None:
    request = v3.request("query", b"bm90aGluZw==")
    request.headers |= {"alipay-encrypt-type": "AES", "content-type": "text/plain"}
    assert code_of(await v3.send(request)) == (400, "decryption-error-not-valid-encrypt-key")
