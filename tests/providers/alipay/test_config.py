from typing import Any

import pytest
from pydantic import ValidationError

from providers.alipay.config import AlipayConfig
from tests.providers.alipay.fake import FakeAlipay, Keys, public_pem


def test_one_of_two_modes_must_be_whole(
    account: dict[str, Any], certificate_account: dict[str, Any], keys: Keys
) -> None:
    del certificate_account["alipay_root_cert"]
    with pytest.raises(ValidationError, match="all of app_cert"):
        AlipayConfig(**certificate_account)
    both = certificate_account | {"alipay_public_key": keys.alipay_public}
    with pytest.raises(ValidationError, match="not both"):
        AlipayConfig(**both)
    with pytest.raises(ValidationError, match="all of app_cert"):
        AlipayConfig(**certificate_account | {"alipay_public_key": ""})


@pytest.mark.parametrize(
    "wrong",
    [
        {"seller_id": "1088000000000001"},
        {"app_id": ""},
        {"gateway_url": "ftp://alipay.test"},
        {"gateway_url": "https://alipay.test/gateway.do?charset=utf-8"},
        {"charset": "latin-1"},
        {"charset": 7},
        {"read_timeout": 0},
        {"alipay_publik_key": "typo"},
    ],
)
def test_a_wrong_field_is_rejected_and_no_value_is_shown(
    account: dict[str, Any], wrong: dict[str, Any], keys: Keys
) -> None:
    with pytest.raises(ValidationError) as caught:
        AlipayConfig(**account | wrong)
    assert keys.app_private.splitlines()[1] not in str(caught.value)


def test_charset_names_are_read_in_any_case(account: dict[str, Any]) -> None:
    assert AlipayConfig(**account | {"charset": "GBK"}).codec == "gb18030"
    assert AlipayConfig(**account | {"charset": "UTF-8"}).codec == "utf-8"


def test_the_apps_own_public_key_in_alipays_place_is_noticed(
    alipay: FakeAlipay, account: dict[str, Any], keys: Keys
) -> None:
    own = public_pem(keys.app.public_key())
    with pytest.raises(ValueError, match=r"account 'main': the app's own public key"):
        alipay.provider(account, alipay_public_key=own)


def test_a_broken_key_names_the_account_and_not_the_key(
    alipay: FakeAlipay, account: dict[str, Any]
) -> None:
    with pytest.raises(ValueError, match="account 'main'") as caught:
        alipay.provider(account, app_private_key="c2VjcmV0")
    assert "c2VjcmV0" not in str(caught.value)


def test_secrets_do_not_show(account: dict[str, Any], keys: Keys) -> None:
    shown = repr(AlipayConfig(**account | {"aes_key": "aa4BtZ4tspm2wnXLb1ThQA=="}))
    assert keys.app_private.splitlines()[1] not in shown
    assert "aa4BtZ4t" not in shown
