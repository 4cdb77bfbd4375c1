"""Both sides of the wire against data that others have published."""

import json
import time
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from sandbox.incoming import Incoming
from sandbox.wechatpay import signing
from sandbox.wechatpay.authorization import parse, signed_content
from sandbox.wechatpay.certificates import load_key, serial_text
from tests.sandbox.wechatpay.shop import WechatpayShop

VECTORS = Path(__file__).parents[4] / "shared" / "vectors"


def _vector(name: str) -> dict[str, Any]:
    file = VECTORS / "wechat_v3.json"
    if not file.exists():
        pytest.skip("the published vectors are not here")
    entries: list[dict[str, Any]] = json.loads(file.read_text())
    return next(entry for entry in entries if entry["id"] == name)


def test_a_published_authorization_verifies_over_its_published_request() -> None:
    vector = _vector("yansongda-auth")
    certificate = x509.load_pem_x509_certificate((VECTORS / vector["mch_cert_file"]).read_bytes())
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    method, target, _, _, body, _ = vector["message"].split("\n")
    request = Incoming(method=method, target=target.encode(), headers={}, body=body.encode())
    credentials = parse(vector["authorization"])
    content = signed_content(request, credentials)
    assert content == vector["message"].encode()
    assert signing.is_signed(key, content, credentials.signature)
    assert not signing.is_signed(key, content + b" ", credentials.signature)


def test_published_serials_are_whole_bytes() -> None:
    for name in ("go-cert-serial", "go-verifier-cert"):
        vector = _vector(name)
        pem = (VECTORS / vector["cert_file"]).read_bytes()
        assert serial_text(x509.load_pem_x509_certificate(pem)) == vector["serial"]


def test_a_published_signature_is_reproduced() -> None:
    vector = _vector("go-signer")
    key = load_key((VECTORS / vector["private_key_file"]).read_bytes())
    assert signing.sign(key, vector["message"].encode()) == vector["sign"]


def test_the_merchant_of_these_tests_believes_a_published_answer() -> None:
    vector = _vector("yansongda-response")
    headers, body = vector["headers"], vector["body"].encode()
    shop = WechatpayShop(httpx.AsyncClient(), "", {})
    shop.ahead = int(headers["Wechatpay-Timestamp"]) - time.time()
    pem = (VECTORS / vector["cert_file"]).read_bytes()
    shop.trust_certificate(headers["Wechatpay-Serial"], pem)
    assert shop.is_genuine(headers, body)
    assert not shop.is_genuine(headers, body + b" ")


def test_the_merchant_of_these_tests_opens_a_published_certificate() -> None:
    vector = _vector("yansongda-platform-cert")
    shop = WechatpayShop(httpx.AsyncClient(), "", {"api_v3_key": vector["key"]})
    resource = {
        "algorithm": "AEAD_AES_256_GCM",
        "nonce": vector["nonce"],
        "associated_data": vector["aad"],
        "ciphertext": vector["ciphertext_b64"],
    }
    assert shop.unseal(resource).startswith(b"-----BEGIN CERTIFICATE-----")
