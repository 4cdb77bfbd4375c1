from typing import Any

import pytest

from domain.checkout import CheckoutKind
from domain.errors import (
    OutcomeUnknown,
    ProviderBlocked,
    ProviderError,
    ProviderRejected,
    ProviderUnavailable,
)
from domain.payment import Channel, Payer
from domain.refund import Refund
from domain.report import Outcome
from providers.alipay.provider import AlipayProvider
from tests.providers.alipay.conftest import NOW, Order
from tests.providers.alipay.fake import NOTIFY_URL, FakeAlipay
from tests.providers.alipay.nodes import (
    CLOSE,
    CREATE,
    MISSING,
    OK,
    PAID,
    PAY,
    PRECREATE,
    QUERY,
    REFUND_QUERY,
    no,
)


async def test_a_qr_order_gives_the_text_to_show(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes[PRECREATE] = OK | {"qr_code": "https://qr.alipay.com/1"}
    created = await provider.create(payment())
    assert (created.checkout.kind, created.checkout.value) == (
        CheckoutKind.QR,
        "https://qr.alipay.com/1",
    )
    assert created.checkout.expires_at == payment().expires_at
    assert (created.report, created.provider_reference) == (None, None)
    assert alipay.calls[0][1]["notify_url"] == NOTIFY_URL


async def test_a_jsapi_order_gives_the_call_that_the_page_makes(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes[CREATE] = OK | {"trade_no": "2026"}
    created = await provider.create(payment(Channel.JSAPI))
    assert created.checkout.kind is CheckoutKind.SDK
    assert created.checkout.parameters == {"tradeNO": "2026"}
    assert created.provider_reference == "2026"


@pytest.mark.parametrize(
    ("channel", "node"),
    [
        (Channel.QR, OK),
        (Channel.QR, OK | {"qr_code": 7}),
        (Channel.QR, {"code": "10003"}),
        (Channel.JSAPI, OK),
        (Channel.JSAPI, OK | {"trade_no": ""}),
    ],
)
async def test_a_success_without_a_checkout_is_an_unknown_outcome(
    alipay: FakeAlipay,
    provider: AlipayProvider,
    payment: Order,
    channel: Channel,
    node: dict[str, Any],
) -> None:
    alipay.nodes |= {PRECREATE: node, CREATE: node}
    with pytest.raises(OutcomeUnknown):
        await provider.create(payment(channel))


async def test_a_barcode_that_is_paid_at_once_says_so(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    paid = {key: value for key, value in PAID.items() if key != "trade_status"}
    alipay.nodes[PAY] = paid | {"gmt_payment": "2026-03-01 12:05:06"}
    created = await provider.create(payment(Channel.BARCODE))
    assert (created.checkout.kind, created.provider_reference) == (CheckoutKind.NONE, "2026")
    assert created.report is not None
    assert (created.report.outcome, created.report.paid_at) == (Outcome.PAID, NOW)
    assert payment().mismatch(created.report) is None


async def test_a_barcode_whose_payer_types_a_password_is_pending(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    zero = {"buyer_pay_amount": "0.00", "total_amount": "19.99"}
    alipay.nodes[PAY] = {"code": "10003", "msg": " order success pay inprocess", **zero}
    created = await provider.create(payment(Channel.BARCODE))
    assert created.report is not None
    assert (created.report.outcome, created.report.raw_status) == (Outcome.PENDING, "10003")


@pytest.mark.parametrize(
    ("node", "error"),
    [
        (no("ACQ.BUYER_BALANCE_NOT_ENOUGH", buyer_pay_amount="0.00"), ProviderRejected),
        (no("ACQ.PAYMENT_AUTH_CODE_INVALID"), ProviderRejected),
        (no("ACQ.PAYMENT_FAIL"), ProviderRejected),
        (no("ACQ.BUYER_BANKCARD_BALANCE_NOT_ENOUGH"), ProviderRejected),
        (no("ACQ.TRADE_HAS_CLOSE"), ProviderRejected),
        (no("ACQ.CONTEXT_INCONSISTENT"), ProviderRejected),
        (no("isv.insufficient-isv-permissions", "40006"), ProviderBlocked),
        (no("ACQ.MERCHANT_AGREEMENT_INVALID"), ProviderBlocked),
        (no("isv.decryption-error-unknown", "40002"), ProviderUnavailable),
        (no("ACQ.SYSTEM_ERROR"), OutcomeUnknown),
        (no("AQC.SYSTEM_ERROR"), OutcomeUnknown),
        (no("aop.unknow-error", "20000"), OutcomeUnknown),
        (no("ACQ.SOMETHING_NEW"), OutcomeUnknown),
        (no("isv.app-call-limited", "40005"), ProviderUnavailable),
    ],
)
async def test_a_rejected_order_says_whether_money_may_have_moved(
    alipay: FakeAlipay,
    provider: AlipayProvider,
    payment: Order,
    node: dict[str, str],
    error: type[ProviderError],
) -> None:
    alipay.nodes[PAY] = node
    with pytest.raises(error) as caught:
        await provider.create(payment(Channel.BARCODE))
    assert caught.value.provider_code == node["sub_code"]
    assert caught.value.provider_message == "why"
    assert bool(caught.value.retry_after) is (error is ProviderUnavailable)


async def test_an_order_that_was_paid_before_is_queried(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes |= {PAY: no("ACQ.TRADE_HAS_SUCCESS"), QUERY: PAID}
    created = await provider.create(payment(Channel.BARCODE))
    assert created.report is not None
    assert created.report.outcome is Outcome.PAID
    assert created.provider_reference == "2026"


async def test_an_order_without_its_payer_is_sent_and_rejected_rather_than_crashing(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes |= {PAY: no("ACQ.INVALID_PARAMETER"), CREATE: no("ACQ.INVALID_PARAMETER")}
    for channel in (Channel.BARCODE, Channel.JSAPI):
        with pytest.raises(ProviderRejected):
            await provider.create(payment(channel, payer=Payer()))


async def test_a_trade_that_does_not_exist_yet_is_no_failure(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes |= {QUERY: MISSING, CLOSE: MISSING}
    for report in (await provider.query(payment()), await provider.close(payment())):
        assert (report.outcome, report.raw_status) == (Outcome.NOT_FOUND, "ACQ.TRADE_NOT_EXIST")
        assert report.reference == payment().reference


@pytest.mark.parametrize(
    ("node", "error"),
    [
        (no("ACQ.INVALID_PARAMETER"), ProviderUnavailable),
        (no("isv.invalid-parameter", "40002"), ProviderUnavailable),
        (no("isv.something-new", "40002"), ProviderUnavailable),
        (no("isv.method-call-limited", "40005"), ProviderUnavailable),
        (no("isp.unknow-error", "20000"), OutcomeUnknown),
        (no("ACQ.SYSTEM_ERROR"), OutcomeUnknown),
        ({"code": "10003"}, OutcomeUnknown),
    ],
)
async def test_a_rejected_question_says_nothing_about_the_payment(
    *,
    alipay: FakeAlipay,
    provider: AlipayProvider,
    payment: Order,
    refund: Refund,
    node: dict[str, str],
    error: type[Exception],
) -> None:
    alipay.nodes |= {QUERY: node, REFUND_QUERY: node}
    with pytest.raises(error):
        await provider.query(payment())
    with pytest.raises(error):
        await provider.query_refund(refund, payment())


@pytest.mark.parametrize(
    ("sub_code", "code"),
    [
        ("isv.invalid-app-id", "40002"),
        ("isv.invalid-signature", "40002"),
        ("isv.missing-signature-config", "40003"),
        ("isv.insufficient-isv-permissions", "40006"),
        ("aop.invalid-app-auth-token", "20001"),
    ],
)
async def test_a_question_that_alipay_will_not_receive_from_us_is_a_definite_no(
    *, alipay: FakeAlipay, provider: AlipayProvider, payment: Order, sub_code: str, code: str
) -> None:
    alipay.nodes |= {QUERY: no(sub_code, code), CLOSE: no("ACQ.TRADE_STATUS_ERROR")}
    with pytest.raises(ProviderRejected) as caught:
        await provider.query(payment())
    assert caught.value.provider_code == sub_code
    # Asked on the way to another answer, it settles nothing.
    with pytest.raises(ProviderUnavailable):
        await provider.close(payment())
    with pytest.raises(ProviderUnavailable):
        await provider.close(payment(Channel.BARCODE))


async def test_a_rejected_refund_query_says_nothing_whoever_is_to_blame(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order, refund: Refund
) -> None:
    alipay.nodes[REFUND_QUERY] = no("isv.invalid-signature", "40002")
    with pytest.raises(ProviderUnavailable):
        await provider.query_refund(refund, payment())


async def test_an_unsigned_rejection_of_a_question_is_never_a_no(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.body = b'{"error_response":{"code":"40002","sub_code":"isv.invalid-app-id"}}'
    with pytest.raises(OutcomeUnknown):
        await provider.query(payment())


def test_alipay_is_notified_success_in_exactly_seven_bytes(provider: AlipayProvider) -> None:
    good = provider.acknowledge(accepted=True)
    assert (good.status, good.content_type, good.body) == (200, "text/plain", b"success")
    bad = provider.acknowledge(accepted=False, message="the database is away")
    assert bad.body == b"fail"
