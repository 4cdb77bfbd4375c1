import base64
from datetime import timedelta

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding, NoEncryption, pkcs12

from providers.unionpay import certificates
from providers.unionpay.certificates import Trust, UntrustedCertificate, load_pfx
from tests.providers.unionpay.gateway import (
    DAY,
    GATEWAY_NAME,
    NOW,
    TEST_GATEWAY_NAME,
    Authority,
    Keys,
    new_key,
    on_the_wire,
    pem,
)


@pytest.fixture
def trust(keys: Keys) -> Trust:
    return Trust(keys.root_pem, keys.middle_pem, accepts_test_name=False)


def test_unionpays_own_certificate_may_sign(trust: Trust, keys: Keys) -> None:
    assert trust.public_key(keys.leaf, NOW) == keys.gateway.public_key()


@pytest.mark.parametrize(
    "names", [("041@Z1@a shop@1",), (), ("00040000:SIGN",), (GATEWAY_NAME,) * 2]
)
def test_another_companys_certificate_of_the_same_authority_may_not(
    trust: Trust, keys: Keys, names: tuple[str, ...]
) -> None:
    leaf = on_the_wire(keys.middle.issue(keys.gateway, *names))
    with pytest.raises(UntrustedCertificate, match="another company"):
        trust.public_key(leaf, NOW)


def test_the_test_gateways_certificate_may_sign_in_the_test_environment_alone(
    trust: Trust, keys: Keys
) -> None:
    leaf = on_the_wire(keys.middle.issue(keys.gateway, TEST_GATEWAY_NAME))
    testing = Trust(keys.root_pem, keys.middle_pem, accepts_test_name=True)
    assert testing.public_key(leaf, NOW) == keys.gateway.public_key()
    assert testing.public_key(keys.leaf, NOW) == keys.gateway.public_key()
    with pytest.raises(UntrustedCertificate, match="another company"):
        trust.public_key(leaf, NOW)


@pytest.mark.parametrize(
    "name",
    [
        "00040000:SIGN",
        "041@Z1@a shop 00040000:SIGN@1",
        "041@00040000:SIGN@a shop@1",
        "041@Z1@a shop@00040000:SIGN",
        "041@Z1@00040000:SIGN2@1",
    ],
)
def test_a_name_that_only_mentions_the_test_gateway_may_not_sign_there(
    keys: Keys, name: str
) -> None:
    leaf = on_the_wire(keys.middle.issue(keys.gateway, name))
    testing = Trust(keys.root_pem, keys.middle_pem, accepts_test_name=True)
    with pytest.raises(UntrustedCertificate, match="another company"):
        testing.public_key(leaf, NOW)


def test_a_certificate_of_a_foreign_authority_may_not(trust: Trust, keys: Keys) -> None:
    for impostor in (Authority(keys.middle.common, new_key()), keys.root):
        leaf = on_the_wire(impostor.issue(keys.gateway, GATEWAY_NAME))
        with pytest.raises(UntrustedCertificate, match="authority"):
            trust.public_key(leaf, NOW)


def test_a_certificate_of_no_known_version_may_not(trust: Trust, keys: Keys) -> None:
    der = x509.load_pem_x509_certificate(keys.leaf.encode()).public_bytes(Encoding.DER)
    version_3 = bytes.fromhex("a003020102")
    assert der.count(version_3) == 1
    odd = base64.b64encode(der.replace(version_3, bytes.fromhex("a003020107"))).decode()
    text = f"-----BEGIN CERTIFICATE-----\n{odd}\n-----END CERTIFICATE-----"
    with pytest.raises(UntrustedCertificate):
        trust.public_key(text, NOW)


@pytest.mark.parametrize("text", ["", "-----BEGIN CERTIFICATE-----", "rubbish\0"])
def test_what_is_no_certificate_may_not(trust: Trust, text: str) -> None:
    with pytest.raises(UntrustedCertificate):
        trust.public_key(text, NOW)


def test_a_key_that_is_not_rsa_may_not(trust: Trust, keys: Keys) -> None:
    leaf = on_the_wire(keys.middle.issue(ec.generate_private_key(ec.SECP256R1()), GATEWAY_NAME))
    with pytest.raises(UntrustedCertificate, match="RSA"):
        trust.public_key(leaf, NOW)


@pytest.mark.parametrize("days", [(-401, -1), (1, 300)])
def test_the_dates_are_looked_at_every_time(
    trust: Trust, keys: Keys, days: tuple[int, int]
) -> None:
    leaf = on_the_wire(keys.middle.issue(keys.gateway, GATEWAY_NAME, days=days))
    good = NOW + (days[0] + 1) * DAY
    if days[0] < -400:
        good += DAY
    assert trust.public_key(leaf, good) == keys.gateway.public_key()
    with pytest.raises(UntrustedCertificate, match="not valid now"):
        trust.public_key(leaf, NOW)


def test_a_middle_that_is_over_ends_the_leaf_too(keys: Keys) -> None:
    middle = pem(keys.root.issue(keys.middle.key, keys.middle.common, ca=True, days=(-400, -1)))
    with pytest.raises(UntrustedCertificate, match="not valid now"):
        Trust(keys.root_pem, middle, accepts_test_name=False).public_key(keys.leaf, NOW)


def test_the_chain_of_one_text_is_checked_once(
    trust: Trust, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    trust.public_key(keys.leaf, NOW)
    monkeypatch.setattr(certificates, "load_certificate", _never)
    assert trust.public_key(keys.leaf, NOW + timedelta(days=1)) == keys.gateway.public_key()


def test_only_so_many_texts_are_remembered(
    trust: Trust, keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> None:
    leaves = [on_the_wire(keys.middle.issue(keys.gateway, GATEWAY_NAME)) for _ in range(2)]
    texts = [f"{leaves[0]}\r\n{'-' * count}" for count in range(20)]
    for text in texts:
        trust.public_key(text, NOW)
    monkeypatch.setattr(certificates, "load_certificate", _never)
    assert trust.public_key(texts[-1], NOW) == keys.gateway.public_key()
    with pytest.raises(AssertionError):
        trust.public_key(texts[0], NOW)


def test_root_and_middle_must_belong_together(keys: Keys) -> None:
    other = Authority("Root CA", new_key())
    plain = pem(keys.root.issue(keys.middle.key, keys.middle.common))
    no_authority = pem(keys.root.issue(keys.middle.key, keys.middle.common, ca=False))
    elliptic = Authority("Root CA", ec.generate_private_key(ec.SECP256R1()))
    pairs = [
        (pem(other.issue(other.key, "Root CA", ca=True)), keys.middle_pem),
        (keys.root_pem, plain),
        (keys.root_pem, no_authority),
        (keys.middle_pem, keys.root_pem),
        (pem(elliptic.issue(elliptic.key, "Root CA", ca=True)), keys.middle_pem),
    ]
    for root, middle in pairs:
        with pytest.raises(ValueError, match="no chain"):
            Trust(root, middle, accepts_test_name=False)
    with pytest.raises(ValueError, match="not a PEM"):
        Trust("", keys.middle_pem, accepts_test_name=False)


def test_a_weak_hash_makes_no_chain(
    keys: Keys, monkeypatch: pytest.MonkeyPatch, trust: Trust
) -> None:
    monkeypatch.setattr(certificates, "_HASHES", ("sha1",))
    with pytest.raises(UntrustedCertificate, match="authority"):
        trust.public_key(keys.leaf, NOW)


def test_a_pfx_gives_the_key_and_the_decimal_number(keys: Keys) -> None:
    key, cert_id = load_pfx(base64.b64decode(keys.pfx), "000000")
    assert key.public_key() == keys.merchant.public_key()
    assert cert_id == "69903319369"


def test_a_pfx_that_is_of_no_use_says_why(keys: Keys) -> None:
    with pytest.raises(ValueError, match="pfx_password"):
        load_pfx(base64.b64decode(keys.pfx), "111111")
    elliptic = ec.generate_private_key(ec.SECP256R1())
    leaf = keys.middle.issue(elliptic, "a")
    for content in (
        pkcs12.serialize_key_and_certificates(b"a", elliptic, leaf, None, NoEncryption()),
        pkcs12.serialize_key_and_certificates(b"a", keys.merchant, None, None, NoEncryption()),
    ):
        with pytest.raises(ValueError, match="holds no RSA key"):
            load_pfx(content, "")


def _never(text: str) -> object:
    raise AssertionError(text)
