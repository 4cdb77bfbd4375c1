from typing import Any

import pytest

from providers.unionpay.config import UnionpayConfig
from providers.unionpay.keys import load_signer

KEYED = ("pfx", "pfx_password", "root_certificate", "middle_certificate")


@pytest.mark.parametrize("missing", KEYED)
def test_method_01_takes_all_four_parts(account: dict[str, Any], missing: str) -> None:
    del account[missing]
    with pytest.raises(ValueError, match="sign_method 01 takes"):
        UnionpayConfig.model_validate(account)


def test_method_01_takes_no_secure_key(account: dict[str, Any]) -> None:
    with pytest.raises(ValueError, match="no secure_key"):
        UnionpayConfig.model_validate(account | {"secure_key": "88888888"})


@pytest.mark.parametrize("method", ["11", "12"])
def test_the_other_methods_take_the_secure_key_alone(account: dict[str, Any], method: str) -> None:
    keyed = {key: value for key, value in account.items() if key not in KEYED}
    keyed |= {"sign_method": method, "secure_key": "88888888"}
    assert UnionpayConfig.model_validate(keyed).sign_method == method
    for wrong in (account | {"sign_method": method}, keyed | {"secure_key": ""}):
        with pytest.raises(ValueError, match="secure_key alone"):
            UnionpayConfig.model_validate(wrong)


@pytest.mark.parametrize(
    "change",
    [
        {"mer_id": "777"},
        {"mode": "02"},
        {"sign_method": "02"},
        {"base_url": "ftp://x"},
        {"terminal_id": "1"},
        {"root": "a misspelt key"},
        {"name": ""},
    ],
)
def test_a_wrong_value_stops_the_start(account: dict[str, Any], change: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=next(iter(change))):
        UnionpayConfig.model_validate(account | change)


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"pfx": "not base64!"}, "base64"),
        ({"pfx_password": "1"}, "pfx_password"),
        ({"middle_certificate": "x"}, "PEM"),
    ],
)
def test_a_bad_key_names_the_account_and_shows_nothing_of_it(
    account: dict[str, Any], change: dict[str, str], complaint: str
) -> None:
    config = UnionpayConfig.model_validate(account | change)
    with pytest.raises(ValueError, match=f"account 'main'.*{complaint}") as caught:
        load_signer(config)
    assert account["pfx"] not in str(caught.value)
    assert account["pfx"] not in repr(config)


def test_the_line_break_that_ends_a_secrets_file_is_no_part_of_the_secret(
    account: dict[str, Any],
) -> None:
    written = {name: f"{account[name]}\r\n" for name in ("pfx", "pfx_password")}
    plain, read = (UnionpayConfig.model_validate(account | more) for more in ({}, written))
    assert (read.pfx, read.pfx_password) == (plain.pfx, plain.pfx_password)
    load_signer(read)
