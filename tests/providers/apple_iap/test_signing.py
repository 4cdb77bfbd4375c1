import base64
import hmac
import json
from hashlib import sha256
from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.asymmetric.utils import encode_dss_signature
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, PrivateFormat

from providers.apple_iap import signing
from providers.apple_iap.certificates import Trust
from providers.apple_iap.signing import NotGenuine
from tests.providers.apple_iap.appstore import DAY, NOW, Keys, Signer, ms, new_key, pem, url64

PAYLOAD = {"signedDate": ms(NOW), "bundleId": "com.example.tea", "名": "茶"}


@pytest.fixture
def trust(keys: Keys) -> Trust:
    return Trust(frozenset({sha256(keys.root_der).digest()}))


def parts_of(text: str) -> list[str]:
    return text.split(".")


def test_what_the_store_signed_is_read(trust: Trust, signer: Signer) -> None:
    assert signing.read(signer.sign(PAYLOAD), trust, NOW) == PAYLOAD


def test_an_old_word_stays_true_after_its_certificate_has_expired(
    trust: Trust, signer: Signer
) -> None:
    assert signing.read(signer.sign(PAYLOAD), trust, NOW + 800 * DAY) == PAYLOAD


def test_a_word_without_a_date_is_held_against_the_clock(trust: Trust, signer: Signer) -> None:
    text = signer.sign({"bundleId": "x"})
    assert signing.read(text, trust, NOW) == {"bundleId": "x"}
    with pytest.raises(NotGenuine, match="valid then"):
        signing.read(text, trust, NOW + 800 * DAY)


def test_a_word_dated_beyond_its_certificate_is_refused(trust: Trust, signer: Signer) -> None:
    for days in (-800, 800):
        text = signer.sign(PAYLOAD | {"signedDate": ms(NOW + days * DAY)})
        with pytest.raises(NotGenuine, match="valid"):
            signing.read(text, trust, NOW)


@pytest.mark.parametrize("date", ["1", 1.5, True, -1, 10**14, 10**30, [], {}])
def test_a_date_that_is_none_is_refused(trust: Trust, signer: Signer, date: object) -> None:
    with pytest.raises(NotGenuine, match="date"):
        signing.read(signer.sign(PAYLOAD | {"signedDate": date}), trust, NOW)


@pytest.mark.parametrize("alg", ["none", "None", "HS256", "ES384", "es256", "", None, 1, ["ES256"]])
def test_the_header_does_not_choose_the_algorithm(
    trust: Trust, signer: Signer, alg: object
) -> None:
    with pytest.raises(NotGenuine, match="ES256"):
        signing.read(signer.sign(PAYLOAD, alg=alg), trust, NOW)


def test_a_text_keyed_with_a_public_certificate_is_refused(trust: Trust, signer: Signer) -> None:
    header, payload, _ = parts_of(signer.sign(PAYLOAD, alg="HS256"))
    key = base64.b64encode(signer.chain[0])
    for content in (key, signer.chain[0]):
        digest = hmac.new(content, f"{header}.{payload}".encode(), "sha256").digest()
        with pytest.raises(NotGenuine, match="ES256"):
            signing.read(f"{header}.{payload}.{url64(digest)}", trust, NOW)


def test_a_header_that_demands_more_than_we_know_is_refused(trust: Trust, signer: Signer) -> None:
    with pytest.raises(NotGenuine, match="ES256"):
        signing.read(signer.sign(PAYLOAD, crit=["b64"], b64=False), trust, NOW)


@pytest.mark.parametrize("count", [0, 1, 2, 4])
def test_a_chain_of_another_length_than_three_is_refused(
    trust: Trust, signer: Signer, count: int
) -> None:
    x5c = [base64.b64encode(one).decode() for one in (*signer.chain, signer.chain[0])][:count]
    with pytest.raises(NotGenuine, match="exactly three"):
        signing.read(signer.sign(PAYLOAD, x5c=x5c), trust, NOW)


@pytest.mark.parametrize("x5c", [None, "abc", {"0": "", "1": "", "2": ""}])
def test_a_chain_that_is_no_list_is_refused(trust: Trust, signer: Signer, x5c: object) -> None:
    with pytest.raises(NotGenuine, match="exactly three"):
        signing.read(signer.sign(PAYLOAD, x5c=x5c), trust, NOW)


@pytest.mark.parametrize("x5c", [[1, 2, 3], ["?", "?", "?"], ["é", "", ""], [None] * 3])
def test_a_chain_that_is_not_base64_is_refused(trust: Trust, signer: Signer, x5c: object) -> None:
    with pytest.raises(NotGenuine, match="not base64"):
        signing.read(signer.sign(PAYLOAD, x5c=x5c), trust, NOW)


def test_a_strangers_chain_is_refused_however_well_it_signs(trust: Trust, signer: Signer) -> None:
    with pytest.raises(NotGenuine, match="does not fit"):
        signing.read(Signer(new_key(), signer.chain).sign(PAYLOAD), trust, NOW)


def test_a_signature_belongs_to_one_text(trust: Trust, signer: Signer) -> None:
    header, payload, _ = parts_of(signer.sign(PAYLOAD))
    _, other, signature = parts_of(signer.sign(PAYLOAD | {"quantity": 1000}))
    for forged in (payload, url64(json.dumps(PAYLOAD | {"quantity": 1}).encode())):
        with pytest.raises(NotGenuine, match="does not fit"):
            signing.read(f"{header}.{forged}.{signature}", trust, NOW)
    assert signing.read(f"{header}.{other}.{signature}", trust, NOW)["quantity"] == 1000


@pytest.mark.parametrize("length", [0, 32, 63, 65, 71])
def test_a_signature_of_another_length_is_refused(
    trust: Trust, signer: Signer, length: int
) -> None:
    header, payload, _ = parts_of(signer.sign(PAYLOAD))
    with pytest.raises(NotGenuine, match="not one of ES256"):
        signing.read(f"{header}.{payload}.{url64(bytes(length))}", trust, NOW)


@pytest.mark.parametrize("signature", [bytes(64), b"\xff" * 64, bytes(63) + b"\1"])
def test_numbers_that_sign_nothing_are_refused(
    trust: Trust, signer: Signer, signature: bytes
) -> None:
    header, payload, _ = parts_of(signer.sign(PAYLOAD))
    with pytest.raises(NotGenuine, match="does not fit"):
        signing.read(f"{header}.{payload}.{url64(signature)}", trust, NOW)


def test_one_text_has_one_spelling(trust: Trust, signer: Signer) -> None:
    text = signer.sign(PAYLOAD)
    last = text[-1]
    alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
    same_bytes = alphabet[alphabet.index(last) // 16 * 16 + (alphabet.index(last) + 1) % 16]
    for other in (text[:-1] + same_bytes, text + "=", text + "==", text + "\n", " " + text):
        with pytest.raises(NotGenuine, match="base64url"):
            signing.read(other, trust, NOW)


@pytest.mark.parametrize(
    "text", ["", ".", "..", "...", "a.b", "e30.e30.", "é.é.é", "a" * 300_000, "null.null.null"]
)
def test_rubbish_is_no_signed_text(trust: Trust, text: str) -> None:
    with pytest.raises(NotGenuine):
        signing.read(text, trust, NOW)


@pytest.mark.parametrize("payload", [b"", b"[]", b"1", b'"x"', b"null", b"\xff", b"[" * 50_000])
def test_a_signed_payload_that_is_no_object_is_refused(
    trust: Trust, signer: Signer, payload: bytes
) -> None:
    header = json.loads(base64.urlsafe_b64decode(parts_of(signer.sign(PAYLOAD))[0] + "=="))
    with pytest.raises(NotGenuine, match="JSON"):
        signing.read(signer.sign_raw(payload, header), trust, NOW)


def test_our_own_token_is_signed_with_our_key_and_names_it() -> None:
    key = new_key()
    claims: dict[str, Any] = {"iss": "issuer", "exp": 1}
    header, payload, signature = parts_of(signing.sign(key, "2X9R4HXF34", claims))
    read = [json.loads(base64.urlsafe_b64decode(part + "==")) for part in (header, payload)]
    assert read == [{"alg": "ES256", "kid": "2X9R4HXF34", "typ": "JWT"}, claims]
    raw = base64.urlsafe_b64decode(signature + "==")
    der = encode_dss_signature(int.from_bytes(raw[:32]), int.from_bytes(raw[32:]))
    signed = f"{header}.{payload}".encode()
    key.public_key().verify(der, signed, ec.ECDSA(SHA256()))
    with pytest.raises(InvalidSignature):
        new_key().public_key().verify(der, signed, ec.ECDSA(SHA256()))


def test_a_p8_file_is_read() -> None:
    key = new_key()
    assert signing.load_key(pem(key) + "\n").public_key() == key.public_key()


def rsa_pem() -> str:
    key = rsa.generate_private_key(public_exponent=65537, key_size=2048)
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()).decode()


@pytest.mark.parametrize(
    ("make", "complaint"),
    [
        (lambda: "not a key", "p8 file"),
        (lambda: pem(new_key())[:100], "p8 file"),
        (rsa_pem, "P-256"),
        (lambda: pem(new_key(ec.SECP384R1())), "P-256"),
    ],
)
def test_a_key_that_is_none_is_refused_without_being_shown(make: Any, complaint: str) -> None:
    text = make()
    with pytest.raises(ValueError, match=complaint) as caught:
        signing.load_key(text)
    assert text.splitlines()[-1] not in str(caught.value)
