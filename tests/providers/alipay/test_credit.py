"""A trade whose buyer pays later, by each way that it is reported."""

from collections.abc import Awaitable, Callable
from typing import Any

import pytest

from domain.payment import Channel
from domain.report import Attention, Outcome, PaymentReport
from providers.alipay.provider import AlipayProvider
from tests.providers.alipay.conftest import Order
from tests.providers.alipay.fake import FakeAlipay
from tests.providers.alipay.nodes import PAID, PAY, QUERY

MODE = "creditAdvanceV2"
REPORTED = PAID | {"credit_pay_mode": MODE}

Reported = Callable[[FakeAlipay, AlipayProvider, Order], Awaitable[PaymentReport | None]]


async def by_query(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> PaymentReport | None:
    alipay.nodes[QUERY] = REPORTED
    return await provider.query(payment())


async def by_barcode(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> PaymentReport | None:
    alipay.nodes[PAY] = REPORTED
    return (await provider.create(payment(Channel.BARCODE))).report


async def by_notification(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> PaymentReport | None:
    form = {
        "notify_id": "2026030100222",
        "notify_type": "trade_status_sync",
        "app_id": "2021000000000001",
        "out_trade_no": payment().reference,
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "19.99",
        "credit_pay_mode": MODE,
    }
    return (await provider.parse_notification({}, alipay.form(form))).payment


@pytest.mark.parametrize(
    ("modes", "mismatch"), [([], Attention.CREDIT_PAYMENT), ([MODE], None)], ids=["none", "signed"]
)
@pytest.mark.parametrize("reported", [by_query, by_barcode, by_notification])
async def test_a_credit_payment_is_paid_only_for_an_account_that_has_signed_for_it(
    alipay: FakeAlipay,
    account: dict[str, Any],
    payment: Order,
    reported: Reported,
    modes: list[str],
    mismatch: Attention | None,
) -> None:
    provider = alipay.provider(account | {"credit_pay_modes": modes})
    report = await reported(alipay, provider, payment)
    assert report is not None
    assert (report.outcome, report.mismatch) == (Outcome.PAID, mismatch)
