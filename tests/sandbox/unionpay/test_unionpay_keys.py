import json
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.serialization import Encoding, pkcs12

from sandbox.app import create_app
from tests.sandbox.rig import Rig
from tests.sandbox.unionpay.conftest import Step, shop_of
from tests.sandbox.unionpay.shop import UNIONPAY, UnionpayShop

SHA1_PKCS12_TRIPLE_DES = bytes.fromhex("060a2a864886f70d010c0103")


def leaf_of(answer: dict[str, str]) -> x509.Certificate:
    return x509.load_pem_x509_certificate(answer["signPubKeyCert"].encode())


def common_name(certificate: x509.Certificate) -> str:
    return str(certificate.subject.get_attributes_for_oid(x509.NameOID.COMMON_NAME)[0].value)


async def test_the_signer_names_itself_unionpay(shop: UnionpayShop) -> None:
    _, answer = await shop.app()
    name = common_name(leaf_of(answer))
    assert name.split("@")[:3] == ["041", "8310000000083040", UNIONPAY]


@pytest.mark.parametrize(("merchant", "algorithm"), [("main", "sha256"), ("old", "sha1")])
async def test_each_chain_is_of_one_algorithm(rig: Rig, merchant: str, algorithm: str) -> None:
    shop = shop_of(rig, merchant)
    _, answer = await shop.app()
    files = ("middle_certificate_file", "root_certificate_file")
    stored = [x509.load_pem_x509_certificate(shop.file(file)) for file in files]
    for certificate in (leaf_of(answer), *stored):
        assert certificate.signature_hash_algorithm is not None
        assert certificate.signature_hash_algorithm.name == algorithm


async def test_the_chains_do_not_vouch_for_each_other(rig: Rig) -> None:
    main, old = shop_of(rig, "main"), shop_of(rig, "old")
    _, answer = await main.app()
    assert not old.is_genuine(answer)


async def test_the_old_merchants_pfx_is_old_and_the_other_is_not(rig: Rig) -> None:
    for merchant, is_old in (("main", False), ("old", True)):
        shop = shop_of(rig, merchant)
        pfx = shop.file("pfx_file")
        assert (SHA1_PKCS12_TRIPLE_DES in pfx) == is_old
        assert shop.private_key().key_size == 2048


async def test_one_merchant_has_an_old_pfx_and_a_modern_chain(rig: Rig) -> None:
    shop = shop_of(rig, "old_pfx")
    pfx = shop.file("pfx_file")
    assert SHA1_PKCS12_TRIPLE_DES in pfx
    # Go's reader refuses a file with more certificates than the merchant's own.
    _, own, along = pkcs12.load_key_and_certificates(pfx, b"000000")
    assert own is not None
    assert along == []
    _, answer = await shop.app()
    files = ("middle_certificate_file", "root_certificate_file")
    stored = [x509.load_pem_x509_certificate(shop.file(file)) for file in files]
    for certificate in (own, leaf_of(answer), *stored):
        assert certificate.signature_hash_algorithm is not None
        assert certificate.signature_hash_algorithm.name == "sha256"
    assert stored[1].public_key() == own_root(rig, "main").public_key()


def own_root(rig: Rig, merchant: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate(shop_of(rig, merchant).file("root_certificate_file"))


async def test_a_folder_from_before_gets_the_merchant_that_it_lacks(rig: Rig) -> None:
    identity = rig.folder / "keys/unionpay/identity.json"
    known = json.loads(identity.read_text())
    del known["mer_ids"]["old_pfx"]
    identity.write_text(json.dumps(known))
    for file in identity.parent.glob("old_pfx_*"):
        file.unlink()
    create_app(rig.folder, rig.manifest["base_url"])
    again = Rig(rig.client, rig.folder, rig.receiver).manifest["unionpay"]["merchants"]
    assert again["main"] == rig.manifest["unionpay"]["merchants"]["main"]
    shop = UnionpayShop(rig.client, rig.manifest["unionpay"]["base_url"], again["old_pfx"])
    assert SHA1_PKCS12_TRIPLE_DES in shop.file("pfx_file")


async def test_what_comes_along_in_the_pfx_is_an_impostor(
    rig: Rig, shop: UnionpayShop, script: Step, tmp_path: Path
) -> None:
    pfx = shop.file("pfx_file")
    _, _, along = pkcs12.load_key_and_certificates(pfx, b"000000")
    assert len(along) == 1
    pem = along[0].public_bytes(Encoding.PEM)
    (tmp_path / "trusted.cer").write_bytes(pem)
    await script("create", "foreign_ca")
    response = await shop.post("appTransReq.do", shop.sign(shop.consume()))
    trusted = str(tmp_path / "trusted.cer")
    files = {"middle_certificate_file": trusted, "root_certificate_file": trusted}
    shop.merchant = shop.merchant | files
    assert shop.read(response)["respCode"] == "00"


async def test_the_gateway_may_change_its_certificate(rig: Rig, shop: UnionpayShop) -> None:
    _, before = await shop.app()
    manifest = await rig.control("keys/rotate", provider="unionpay")
    _, after = await shop.app()
    assert leaf_of(before).serial_number != leaf_of(after).serial_number
    assert common_name(leaf_of(after)).endswith("@00000002")
    assert shop.is_genuine(before)
    assert manifest == rig.manifest["unionpay"]
    refused = {"provider": "unionpay", "mode": "overlap"}
    assert (await rig.client.post("/_sandbox/keys/rotate", json=refused)).status_code == 422


async def test_every_merchant_has_a_number_of_its_own(rig: Rig) -> None:
    merchants = rig.manifest["unionpay"]["merchants"]
    numbers = {merchant["mer_id"] for merchant in merchants.values()}
    assert len(numbers) == len(merchants) == 5
    assert all(len(number) == 15 and number.startswith("777") for number in numbers)
    assert merchants["main"]["cert_id"].isdigit()
    assert merchants["sha256"]["secure_key"] != merchants["sm3"]["secure_key"]
