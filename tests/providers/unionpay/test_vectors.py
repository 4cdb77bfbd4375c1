"""What others published of the real UnionPay: signatures, answers, a notification."""

import json
from datetime import UTC, datetime
from pathlib import Path
from urllib.parse import parse_qsl

import pytest
from cryptography.hazmat.primitives.hashes import SM3, Hash

from providers.unionpay import signing, wire
from providers.unionpay.certificates import Trust, UntrustedCertificate, load_pfx

IN_TIME = datetime(2024, 1, 5, 7, 0, tzinfo=UTC)


@pytest.fixture
def trust(vectors: Path) -> Trust:
    root = (vectors / "acp_test_root.cer").read_text()
    middle = (vectors / "acp_test_middle.cer").read_text()
    return Trust(root, middle, accepts_test_name=False)


def test_the_official_test_pfx_signs_the_published_requests(vectors: Path) -> None:
    key, cert_id = load_pfx((vectors / "acp_test_sign.2021.pfx").read_bytes(), "000000")
    requests = sorted((vectors / "responses").glob("*_request.form"))
    assert requests
    for file in requests:
        fields = dict(parse_qsl(file.read_text().strip()))
        assert fields["certId"] == cert_id
        assert signing.sign(key, fields) == fields["signature"]


def test_canonical_texts_and_keyed_digests_are_the_published_ones(vectors: Path) -> None:
    published = json.loads((vectors / "sign_vectors.json").read_text())
    keyed = 0
    for vector in published["vectors"]:
        assert signing.canonical(vector["fields"]).decode() == vector["canonical"]
        if "secureKey" in vector:
            keyed += 1
            method, key = vector["signMethod"], vector["secureKey"]
            assert signing.keyed_digest(method, key, vector["fields"]) == vector["signature"]
            signed = vector["fields"] | {"signature": vector["signature"]}
            assert signing.is_keyed_digest(method, key, signed)
            assert not signing.is_keyed_digest(method, key, signed | {"merId": "1"})
    assert keyed == 2
    digest = Hash(SM3())
    digest.update(b"abc")
    assert digest.finalize().hex() == published["sm3_abc"]


@pytest.mark.parametrize("name", ["yansongda_testQuery_sync", "yansongda_testRefund_sync"])
def test_a_published_answer_is_read_and_verified(vectors: Path, trust: Trust, name: str) -> None:
    fields = wire.parse_answer((vectors / "responses" / f"{name}.body").read_bytes())
    assert "\r\n" in fields["signPubKeyCert"]
    assert signing.is_signed(trust.public_key(fields["signPubKeyCert"], IN_TIME), fields)
    for changed in (
        {"txnAmt": "2"},
        {"signPubKeyCert": fields["signPubKeyCert"].replace("\r\n", "\n")},
    ):
        key = trust.public_key(fields["signPubKeyCert"], IN_TIME)
        assert not signing.is_signed(key, fields | changed)


def test_a_published_notification_is_read_and_verified(vectors: Path, trust: Trust) -> None:
    body = (vectors / "responses" / "yansongda_callback_notify.form").read_bytes().strip()
    fields = wire.parse_form(body)
    key = trust.public_key(fields["signPubKeyCert"], datetime(2022, 9, 8, 6, tzinfo=UTC))
    assert signing.is_signed(key, fields)
    assert fields["queryId"] == "782209081322060674028"


def test_the_published_certificate_is_worthless_after_its_end(vectors: Path, trust: Trust) -> None:
    fields = wire.parse_answer(
        (vectors / "responses" / "yansongda_testQuery_sync.body").read_bytes()
    )
    with pytest.raises(UntrustedCertificate, match="not valid now"):
        trust.public_key(fields["signPubKeyCert"], datetime(2026, 1, 1, tzinfo=UTC))
