"""Which key signs, what can be downloaded, and what happens while keys change."""

import json
import shutil
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from sandbox.app import create_app
from sandbox.wechatpay.certificates import serial_text
from tests.sandbox.rig import Rig
from tests.sandbox.wechatpay.conftest import shop_of
from tests.sandbox.wechatpay.shop import WechatpayShop

CERTIFICATES = "/v3/certificates"
ECHO = "/v3/security/echo"


async def _download(shop: WechatpayShop) -> list[str]:
    """Trust and name everything that the list of certificates holds."""
    response = await shop.send("GET", CERTIFICATES)
    serials = []
    for item in response.json()["data"]:
        pem = shop.unseal(item["encrypt_certificate"])
        assert serial_text(x509.load_pem_x509_certificate(pem)) == item["serial_no"]
        shop.trust_certificate(item["serial_no"], pem)
        serials.append(item["serial_no"])
    assert shop.is_genuine(response.headers, response.content)
    return serials


async def _signers(shop: WechatpayShop, headers: dict[str, str] | None = None) -> set[str]:
    """Which keys sign four answers."""
    answers = [await shop.send("POST", ECHO, {}, headers) for _ in range(4)]
    assert all(shop.is_genuine(answer.headers, answer.content) for answer in answers)
    return {answer.headers["Wechatpay-Serial"] for answer in answers}


async def test_the_certificate_can_be_downloaded_and_verifies_its_own_download(
    shop: WechatpayShop,
) -> None:
    known = shop.merchant["platform_serial"]
    shop.trusted.clear()
    assert await _download(shop) == [known]


async def test_a_pure_public_key_account_has_no_certificates(key_shop: WechatpayShop) -> None:
    response = await key_shop.send("GET", CERTIFICATES)
    assert (response.status_code, response.json()["code"]) == (404, "RESOURCE_NOT_EXISTS")
    assert "无可用的平台证书" in response.json()["message"]
    assert await _signers(key_shop) == {key_shop.merchant["public_key_id"]}


async def test_a_request_that_names_an_unknown_key_is_rejected(
    shop: WechatpayShop, key_shop: WechatpayShop
) -> None:
    headers = {"Wechatpay-Serial": key_shop.merchant["public_key_id"]}
    response = await shop.send("POST", ECHO, {}, headers)
    assert (response.status_code, response.json()["code"]) == (400, "PARAM_ERROR")


async def test_an_empty_serial_header_counts_as_absent(shop: WechatpayShop) -> None:
    known = shop.merchant["platform_serial"]
    assert await _signers(shop, {"Wechatpay-Serial": ""}) == {known}
    response = await shop.send("GET", CERTIFICATES, None, {"Wechatpay-Serial": ""})
    assert response.json()["data"][0]["serial_no"] == known


async def test_a_named_serial_counts_without_case_and_leading_zeros(rig: Rig) -> None:
    shop = shop_of(rig, "zero_serial")
    known = shop.merchant["platform_serial"]
    assert known.startswith("0")
    for written in (known, known.lower(), known.lstrip("0")):
        assert await _signers(shop, {"Wechatpay-Serial": written}) == {known}


def test_serials_begin_with_a_zero_on_one_merchant_only(rig: Rig) -> None:
    merchants: dict[str, Any] = rig.manifest["wechatpay"]["merchants"]
    kinds = ("merchant_serial", "platform_serial")
    zeros = {
        name
        for name, merchant in merchants.items()
        for kind in kinds
        if merchant.get(kind, "F").startswith("0")
    }
    assert zeros == {"zero_serial"}


async def test_a_folder_from_before_gets_the_merchant_that_it_lacks(rig: Rig) -> None:
    names = rig.folder / "keys/wechatpay/accounts.json"
    known = json.loads(names.read_text())
    del known["zero_serial"]
    names.write_text(json.dumps(known))
    shutil.rmtree(names.parent / "zero_serial")
    create_app(rig.folder, rig.manifest["base_url"])
    again = Rig(rig.client, rig.folder, rig.receiver)
    merchants = again.manifest["wechatpay"]["merchants"]
    assert len({merchant["mchid"] for merchant in merchants.values()}) == len(merchants)
    assert merchants["cert"] == rig.manifest["wechatpay"]["merchants"]["cert"]


async def test_during_a_rotation_both_certificates_sign_and_both_are_listed(
    rig: Rig, shop: WechatpayShop
) -> None:
    old = shop.merchant["platform_serial"]
    fresh = await rig.control("keys/rotate", provider="wechatpay")
    new = fresh["merchants"]["cert"]["platform_serial"]
    first = await shop.send("POST", ECHO, {})
    assert first.headers["Wechatpay-Serial"] == new != old
    assert not shop.is_genuine(first.headers, first.content)
    assert await _download(shop) == [old, new]
    assert await _signers(shop) == {old, new}
    await rig.control("keys/rotate", provider="wechatpay", mode="finish")
    assert await _download(shop) == [new]
    assert await _signers(shop) == {new}


async def test_moving_to_a_public_key_lets_the_request_choose(
    rig: Rig, shop: WechatpayShop
) -> None:
    fresh = await rig.control("keys/rotate", provider="wechatpay", mode="public_key")
    moving = WechatpayShop(rig.client, shop.appid, fresh["merchants"]["cert"])
    key_id = moving.merchant["public_key_id"]
    assert moving.merchant["mode"] == "platform_certificate"
    assert await _signers(moving) == {key_id}
    serial = {"Wechatpay-Serial": shop.merchant["platform_serial"]}
    assert await _signers(moving, serial) == {shop.merchant["platform_serial"]}
    assert await _signers(shop) == {shop.merchant["platform_serial"]}
    fresh = await rig.control("keys/rotate", provider="wechatpay", mode="finish")
    assert fresh["merchants"]["cert"]["mode"] == "public_key"
    assert (await moving.send("GET", CERTIFICATES)).status_code == 404


@pytest.mark.parametrize("mode", ["sideways", "public_key"])
async def test_an_impossible_rotation_is_rejected(rig: Rig, mode: str) -> None:
    await rig.control("keys/rotate", provider="wechatpay", mode="public_key")
    content = {"provider": "wechatpay", "mode": mode}
    assert (await rig.client.post("/_sandbox/keys/rotate", json=content)).status_code == 409


async def test_keys_and_rotation_survive_a_restart(rig: Rig) -> None:
    await rig.control("keys/rotate", provider="wechatpay")
    fresh = await rig.control("keys/rotate", provider="wechatpay", mode="public_key")
    create_app(rig.folder, rig.manifest["base_url"])
    again = Rig(rig.client, rig.folder, rig.receiver)
    assert again.manifest["wechatpay"] == fresh
    assert await _download(shop_of(again, "cert"))


def test_the_manifest_names_files_that_other_sdks_can_load(rig: Rig) -> None:
    merchants: dict[str, Any] = rig.manifest["wechatpay"]["merchants"]
    for merchant in merchants.values():
        assert len(merchant["api_v3_key"]) == 32
        pem = Path(merchant["merchant_private_key_file"]).read_bytes()
        assert pem.startswith(b"-----BEGIN PRIVATE KEY-----")
        certificate = Path(merchant["merchant_certificate_file"]).read_bytes()
        loaded = x509.load_pem_x509_certificate(certificate)
        assert serial_text(loaded) == merchant["merchant_serial"]
        assert loaded.serial_number > 0
