from typing import Any

import pytest

from domain.checkout import CheckoutKind
from domain.errors import OutcomeUnknown, ProviderRejected, ProviderUnavailable
from domain.payment import Payment
from domain.report import Outcome
from providers.wechatpay.provider import WechatpayProvider
from tests.providers.wechatpay import wechat as side
from tests.providers.wechatpay.wechat import FakeWechat, TurnableClock

MISSING = {"code": "ORDER_NOT_EXIST", "message": "订单不存在"}


async def test_a_barcode_is_charged_at_once(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    barcode_payment: Payment,
    transaction: dict[str, Any],
) -> None:
    wechat.then(200, transaction | {"trade_type": "MICROPAY"})
    created = await provider.create(barcode_payment)
    assert created.checkout.kind is CheckoutKind.NONE
    assert created.report is not None
    assert (created.report.outcome, created.report.amount) == (Outcome.PAID, 1999)
    assert created.provider_reference == transaction["transaction_id"]


@pytest.mark.parametrize(
    ("content", "raw"),
    [
        ({"code": "USERPAYING", "message": "需要输入密码"}, "USERPAYING"),
        ({"code": "USER_PAYING", "message": ""}, "USER_PAYING"),
        ({}, "USERPAYING"),
    ],
)
async def test_a_payer_who_types_a_password_is_pending(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    barcode_payment: Payment,
    content: dict[str, str],
    raw: str,
) -> None:
    wechat.then(202, content)
    created = await provider.create(barcode_payment)
    assert created.report is not None
    assert (created.report.outcome, created.report.raw_status) == (Outcome.PENDING, raw)
    assert created.report.reference == barcode_payment.reference


async def test_an_unsigned_pending_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, barcode_payment: Payment
) -> None:
    wechat.then_unsigned(202, {"code": "USERPAYING", "message": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.create(barcode_payment)


@pytest.mark.parametrize("state", ["NOTPAY", "PAYERROR", "CLOSED", "REVOKED"])
async def test_a_rejected_charge_is_a_no_once_wechat_says_that_nothing_is_paid(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    barcode_payment: Payment,
    transaction: dict[str, Any],
    state: str,
) -> None:
    wechat.then(403, {"code": "NOT_ENOUGH", "message": "余额不足"})
    wechat.then(200, transaction | {"trade_state": state})
    with pytest.raises(ProviderRejected) as caught:
        await provider.create(barcode_payment)
    assert caught.value.provider_code == "NOT_ENOUGH"


async def test_a_rejected_charge_of_an_order_that_does_not_exist_is_a_no(
    provider: WechatpayProvider, wechat: FakeWechat, barcode_payment: Payment
) -> None:
    wechat.then_unsigned(400, {"code": "PARAM_ERROR", "message": ""})
    wechat.then_unsigned(404, MISSING)
    with pytest.raises(ProviderRejected):
        await provider.create(barcode_payment)


@pytest.mark.parametrize(
    ("code", "state", "outcome"),
    [
        ("AUTH_CODE_INVALID", "SUCCESS", Outcome.PAID),
        ("ORDERPAID", "SUCCESS", Outcome.PAID),
        ("OUT_TRADE_NO_USED", "USERPAYING", Outcome.PENDING),
        ("INVALID_REQUEST", "ACCEPT", Outcome.PENDING),
    ],
)
async def test_a_rejection_that_echoes_an_earlier_charge_reports_that_charge(
    *,
    provider: WechatpayProvider,
    wechat: FakeWechat,
    barcode_payment: Payment,
    transaction: dict[str, Any],
    code: str,
    state: str,
    outcome: Outcome,
) -> None:
    wechat.then_unsigned(400, {"code": code, "message": ""})
    wechat.then(200, transaction | {"trade_state": state})
    created = await provider.create(barcode_payment)
    assert created.report is not None
    assert created.report.outcome is outcome


async def test_a_rejection_that_cannot_be_queried_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, barcode_payment: Payment
) -> None:
    wechat.then_unsigned(400, {"code": "AUTH_CODE_EXPIRED", "message": ""})
    wechat.then_unsigned(500, b"")
    with pytest.raises(OutcomeUnknown):
        await provider.create(barcode_payment)


async def test_a_charge_that_is_rejected_for_who_we_are_is_a_no_once_the_question_is_too(
    provider: WechatpayProvider, wechat: FakeWechat, barcode_payment: Payment
) -> None:
    for _ in range(2):
        wechat.then_unsigned(401, {"code": "SIGN_ERROR", "message": ""})
    with pytest.raises(ProviderRejected):
        await provider.create(barcode_payment)


async def test_a_spent_code_is_no_proof_where_the_question_is_rejected(
    provider: WechatpayProvider, wechat: FakeWechat, barcode_payment: Payment
) -> None:
    wechat.then(403, {"code": "AUTH_CODE_ERROR", "message": ""})
    wechat.then_unsigned(401, {"code": "SIGN_ERROR", "message": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.create(barcode_payment)


async def test_a_system_error_is_an_unknown_outcome_and_queries_nothing(
    provider: WechatpayProvider, wechat: FakeWechat, barcode_payment: Payment
) -> None:
    wechat.then_unsigned(500, {"code": "BANK_ERROR", "message": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.create(barcode_payment)
    assert len(wechat.requests) == 1


@pytest.mark.parametrize(
    ("state", "outcome"),
    [("SUCCESS", Outcome.PAID), ("REVOKED", Outcome.CLOSED), ("CLOSED", Outcome.CLOSED)],
)
async def test_an_order_that_has_ended_is_never_reversed(
    *,
    provider: WechatpayProvider,
    wechat: FakeWechat,
    barcode_payment: Payment,
    transaction: dict[str, Any],
    state: str,
    outcome: Outcome,
) -> None:
    wechat.then(200, transaction | {"trade_state": state})
    assert (await provider.close(barcode_payment)).outcome is outcome
    assert [request.method for request in wechat.requests] == ["GET"]


async def test_an_order_younger_than_15_seconds_is_not_reversed_yet(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    barcode_payment: Payment,
    transaction: dict[str, Any],
    clock: TurnableClock,
) -> None:
    clock.advance(seconds=4)
    wechat.then(200, transaction | {"trade_state": "USERPAYING"})
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.close(barcode_payment)
    assert caught.value.retry_after == 11.0
    assert [request.method for request in wechat.requests] == ["GET"]


@pytest.mark.parametrize("status", [200, 204])
async def test_an_open_order_is_reversed_after_15_seconds(
    *,
    provider: WechatpayProvider,
    wechat: FakeWechat,
    barcode_payment: Payment,
    transaction: dict[str, Any],
    clock: TurnableClock,
    status: int,
) -> None:
    clock.advance(seconds=15)
    wechat.then(200, transaction | {"trade_state": "USERPAYING"})
    wechat.then(status, {"out_trade_no": barcode_payment.reference} if status == 200 else None)
    report = await provider.close(barcode_payment)
    assert (report.outcome, report.raw_status) == (Outcome.CLOSED, "REVOKED")
    assert wechat.requests[1].url.path.endswith(f"/{barcode_payment.reference}/reverse")
    assert wechat.body_of() == {"appid": side.APPID, "mchid": side.MCHID}


@pytest.mark.parametrize("verb", ["query", "close"])
async def test_a_failed_charge_is_a_failure_once_it_is_reversed(
    *,
    provider: WechatpayProvider,
    wechat: FakeWechat,
    barcode_payment: Payment,
    transaction: dict[str, Any],
    clock: TurnableClock,
    verb: str,
) -> None:
    failed = transaction | {"trade_state": "PAYERROR", "trade_state_desc": "支付失败，请撤销订单"}
    clock.advance(seconds=5)
    wechat.then(200, failed)
    assert (await provider.query(barcode_payment)).outcome is Outcome.PENDING
    clock.advance(seconds=10)
    wechat.then(200, failed)
    wechat.then(200, {"out_trade_no": barcode_payment.reference})
    report = await getattr(provider, verb)(barcode_payment)
    assert (report.outcome, report.raw_status) == (Outcome.FAILED, "PAYERROR")
    assert [request.method for request in wechat.requests] == ["GET", "GET", "POST"]
    assert wechat.requests[2].url.path.endswith("/reverse")


async def test_only_a_barcodes_order_is_reversed(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    clock: TurnableClock,
) -> None:
    clock.advance(minutes=1)
    wechat.then(200, transaction | {"trade_state": "PAYERROR"})
    assert (await provider.query(payment)).outcome is Outcome.PENDING
    assert [request.method for request in wechat.requests] == ["GET"]


async def test_a_failed_charge_that_is_not_reversed_is_no_failure(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    barcode_payment: Payment,
    transaction: dict[str, Any],
    clock: TurnableClock,
) -> None:
    clock.advance(seconds=15)
    wechat.then(200, transaction | {"trade_state": "PAYERROR"})
    wechat.then_unsigned(500, {"code": "SYSTEM_ERROR", "message": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.query(barcode_payment)


async def test_an_order_that_never_arrived_is_reversed_all_the_same(
    provider: WechatpayProvider, wechat: FakeWechat, barcode_payment: Payment, clock: TurnableClock
) -> None:
    clock.advance(minutes=1)
    wechat.then(404, MISSING)
    wechat.then(404, MISSING)
    assert (await provider.close(barcode_payment)).outcome is Outcome.NOT_FOUND
    assert [request.method for request in wechat.requests] == ["GET", "POST"]


async def test_a_rejected_reversal_ends_nothing(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    barcode_payment: Payment,
    transaction: dict[str, Any],
    clock: TurnableClock,
) -> None:
    clock.advance(minutes=1)
    wechat.then(200, transaction | {"trade_state": "USERPAYING"})
    wechat.then(403, {"code": "TRADE_ERROR", "message": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.close(barcode_payment)
