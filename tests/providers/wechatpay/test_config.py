from typing import Any

import pytest
from pydantic import ValidationError

from providers.wechatpay.config import WechatpayConfig
from tests.providers.wechatpay import wechat as side


def test_an_account_of_either_kind_or_of_both_is_good(
    account: dict[str, Any], certificate_account: dict[str, Any]
) -> None:
    assert WechatpayConfig.model_validate(account).platform_certificates is False
    assert WechatpayConfig.model_validate(certificate_account).public_key is None
    both = WechatpayConfig.model_validate(account | {"platform_certificates": True})
    assert both.public_key_id == side.PUBLIC_KEY_ID


def test_a_key_file_may_end_with_a_newline(account: dict[str, Any]) -> None:
    config = WechatpayConfig.model_validate(account)
    assert config.api_v3_key.get_secret_value() == side.API_V3_KEY


@pytest.mark.parametrize(
    ("field", "value", "words"),
    [
        ("api_v3_key", "short", "exactly 32 bytes"),
        ("api_v3_key", "é" * 32, "exactly 32 bytes"),
        ("merchant_private_key", "no key", "not an unencrypted PEM key"),
        ("public_key", "no key", "not a PEM public key"),
        ("public_key", None, "come together"),
        ("public_key_id", None, "come together"),
        ("public_key_id", "7777", "pattern"),
        ("merchant_serial", "0c4aef", "pattern"),
        ("mchid", "abc", "pattern"),
        ("base_url", "api.mch.weixin.qq.com", "pattern"),
        ("publik_key", "x", "Extra inputs"),
    ],
)
def test_a_bad_field_is_rejected_without_repeating_its_value(
    account: dict[str, Any], field: str, value: str | None, words: str
) -> None:
    with pytest.raises(ValidationError, match=words) as caught:
        WechatpayConfig.model_validate(account | {field: value})
    assert side.API_V3_KEY not in str(caught.value)
    assert "PRIVATE KEY" not in str(caught.value)


def test_an_account_that_could_verify_nothing_is_rejected(
    certificate_account: dict[str, Any],
) -> None:
    with pytest.raises(ValidationError, match="name a public key, or set platform_certificates"):
        WechatpayConfig.model_validate(certificate_account | {"platform_certificates": False})


@pytest.mark.parametrize("field", ["merchant_private_key", "public_key"])
def test_only_rsa_keys_are_taken(account: dict[str, Any], field: str) -> None:
    private, public = side.elliptic_pems()
    pem = private if field == "merchant_private_key" else public
    with pytest.raises(ValidationError, match="not an RSA key"):
        WechatpayConfig.model_validate(account | {field: pem})


def test_no_secret_is_readable_in_a_repr(account: dict[str, Any]) -> None:
    text = repr(WechatpayConfig.model_validate(account))
    assert side.API_V3_KEY not in text
    assert "PRIVATE KEY" not in text
