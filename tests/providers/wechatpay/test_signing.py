import base64
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from providers.wechatpay.signing import (
    BadSignature,
    MerchantAuth,
    MerchantSigner,
    SignatureHeaders,
    certificate_serial,
    load_private_key,
    sign,
    verify,
)
from tests.providers.wechatpay import wechat as side
from tests.providers.wechatpay.wechat import FakeWechat, TurnableClock

Vectors = dict[str, dict[str, Any]]
URL = "https://api.mch.weixin.qq.com"


def key_of(certificate_pem: str) -> RSAPublicKey:
    key = x509.load_pem_x509_certificate(certificate_pem.encode()).public_key()
    assert isinstance(key, RSAPublicKey)
    return key


@pytest.fixture
def signer() -> MerchantSigner:
    return MerchantSigner(
        mchid=side.MCHID, serial=side.MERCHANT_SERIAL, private_key=side.rsa_key("merchant")
    )


def test_a_published_signature_is_reproduced(vectors: Vectors) -> None:
    vector = vectors["go-signer"]
    key = load_private_key(vector["private_key_pem"])
    assert sign(key, vector["message"].encode()) == vector["sign"]


def test_a_published_signature_verifies_with_its_certificate(vectors: Vectors) -> None:
    vector = vectors["go-verifier-cert"]
    verify(key_of(vector["cert_pem"]), vector["sign"], vector["message"].encode())


@pytest.mark.parametrize("vector_id", ["go-verifier-cert", "go-cert-serial"])
def test_a_serial_is_written_byte_by_byte_with_its_leading_zero(
    vectors: Vectors, vector_id: str
) -> None:
    vector = vectors[vector_id]
    certificate = x509.load_pem_x509_certificate(vector["cert_pem"].encode())
    assert certificate_serial(certificate) == vector["serial"]


def test_a_published_authorization_header_is_reproduced(vectors: Vectors) -> None:
    vector = vectors["yansongda-auth"]
    method, path, timestamp, nonce, body = vector["message"].removesuffix("\n").split("\n")
    signer = MerchantSigner(
        mchid="1600314069",
        serial="25F8AA5452D55497C24BA57DC81B1E5915DC2E77",
        private_key=load_private_key(vector["private_key_pem"]),
    )
    request = httpx.Request(method, URL + path, content=body.encode())
    header = signer.authorization(request, timestamp=int(timestamp), nonce=nonce)
    assert header == vector["authorization"]


@pytest.mark.parametrize("vector_id", ["yansongda-response", "yansongda-notify"])
def test_a_published_message_verifies_only_byte_for_byte(vectors: Vectors, vector_id: str) -> None:
    vector = vectors[vector_id]
    key, body = key_of(vector["cert_pem"]), vector["body"].encode()
    signed = SignatureHeaders.read(httpx.Headers(vector["headers"]))
    signed.check(key, body)
    for other in (
        body + b" ",
        body.replace(b"prepay_id", b"prepay_ie"),
        body.replace(b"\\/", b"/"),
    ):
        if other != body:
            with pytest.raises(BadSignature):
                signed.check(key, other)


def test_path_and_query_are_signed_exactly_as_they_are_sent(
    signer: MerchantSigner, clock: TurnableClock
) -> None:
    request = httpx.Request("GET", URL + "/v3/x/%E5%8D%95%2F1?mchid=19&a=b%20c", content=b"")
    signed = next(MerchantAuth(signer, clock).auth_flow(request))
    fields = dict(
        part.split("=", 1) for part in signed.headers["Authorization"].split(" ", 1)[1].split(",")
    )
    values = {name: value.strip('"') for name, value in fields.items()}
    message = (
        f"GET\n/v3/x/%E5%8D%95%2F1?mchid=19&a=b%20c\n{values['timestamp']}\n"
        f"{values['nonce_str']}\n\n"
    )
    verify(side.rsa_key("merchant").public_key(), values["signature"], message.encode())
    assert values["timestamp"] == str(int(clock.now.timestamp()))
    assert values["serial_no"] == side.MERCHANT_SERIAL
    assert len(values["nonce_str"]) == 32


@pytest.mark.parametrize(
    "signature",
    [
        "",
        "WECHATPAY/SIGNTEST/dGVzdA",
        "WECHATPAY/SIGNTEST/" + "A" * 325,
        "not base64 at all!",
        base64.b64encode(b"x" * 256).decode(),
        "A",
    ],
)
def test_a_wrong_or_undecodable_signature_is_a_bad_signature_and_no_crash(signature: str) -> None:
    with pytest.raises(BadSignature):
        verify(side.rsa_key("public").public_key(), signature, b"message")


def test_a_probe_is_called_a_probe() -> None:
    with pytest.raises(BadSignature, match="probe"):
        verify(side.rsa_key("public").public_key(), "WECHATPAY/SIGNTEST/AAAA", b"message")


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("wechatpay-timestamp", ""),
        ("wechatpay-timestamp", "yesterday"),
        ("wechatpay-timestamp", "-1795334400"),
        ("wechatpay-timestamp", "１７９５３３４４００"),
        ("wechatpay-timestamp", "9" * 400),
        ("wechatpay-nonce", ""),
        ("wechatpay-nonce", "a\nb"),
        ("wechatpay-nonce", "x" * 129),
        ("wechatpay-serial", ""),
        ("wechatpay-serial", "0A\n"),
        ("wechatpay-signature", "签名"),
        ("wechatpay-signature-type", "WECHATPAY2-SM2-WITH-SM3"),
    ],
)
def test_malformed_signature_headers_are_a_bad_signature(
    wechat: FakeWechat, name: str, value: str
) -> None:
    with pytest.raises(BadSignature):
        SignatureHeaders.read(wechat.seal(b"{}") | {name: value})


def test_the_signature_type_may_be_missing(wechat: FakeWechat) -> None:
    headers = wechat.seal(b"{}")
    del headers["wechatpay-signature-type"]
    SignatureHeaders.read(headers).check(wechat.signer.private.public_key(), b"{}")


@pytest.mark.parametrize("age", [0, 299, -299])
def test_a_message_is_fresh_for_less_than_300_seconds(
    wechat: FakeWechat, clock: TurnableClock, age: float
) -> None:
    SignatureHeaders.read(wechat.seal(b"{}", age=age)).check_fresh(clock.now)


@pytest.mark.parametrize("age", [300, -300, 86_400])
def test_a_message_from_further_away_is_stale(
    wechat: FakeWechat, clock: TurnableClock, age: float
) -> None:
    with pytest.raises(BadSignature, match="stale"):
        SignatureHeaders.read(wechat.seal(b"{}", age=age)).check_fresh(clock.now)
