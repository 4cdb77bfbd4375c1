import base64
import hashlib
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import pytest
from cryptography.hazmat.primitives.asymmetric import ec

from domain.errors import OutcomeUnknown
from providers.alipay import certificates
from providers.alipay.certificates import is_successor, serial_number
from providers.alipay.config import AlipayConfig
from providers.alipay.keys import Credentials
from providers.kit.certificates import load_certificates
from tests.providers.alipay.conftest import Order
from tests.providers.alipay.fake import NOW, Authority, FakeAlipay, Keys, new_key, pem

DOWNLOAD = "alipay.open.app.alipaycert.download"
QUERY = "alipay.trade.query"
Vectors = Callable[[str], dict[str, Any]]


def test_published_serial_numbers_are_ours(vectors: Vectors) -> None:
    app = vectors("yansongda-app")
    assert serial_number(load_certificates(app["text"])[0]) == app["expected_sn"]
    root = vectors("yansongda-root")
    roots = load_certificates(root["text"])
    assert certificates.root_serial_number(roots) == root["expected_sn"]


def test_a_serial_number_is_the_digest_of_issuer_and_decimal_serial(keys: Keys) -> None:
    found = load_certificates(keys.alipay_cert)[0]
    issuer = "CN=Class 2 R1,OU=Alipay,O=Ant Financial,C=CN"
    text = f"{issuer}{found.serial_number}".encode()
    assert serial_number(found) == hashlib.md5(text, usedforsecurity=False).hexdigest()


def test_a_file_without_a_certificate_is_refused() -> None:
    broken = "-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----"
    for text in ("", "rubbish", broken):
        with pytest.raises(ValueError, match="no readable certificate"):
            load_certificates(text)


def test_a_certificate_of_another_kind_of_key_is_refused(keys: Keys) -> None:
    curve = keys.authority.issue("curve", ec.generate_private_key(ec.SECP256R1()))
    with pytest.raises(ValueError, match="no RSA key"):
        certificates.public_key(curve)


def test_a_certificate_of_an_unknown_kind_of_key_is_refused(vectors: Vectors) -> None:
    sm2 = load_certificates(vectors("yansongda-root")["text"])[0]
    with pytest.raises(ValueError, match="certificate"):
        certificates.public_key(sm2)


def succeeds(keys: Keys, *new: Any, **times: float) -> bool:
    known, roots = load_certificates(keys.alipay_cert), load_certificates(keys.root_cert)
    return is_successor(list(new), known, roots, NOW + timedelta(**times))


def test_alipays_next_certificate_succeeds_the_configured_one(keys: Keys) -> None:
    assert succeeds(keys, keys.authority.issue("Alipay-2088", keys.next_alipay))


def test_a_merchants_certificate_of_the_same_authority_is_not_alipays(keys: Keys) -> None:
    assert not succeeds(keys, keys.authority.issue("2088-mallory", keys.stranger))


def test_a_certificate_outside_its_time_succeeds_nothing(keys: Keys) -> None:
    new = keys.authority.issue("Alipay-2088", keys.next_alipay, days=10)
    assert succeeds(keys, new, days=9)
    assert not succeeds(keys, new, days=11)
    assert not succeeds(keys, new, days=-401)


def test_names_alone_prove_nothing(keys: Keys) -> None:
    forger = Authority("Class 2 R1", keys.stranger)
    leaf = forger.issue("Alipay-2088", keys.stranger)
    assert not succeeds(keys, leaf)
    issuer = Authority("Root R1", keys.stranger).issue("Class 2 R1", keys.stranger, ca=True)
    assert not succeeds(keys, leaf, issuer)


@pytest.mark.parametrize("ca", [None, False])
def test_a_merchants_certificate_issues_nothing(keys: Keys, ca: bool | None) -> None:  # noqa: FBT001 - a parameter of the test
    """A chain that is signed all the way, through a certificate that may not sign."""
    mallory = keys.authority.issue("Class 2 R1", keys.stranger, ca=ca)
    leaf = Authority("Class 2 R1", keys.stranger).issue("Alipay-2088", keys.stranger)
    assert not succeeds(keys, leaf, mallory)


def test_issuers_may_come_with_the_new_certificate(keys: Keys) -> None:
    known = load_certificates(keys.alipay_cert)
    roots = load_certificates(keys.root_cert)
    new = keys.authority.issue("Alipay-2088", keys.next_alipay)
    assert is_successor([new, known[1]], known[:1], roots, NOW)
    assert not is_successor([new], known[:1], roots, NOW)


def test_a_chain_that_never_ends_is_given_up(keys: Keys) -> None:
    circle = Authority("Class 2 R1", keys.authority.key).issue(
        "Class 2 R1", keys.authority.key, ca=True
    )
    known = [load_certificates(keys.alipay_cert)[0], circle]
    new = keys.authority.issue("Alipay-2088", keys.next_alipay)
    assert not is_successor([new], known, load_certificates(keys.root_cert), NOW)


def rotated(alipay: FakeAlipay, keys: Keys, content: str | None = None) -> str:
    """From now on Alipay signs with its next key; returns the new certificate's SN."""
    new = keys.authority.issue("Alipay-2088", keys.next_alipay)
    alipay.cert_sn, alipay.signer = serial_number(new), keys.next_alipay
    text = pem(new) if content is None else content
    alipay.nodes[DOWNLOAD] = {
        "code": "10000",
        "alipay_cert_content": base64.b64encode(text.encode()).decode(),
    }
    alipay.nodes[QUERY] = {"code": "10000", "trade_status": "TRADE_SUCCESS", "total_amount": "1"}
    return serial_number(new)


async def test_a_new_certificate_is_fetched_once_and_then_known(
    alipay: FakeAlipay, certificate_account: dict[str, Any], keys: Keys, payment: Order
) -> None:
    provider = alipay.provider(certificate_account)
    number = rotated(alipay, keys)
    assert (await provider.query(payment())).outcome == "paid"
    assert (await provider.query(payment())).outcome == "paid"
    assert alipay.methods() == [QUERY, DOWNLOAD, QUERY]
    assert alipay.content(1) == {"alipay_cert_sn": number}
    body = alipay.form(
        {"notify_id": "1", "out_trade_no": "2", "app_id": "2021000000000001"}
        | {"notify_type": "trade_status_sync"}
    )
    assert (await provider.parse_notification({}, body)).reference == "2"


async def test_a_new_certificate_that_is_not_alipays_is_not_believed(
    alipay: FakeAlipay, certificate_account: dict[str, Any], keys: Keys, payment: Order
) -> None:
    provider = alipay.provider(certificate_account)
    another = pem(keys.authority.issue("Alipay-2088", keys.next_alipay))
    for content in (another, "rubbish", pem(keys.authority.issue("x", keys.stranger))):
        rotated(alipay, keys, content)
        with pytest.raises(OutcomeUnknown):
            await provider.query(payment())


@pytest.mark.parametrize("content", ["%%%", "/////w=="])
async def test_a_garbled_download_leaves_the_outcome_unknown(
    alipay: FakeAlipay,
    certificate_account: dict[str, Any],
    keys: Keys,
    payment: Order,
    content: str,
) -> None:
    provider = alipay.provider(certificate_account)
    rotated(alipay, keys)
    alipay.nodes[DOWNLOAD] = {"code": "10000", "alipay_cert_content": content}
    with pytest.raises(OutcomeUnknown):
        await provider.query(payment())


def test_certificate_mode_adds_its_serial_numbers_to_every_request(
    alipay: FakeAlipay, certificate_account: dict[str, Any], keys: Keys
) -> None:
    credentials = Credentials(AlipayConfig(**certificate_account))
    assert credentials.identity == {
        "app_cert_sn": serial_number(load_certificates(keys.app_cert)[0]),
        "alipay_root_cert_sn": serial_number(load_certificates(keys.root_cert)[0]),
    }


def test_an_app_certificate_of_another_key_is_refused(
    alipay: FakeAlipay, certificate_account: dict[str, Any], keys: Keys
) -> None:
    stranger = pem(keys.authority.issue("2088-app", new_key()))
    with pytest.raises(ValueError, match="app_cert does not belong"):
        alipay.provider(certificate_account, app_cert=stranger)


def test_only_the_first_certificate_of_a_file_names_the_account(
    alipay: FakeAlipay, certificate_account: dict[str, Any], keys: Keys
) -> None:
    chain = keys.app_cert + keys.root_cert
    one = Credentials(AlipayConfig(**certificate_account))
    two = Credentials(AlipayConfig(**certificate_account | {"app_cert": chain}))
    assert one.identity == two.identity
