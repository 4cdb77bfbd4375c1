"""Certificate mode: serial numbers, and the checks that hang on them."""

from pathlib import Path
from typing import Any

import pytest
from cryptography import x509

from sandbox.alipay.certificates import pem, root_serial_number, serial_number
from tests.sandbox.alipay_shop import AlipayShop
from tests.sandbox.conftest import shop_of
from tests.sandbox.rig import Rig

PUBLISHED = Path("../shared/vectors/yansongda/alipayAppPublicCert.crt")


@pytest.fixture
def cert_shop(rig: Rig) -> AlipayShop:
    shop = shop_of(rig, "cert")
    shop.extra = {
        "app_cert_sn": serial_number(shop.certificates("app_cert_file")[0]),
        "alipay_root_cert_sn": root_serial_number(pem(*shop.certificates("alipay_root_cert_file"))),
    }
    return shop


async def test_the_answer_names_the_certificate_that_signed_it(
    cert_shop: AlipayShop, order: dict[str, Any]
) -> None:
    response = await cert_shop.post(cert_shop.params("alipay.trade.precreate", order))
    assert cert_shop.node(response)["code"] == "10000"
    first = cert_shop.certificates("alipay_cert_file")[0]
    assert response.json()["alipay_cert_sn"] == serial_number(first)


@pytest.mark.parametrize(
    ("field", "value", "sub_code"),
    [
        ("app_cert_sn", None, "isv.missing-app-cert-sn"),
        ("app_cert_sn", "0" * 32, "isv.app-cert-not-exist"),
        ("alipay_root_cert_sn", None, "isv.missing-alipay-root-cert-sn"),
        ("alipay_root_cert_sn", "0" * 32, "isv.invalid-alipay-root-cert-sn"),
    ],
)
async def test_a_wrong_serial_number_is_rejected(
    cert_shop: AlipayShop, field: str, value: str | None, sub_code: str
) -> None:
    node = await cert_shop.call("alipay.trade.query", {"out_trade_no": "x"}, **{field: value})
    assert node["sub_code"] == sub_code


async def test_the_certificates_form_a_chain_to_the_root(cert_shop: AlipayShop) -> None:
    leaf, middle = cert_shop.certificates("alipay_cert_file")
    roots = cert_shop.certificates("alipay_root_cert_file")
    leaf.verify_directly_issued_by(middle)
    middle.verify_directly_issued_by(roots[0])
    assert len(list(leaf.issuer)) == 4
    assert [len(part) for part in root_serial_number(pem(*roots)).split("_")] == [32, 32]
    assert len(roots) == 3


@pytest.mark.skipif(not PUBLISHED.exists(), reason="no published vectors here")
def test_a_published_serial_number_is_reproduced() -> None:
    certificate = x509.load_pem_x509_certificate(PUBLISHED.read_bytes())
    assert serial_number(certificate) == "e90dd23a37c5c7b616e003970817ff82"
