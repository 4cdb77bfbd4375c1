from datetime import UTC, datetime, timedelta
from hashlib import sha256
from pathlib import Path

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.serialization import Encoding

from providers.apple_iap.certificates import (
    APPLE_ROOT_G3,
    Chain,
    Trust,
    UntrustedCertificate,
    fingerprint,
)
from tests.providers.apple_iap.appstore import (
    LEAF_MARK,
    MIDDLE_MARK,
    NOW,
    Authority,
    Keys,
    new_key,
)


@pytest.fixture
def trust(keys: Keys) -> Trust:
    return Trust(frozenset({sha256(keys.root_der).digest()}))


@pytest.fixture
def chain(keys: Keys) -> Chain:
    leaf, middle, root = keys.signer().chain
    return leaf, middle, root


def vector(vectors: Path, name: str) -> bytes:
    return (vectors / "certs" / f"x509_{name}.der").read_bytes()


def test_apples_own_chain_is_trusted_while_it_is_valid(vectors: Path) -> None:
    names = ("real_apple_signing_certificate", "real_apple_intermediate", "real_apple_root")
    leaf, middle, root = (vector(vectors, name) for name in names)
    trust = Trust(frozenset({APPLE_ROOT_G3}))
    key = trust.public_key((leaf, middle, root), datetime(2026, 3, 1, tzinfo=UTC))
    assert key == x509.load_der_x509_certificate(leaf).public_key()
    for moment in (datetime(2025, 9, 1, tzinfo=UTC), datetime(2027, 11, 1, tzinfo=UTC)):
        with pytest.raises(UntrustedCertificate, match="valid then"):
            trust.public_key((leaf, middle, root), moment)
        with pytest.raises(UntrustedCertificate):
            Trust(frozenset({APPLE_ROOT_G3})).public_key((leaf, middle, root), moment)


@pytest.mark.parametrize(
    ("leaf", "middle"),
    [
        ("leaf_cert_invalid_oid", "intermediate_ca"),
        ("leaf_cert_for_intermediate_ca_invalid_oid", "intermediate_ca_invalid_oid"),
        ("leaf_cert", "intermediate_ca_invalid_oid"),
        ("leaf_cert", "real_apple_intermediate"),
    ],
)
def test_apples_published_bad_chains_are_rejected(vectors: Path, leaf: str, middle: str) -> None:
    root = vector(vectors, "root_ca")
    chain = (vector(vectors, leaf), vector(vectors, middle), root)
    with pytest.raises(UntrustedCertificate):
        Trust(frozenset({sha256(root).digest()})).public_key(chain, NOW)


def test_a_chain_is_good_for_its_whole_life_and_not_a_second_longer(
    trust: Trust, chain: Chain
) -> None:
    leaf = x509.load_der_x509_certificate(chain[0])
    begin, end = leaf.not_valid_before_utc, leaf.not_valid_after_utc
    second = timedelta(seconds=1)
    for moment in (NOW, begin, end):
        assert trust.public_key(chain, moment) == leaf.public_key()
    for moment in (begin - second, end + second):
        with pytest.raises(UntrustedCertificate, match="valid then"):
            trust.public_key(chain, moment)


def test_a_chain_that_was_rejected_for_its_dates_may_be_good_at_another(
    trust: Trust, chain: Chain
) -> None:
    with pytest.raises(UntrustedCertificate):
        trust.public_key(chain, NOW + timedelta(days=500))
    leaf = x509.load_der_x509_certificate(chain[0])
    assert trust.public_key(chain, NOW) == leaf.public_key()


def test_a_root_that_is_not_pinned_is_nobodys(keys: Keys, chain: Chain) -> None:
    with pytest.raises(UntrustedCertificate, match="not pinned"):
        Trust(frozenset({APPLE_ROOT_G3})).public_key(chain, NOW)
    with pytest.raises(UntrustedCertificate, match="not pinned"):
        Trust(frozenset({sha256(keys.root_der).digest()})).public_key(
            (chain[0], chain[1], chain[2] + b"\0"), NOW
        )


def test_the_true_root_over_a_strangers_middle_proves_nothing(trust: Trust, keys: Keys) -> None:
    for name in ("Middle", "Stranger"):
        stranger = Authority(name, new_key(ec.SECP384R1()))
        own = stranger.issue(name, stranger.key, MIDDLE_MARK, ca=True)
        leaf = stranger.issue("Leaf", keys.leaf, LEAF_MARK)
        for middle in (own, keys.middle_der):
            with pytest.raises(UntrustedCertificate):
                trust.public_key((leaf, middle, keys.root_der), NOW)


@pytest.mark.parametrize("marks", [(), (MIDDLE_MARK,), ("1.2.840.113635.100.6.11.2",)])
def test_another_developers_certificate_does_not_sign_for_the_store(
    trust: Trust, keys: Keys, marks: tuple[str, ...]
) -> None:
    leaf, middle, root = keys.signer(marks=marks).chain
    with pytest.raises(UntrustedCertificate, match="signs for the App Store"):
        trust.public_key((leaf, middle, root), NOW)


def test_an_authority_of_another_kind_does_not_certify_for_the_store(
    trust: Trust, keys: Keys
) -> None:
    unmarked = keys.root.issue("Middle", keys.middle.key, ca=True)
    with pytest.raises(UntrustedCertificate, match="signs for the App Store"):
        trust.public_key((keys.signer().chain[0], unmarked, keys.root_der), NOW)


def test_a_leaf_is_no_authority(trust: Trust, keys: Keys) -> None:
    signer = keys.signer(marks=(LEAF_MARK, MIDDLE_MARK))
    forged = Authority("Leaf", signer.key).issue("Forged", new_key(), LEAF_MARK)
    with pytest.raises(UntrustedCertificate):
        trust.public_key((forged, signer.chain[0], keys.root_der), NOW)


def test_a_root_alone_or_a_leaf_right_under_it_is_no_chain(trust: Trust, keys: Keys) -> None:
    right_under = keys.root.issue("Leaf", keys.leaf, LEAF_MARK, MIDDLE_MARK)
    for leaf, middle in ((keys.root_der, keys.root_der), (right_under, right_under)):
        with pytest.raises(UntrustedCertificate):
            trust.public_key((leaf, middle, keys.root_der), NOW)


@pytest.mark.parametrize("curve", [ec.SECP384R1(), ec.SECP521R1()])
def test_a_leaf_with_another_curve_does_not_sign(
    trust: Trust, keys: Keys, curve: ec.EllipticCurve
) -> None:
    leaf, middle, root = keys.signer(key=new_key(curve)).chain
    with pytest.raises(UntrustedCertificate):
        trust.public_key((leaf, middle, root), NOW)


@pytest.mark.parametrize("rubbish", [b"", b"\0", b"\x30\x80", b"no certificate"])
def test_rubbish_is_no_certificate(trust: Trust, chain: Chain, rubbish: bytes) -> None:
    for broken in ((rubbish, chain[1], chain[2]), (chain[0], rubbish, chain[2])):
        with pytest.raises(UntrustedCertificate):
            trust.public_key(broken, NOW)


def test_a_serial_number_that_no_authority_gives_is_rejected(trust: Trust, chain: Chain) -> None:
    serial = x509.load_der_x509_certificate(chain[0]).serial_number
    written = serial.to_bytes((serial.bit_length() + 8) // 8)
    assert chain[0].count(written) == 1
    negative = chain[0].replace(written, bytes([written[0] | 0x80]) + written[1:])
    with pytest.raises(UntrustedCertificate, match="serial"):
        trust.public_key((negative, chain[1], chain[2]), NOW)


def test_a_certificate_of_an_unknown_version_is_rejected(trust: Trust, chain: Chain) -> None:
    version = bytes.fromhex("a003020102")
    assert chain[0].count(version) == 1
    unknown = chain[0].replace(version, version[:-1] + b"\7")
    with pytest.raises(UntrustedCertificate, match="version"):
        trust.public_key((unknown, chain[1], chain[2]), NOW)


def test_many_chains_are_remembered_and_still_each_is_checked(trust: Trust, keys: Keys) -> None:
    signers = [keys.signer(key=new_key()) for _ in range(20)]
    for _ in range(2):
        for signer in signers:
            leaf, middle, root = signer.chain
            assert trust.public_key((leaf, middle, root), NOW) == signer.key.public_key()


def test_a_root_is_named_in_pem_or_in_base64(keys: Keys) -> None:
    expected = sha256(keys.root_der).digest()
    text = x509.load_der_x509_certificate(keys.root_der).public_bytes(Encoding.PEM).decode()
    assert fingerprint(text) == fingerprint(keys.root_text + "\n") == expected


@pytest.mark.parametrize("text", ["", "?", "AAAA", "-----BEGIN CERTIFICATE-----\n"])
def test_a_root_that_is_none_is_a_wrong_configuration(text: str) -> None:
    with pytest.raises(ValueError, match="neither PEM nor DER"):
        fingerprint(text)
