"""Both sides of the wire against data that others have published."""

import base64
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import pkcs12

from sandbox.unionpay import signing
from sandbox.unionpay.certificates import wire_text
from sandbox.unionpay.envelope import read_form
from sandbox.unionpay.keys import Signer
from tests.sandbox.unionpay.shop import UnionpayShop, canonical, keyed, parse_raw

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "unionpay"
FORM = "application/x-www-form-urlencoded"


@pytest.fixture(autouse=True)
def published() -> None:
    if not VECTORS.exists():
        pytest.skip("the published vectors are not here")


def vector(name: str) -> dict[str, Any]:
    entries: list[dict[str, Any]] = json.loads((VECTORS / "sign_vectors.json").read_text())[
        "vectors"
    ]
    return next(entry for entry in entries if entry["name"] == name)


def response(name: str) -> bytes:
    return (VECTORS / "responses" / name).read_bytes()


def reader() -> UnionpayShop:
    """A merchant in the test environment, in a year when its certificates were alive."""
    files = {
        "middle_certificate_file": str(VECTORS / "acp_test_middle.cer"),
        "root_certificate_file": str(VECTORS / "acp_test_root.cer"),
    }
    return UnionpayShop(httpx.AsyncClient(), "", files, datetime(2024, 1, 6, tzinfo=UTC))


@pytest.mark.parametrize("name", ["hmacless_sha256_11_emptykey", "sm3_12_emptykey"])
def test_published_keyed_digests_are_reproduced_by_both_sides(name: str) -> None:
    known = vector(name)
    fields, method = known["fields"], known["signMethod"]
    assert signing.canonical(fields) == canonical(fields) == known["canonical"]
    assert signing.keyed_digest(method, "", fields, "utf-8") == known["signature"]
    assert keyed(method, "", fields) == known["signature"]


def test_the_published_rsa_request_hashes_to_the_published_digest() -> None:
    known = vector("rsa_sha256_v510")
    assert signing.canonical(known["fields"]) == known["canonical"]


@pytest.mark.parametrize(
    "name", ["yansongda_testQuery_sync.body", "yansongda_testRefund_sync.body"]
)
def test_a_captured_answer_verifies_with_both_sides(name: str) -> None:
    fields = parse_raw(response(name).decode())
    assert reader().is_genuine(fields)
    certificate = x509.load_pem_x509_certificate(fields["signPubKeyCert"].encode())
    assert wire_text(certificate) == fields["signPubKeyCert"]
    key = certificate.public_key()
    assert isinstance(key, RSAPublicKey)
    assert signing.is_signed(key, fields, "utf-8")
    assert not signing.is_signed(key, fields | {"txnAmt": "2"}, "utf-8")


def test_a_captured_notification_verifies_with_both_sides() -> None:
    body = response("yansongda_callback_notify.form")
    fields = read_form(body.strip(), FORM)
    assert reader().read_form(body.strip()) == fields
    assert reader().is_genuine(fields)


@pytest.mark.parametrize(
    "name", ["yansongda_testQuery_request.form", "yansongda_testWebPay_request.form"]
)
def test_captured_requests_are_readable_forms(name: str) -> None:
    fields = read_form(response(name).strip(), FORM)
    assert fields["version"] == "5.1.0"
    assert len(base64.b64decode(fields["signature"], validate=True)) == 256


def test_the_official_test_pfx_signs_what_its_certificate_verifies() -> None:
    pfx = (VECTORS / "acp_test_sign.2021.pfx").read_bytes()
    key, certificate, _ = pkcs12.load_key_and_certificates(pfx, b"000000")
    assert isinstance(key, RSAPrivateKey)
    assert certificate is not None
    signer = Signer(wire_text(certificate), key)
    fields = vector("rsa_sha256_v510")["fields"]
    signed = fields | {"signature": signing.sign(signer.key, fields, "utf-8")}
    assert signing.is_signed(key.public_key(), signed, "utf-8")
