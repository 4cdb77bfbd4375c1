import base64
from typing import Any

import pytest

from providers.wechatpay.encryption import decrypt
from providers.wechatpay.wire import Malformed, Resource
from tests.providers.wechatpay import wechat as side

KEY = side.API_V3_KEY.encode()


def test_a_published_ciphertext_opens(vectors: dict[str, dict[str, Any]]) -> None:
    vector = vectors["go-aes-gcm"]
    resource = Resource(
        algorithm="AEAD_AES_256_GCM",
        ciphertext=vector["ciphertext_b64"],
        nonce=vector["nonce"],
        associated_data=vector["aad"],
    )
    assert decrypt(vector["key"].encode(), resource) == vector["plaintext"].encode()


def test_a_real_platform_certificate_opens_with_its_real_key(
    vectors: dict[str, dict[str, Any]],
) -> None:
    vector = vectors["yansongda-platform-cert"]
    resource = Resource(
        algorithm="AEAD_AES_256_GCM",
        ciphertext=vector["ciphertext_b64"],
        nonce=vector["nonce"],
        associated_data=vector["aad"],
    )
    assert decrypt(vector["key"].encode(), resource).startswith(b"-----BEGIN CERTIFICATE-----")


def test_associated_data_may_be_empty_or_absent() -> None:
    content = side.sealed(b"plain", "")
    assert decrypt(KEY, Resource.model_validate(content)) == b"plain"
    del content["associated_data"]
    assert decrypt(KEY, Resource.model_validate(content)) == b"plain"


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "AEAD_SM4_GCM"},
        {"nonce": "short"},
        {"nonce": "thirteenbytes"},
        {"nonce": "twelve_bytes"},
        {"associated_data": "refund"},
        {"ciphertext": ""},
        {"ciphertext": "%%%"},
        {"ciphertext": "密文"},
        {"ciphertext": base64.b64encode(b"tampered" * 8).decode()},
    ],
)
def test_whatever_does_not_open_is_malformed_and_no_crash(change: dict[str, str]) -> None:
    resource = Resource.model_validate(side.sealed(b"plain") | change)
    with pytest.raises(Malformed):
        decrypt(KEY, resource)


def test_another_merchants_key_does_not_open_it() -> None:
    with pytest.raises(Malformed):
        decrypt(b"x" * 32, Resource.model_validate(side.sealed(b"plain")))
