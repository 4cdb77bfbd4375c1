import base64
from collections.abc import Callable
from typing import Any
from urllib.parse import parse_qsl, urlsplit

import pytest
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
)

from providers.alipay import certificates
from providers.alipay.encryption import decrypt, encrypt, load_aes_key
from providers.alipay.signing import canonical, is_signed, load_private_key, load_public_key, sign
from providers.kit.certificates import load_certificates
from tests.providers.alipay.fake import Keys, private_pem, public_pem

Vectors = Callable[[str], dict[str, Any]]


def as_bytes(params: dict[str, str]) -> dict[bytes, bytes]:
    return {key.encode(): value.encode() for key, value in params.items()}


def excluded(*names: str) -> frozenset[bytes]:
    return frozenset(name.encode() for name in names)


def test_a_published_request_is_signed_byte_for_byte(vectors: Vectors) -> None:
    vector = vectors("yansongda-request-sign")
    content = canonical(as_bytes(vector["params"]), without=excluded("sign"))
    key = load_private_key(vector["private_key_text"])
    assert sign(key, content) == vector["sign"]


def test_a_published_order_string_is_signed_byte_for_byte(vectors: Vectors) -> None:
    vector = vectors("ruby-order-string")
    params = dict(parse_qsl(vector["order_string"]))
    content = canonical(as_bytes(params), without=excluded("sign"))
    assert sign(load_private_key(vector["private_key_text"]), content) == params["sign"]


@pytest.mark.parametrize("name", ["yansongda-notify-plus", "yansongda-sync-return"])
def test_published_forms_verify_with_decoded_values(vectors: Vectors, name: str) -> None:
    vector = vectors(name)
    params = vector.get("params") or dict(parse_qsl(urlsplit(vector["url"]).query))
    key = certificates.public_key(load_certificates(vector["cert_text"])[0])
    content = canonical(as_bytes(params), without=excluded(*vector["exclude"]))
    assert is_signed(key, content, params["sign"])
    assert not is_signed(key, content.replace(b"0.01", b"0.02"), params["sign"])


def test_a_published_forgery_does_not_verify(vectors: Vectors) -> None:
    vector = vectors("nodejs-notify-v1-bad")
    key = load_public_key(vector["public_key_b64_spki"])
    content = canonical(as_bytes(vector["params"]), without=excluded(*vector["exclude"]))
    assert not is_signed(key, content, vector["params"]["sign"])


def test_a_published_answer_verifies_as_it_was_written(vectors: Vectors) -> None:
    vector = vectors("yansongda-response")
    key = certificates.public_key(load_certificates(vector["cert_text"])[0])
    assert is_signed(key, vector["message"].encode(), vector["sign"])
    assert not is_signed(key, vector["message"].replace(":", ": ").encode(), vector["sign"])


def test_the_published_content_encryption_is_ours(vectors: Vectors) -> None:
    vector = vectors("easysdk-aes")
    key = load_aes_key(vector["key_b64"] + "\n")
    assert encrypt(key, vector["plaintext"].encode()) == vector["ciphertext_b64"]
    assert decrypt(key, vector["ciphertext_b64"]).decode() == vector["plaintext"]


@pytest.mark.parametrize("key", ["not base64!", base64.b64encode(b"short").decode()])
def test_an_unfit_aes_key_is_refused_without_being_shown(key: str) -> None:
    with pytest.raises(ValueError, match="aes_key") as caught:
        load_aes_key(key)
    assert key not in str(caught.value)


def test_empty_values_are_not_signed() -> None:
    form = {b"b": b"2", b"a": b"1", b"empty": b"", b"sign": b"x"}
    assert canonical(form, without=excluded("sign")) == b"a=1&b=2"


@pytest.mark.parametrize("signature", ["", "AAAA", "not base64!", "é", "AAAA\n"])
def test_what_is_no_signature_verifies_nothing(keys: Keys, signature: str) -> None:
    assert not is_signed(keys.alipay.public_key(), b"text", signature)


def test_only_one_spelling_of_a_signature_counts(keys: Keys) -> None:
    signature = sign(keys.app, b"text")
    letters = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/"
    body = signature.rstrip("=")
    twin = body[:-1] + letters[letters.index(body[-1]) ^ 1] + signature[len(body) :]
    assert base64.b64decode(twin) == base64.b64decode(signature)
    assert is_signed(keys.app.public_key(), b"text", signature)
    assert not is_signed(keys.app.public_key(), b"text", twin)


@pytest.mark.parametrize("form", [PrivateFormat.PKCS8, PrivateFormat.TraditionalOpenSSL])
def test_a_private_key_is_read_in_every_form_of_the_wild(keys: Keys, form: PrivateFormat) -> None:
    pem = keys.app.private_bytes(Encoding.PEM, form, NoEncryption()).decode()
    bare = "".join(line for line in pem.splitlines() if not line.startswith("-"))
    wrapped = "\n".join(bare[place : place + 76] for place in range(0, len(bare), 76))
    one_line = pem.replace("\n", " ")
    escaped = pem.replace("\n", "\\n")
    for text in (pem, bare, wrapped, one_line, escaped, f"\n{pem}\r\n"):
        assert load_private_key(text).private_numbers() == keys.app.private_numbers()


@pytest.mark.parametrize("form", [PublicFormat.SubjectPublicKeyInfo, PublicFormat.PKCS1])
def test_a_public_key_is_read_in_every_form_of_the_wild(keys: Keys, form: PublicFormat) -> None:
    key = keys.alipay.public_key()
    pem = key.public_bytes(Encoding.PEM, form).decode()
    bare = "".join(line for line in pem.splitlines() if not line.startswith("-"))
    for text in (pem, bare, pem.replace("\n", "\\n")):
        assert load_public_key(text) == key


@pytest.mark.parametrize("text", ["", "rubbish!", "AAAA", "密钥"])
def test_what_is_no_key_is_refused_without_being_shown(text: str) -> None:
    for load in (load_private_key, load_public_key):
        with pytest.raises(ValueError, match="key") as caught:
            load(text)
        assert not text or text not in str(caught.value)


def test_keys_of_another_kind_are_refused(keys: Keys) -> None:
    curve = ec.generate_private_key(ec.SECP256R1())
    with pytest.raises(ValueError, match="not an RSA key"):
        load_private_key(private_pem(curve))
    with pytest.raises(ValueError, match="not an RSA key"):
        load_public_key(public_pem(curve.public_key()))
    with pytest.raises(ValueError, match="certificate mode"):
        load_public_key(keys.alipay_cert)
