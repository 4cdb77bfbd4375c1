from collections.abc import Callable
from typing import Any

import pytest

from domain.checkout import CheckoutKind
from domain.errors import OutcomeUnknown, ProviderRejected, ProviderUnavailable
from domain.payment import Channel, Payment
from domain.refund import Refund
from domain.report import Attention, Outcome
from providers.base import Provider
from providers.wechatpay.provider import WechatpayProvider
from tests.providers.wechatpay import wechat as side
from tests.providers.wechatpay.wechat import FakeWechat, TurnableClock

MISSING = {"code": "ORDER_NOT_EXIST", "message": "订单不存在"}


def test_it_is_a_provider_of_five_channels_in_yuan(provider: WechatpayProvider) -> None:
    seen: Provider = provider
    assert (seen.name, seen.account) == ("wechatpay", "main")
    assert {channel: rules.needs for channel, rules in seen.channels.items()} == {
        Channel.APP: (),
        Channel.JSAPI: ("open_id",),
        Channel.WAP: ("client_ip",),
        Channel.QR: (),
        Channel.BARCODE: ("auth_code",),
    }
    assert seen.currencies == {"CNY"}


async def test_a_channel_that_wechat_lacks_is_rejected_before_anything_is_sent(
    provider: WechatpayProvider, wechat: FakeWechat, make_payment: Callable[..., Payment]
) -> None:
    with pytest.raises(ProviderRejected):
        await provider.create(make_payment(Channel.PAGE))
    assert wechat.requests == []


async def test_the_same_payment_is_always_the_same_order(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, clock: TurnableClock
) -> None:
    for _ in range(2):
        wechat.then(200, {"code_url": "weixin://wxpay/bizpayurl?pr=1"})
        await provider.create(payment)
        clock.advance(minutes=4)
    first, second = wechat.requests
    assert first.content == second.content


@pytest.mark.parametrize("code", ["ORDERPAID", "ORDER_PAID", "OUT_TRADE_NO_USED"])
async def test_an_order_number_that_is_taken_is_asked_about_before_anything_is_believed(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    code: str,
) -> None:
    wechat.then(403, {"code": code, "message": ""})
    wechat.then(200, transaction)
    created = await provider.create(payment)
    assert created.checkout.kind is CheckoutKind.NONE
    assert created.report is not None
    assert created.report.outcome is Outcome.PAID
    assert created.provider_reference == "4200002026112200000000001"


async def test_a_taken_number_that_nobody_paid_is_a_definite_no(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, transaction: dict[str, Any]
) -> None:
    wechat.then(403, {"code": "OUT_TRADE_NO_USED", "message": "商户订单号重复"})
    wechat.then(200, transaction | {"trade_state": "NOTPAY"})
    with pytest.raises(ProviderRejected):
        await provider.create(payment)


async def test_a_paid_order_that_the_query_does_not_know_yet_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then(400, {"code": "ORDERPAID", "message": ""})
    wechat.then(404, MISSING)
    with pytest.raises(OutcomeUnknown):
        await provider.create(payment)


async def test_an_order_that_is_merely_accepted_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then(202, {"code": "ACCEPTED", "message": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.create(payment)


async def test_a_query_asks_by_our_own_number(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, transaction: dict[str, Any]
) -> None:
    wechat.then(200, transaction)
    report = await provider.query(payment)
    assert (report.outcome, report.amount) == (Outcome.PAID, 1999)
    request = wechat.requests[0]
    assert request.method == "GET"
    assert request.content == b""
    assert request.url.raw_path.decode() == (
        f"/v3/pay/transactions/out-trade-no/{payment.reference}?mchid={side.MCHID}"
    )


@pytest.mark.parametrize("code", ["ORDER_NOT_EXIST", "ORDERNOTEXIST", "RESOURCE_NOT_EXISTS"])
async def test_an_order_that_does_not_exist_is_a_report(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, code: str
) -> None:
    wechat.then_unsigned(404, {"code": code, "message": ""})
    report = await provider.query(payment)
    assert (report.outcome, report.raw_status) == (Outcome.NOT_FOUND, code)
    assert report.reference == payment.reference


@pytest.mark.parametrize(
    ("status", "code"),
    [
        (400, "APPID_MCHID_NOT_MATCH"),
        (404, "MCH_NOT_EXISTS"),
        (500, "SIGN_ERROR"),
        (403, "RULE_LIMIT"),
        (403, "BRAND_NEW_CODE"),
        (400, "PARAM_ERROR"),
    ],
)
async def test_a_refused_question_leaves_the_outcome_unknown(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, status: int, code: str
) -> None:
    wechat.then_unsigned(status, {"code": code, "message": ""})
    with pytest.raises(OutcomeUnknown) as caught:
        await provider.query(payment)
    assert caught.value.provider_code == code


@pytest.mark.parametrize(
    ("status", "code"), [(401, "SIGN_ERROR"), (403, "NO_AUTH"), (403, "NOAUTH")]
)
async def test_a_question_that_wechat_will_not_hear_from_us_is_a_definite_no(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, status: int, code: str
) -> None:
    wechat.then_unsigned(status, {"code": code, "message": ""})
    with pytest.raises(ProviderRejected) as caught:
        await provider.query(payment)
    assert caught.value.provider_code == code


@pytest.mark.parametrize("code", ["APPID_MCHID_NOT_MATCH", "MCH_NOT_EXISTS"])
async def test_a_refusal_of_who_we_are_counts_under_any_status_where_it_is_signed(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, code: str
) -> None:
    wechat.then(400, {"code": code, "message": ""})
    with pytest.raises(ProviderRejected):
        await provider.query(payment)


async def test_a_question_refused_on_the_way_to_another_answer_settles_nothing(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    make_payment: Callable[..., Payment],
) -> None:
    refused = {"code": "SIGN_ERROR", "message": ""}
    wechat.then(403, {"code": "OUT_TRADE_NO_USED", "message": ""})
    wechat.then(401, refused)
    with pytest.raises(OutcomeUnknown):
        await provider.create(payment)
    wechat.then(401, refused)
    with pytest.raises(OutcomeUnknown):
        await provider.close(make_payment(Channel.BARCODE))
    wechat.then(400, {"code": "ORDERPAID", "message": ""})
    wechat.then(401, refused)
    with pytest.raises(OutcomeUnknown):
        await provider.close(payment)


async def test_money_that_went_back_before_we_ever_saw_it_is_no_success(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, transaction: dict[str, Any]
) -> None:
    wechat.then(200, transaction | {"trade_state": "REFUND"})
    report = await provider.query(payment)
    assert payment.mismatch(report) is Attention.EXTERNAL_REFUND


async def test_money_that_we_captured_was_ours_to_give_back(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, transaction: dict[str, Any]
) -> None:
    captured = payment.model_copy(update={"captured": payment.amount})
    wechat.then(200, transaction | {"trade_state": "REFUND"})
    report = await provider.query(captured)
    assert (report.outcome, captured.mismatch(report)) == (Outcome.PAID, None)


async def test_a_till_order_whose_money_went_back_unseen_is_our_own_reversal(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    make_payment: Callable[..., Payment],
    transaction: dict[str, Any],
) -> None:
    payment = make_payment(Channel.BARCODE)
    wechat.then(200, transaction | {"trade_state": "REFUND"})
    report = await provider.close(payment)
    assert (report.outcome, payment.mismatch(report)) == (Outcome.CLOSED, None)
    assert [request.method for request in wechat.requests] == ["GET"]


async def test_another_merchants_refunded_order_is_still_another_merchants(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, transaction: dict[str, Any]
) -> None:
    captured = payment.model_copy(update={"captured": payment.amount})
    wechat.then(200, transaction | {"trade_state": "REFUND", "mchid": "1999999999"})
    report = await provider.query(captured)
    assert captured.mismatch(report) is Attention.ACCOUNT_MISMATCH


async def test_an_answer_about_another_order_does_not_fit_the_payment(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, transaction: dict[str, Any]
) -> None:
    wechat.then(200, transaction | {"out_trade_no": "f" * 32})
    report = await provider.query(payment)
    assert payment.mismatch(report) is Attention.REFERENCE_MISMATCH


async def test_a_close_is_a_signed_204(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then(204)
    assert (await provider.close(payment)).outcome is Outcome.CLOSED
    assert wechat.requests[0].url.path.endswith(f"/out-trade-no/{payment.reference}/close")
    assert wechat.body_of() == {"mchid": side.MCHID}


async def test_an_unsigned_204_closes_nothing(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then_unsigned(204, b"")
    with pytest.raises(OutcomeUnknown):
        await provider.close(payment)


@pytest.mark.parametrize(
    ("status", "code", "outcome"),
    [
        (400, "ORDER_CLOSED", Outcome.CLOSED),
        (400, "ORDERCLOSED", Outcome.CLOSED),
        (404, "ORDER_NOT_EXIST", Outcome.NOT_FOUND),
        (404, "ORDERNOTEXIST", Outcome.NOT_FOUND),
    ],
)
async def test_a_close_says_what_it_found_instead(
    *,
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    status: int,
    code: str,
    outcome: Outcome,
) -> None:
    wechat.then(status, {"code": code, "message": ""})
    report = await provider.close(payment)
    assert (report.outcome, report.raw_status) == (outcome, code)


@pytest.mark.parametrize("status", [400, 403])
async def test_a_close_that_comes_too_late_reports_the_payment(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    status: int,
) -> None:
    wechat.then(status, {"code": "ORDERPAID", "message": "该订单已支付"})
    wechat.then(200, transaction)
    report = await provider.close(payment)
    assert (report.outcome, report.amount) == (Outcome.PAID, 1999)


async def test_a_refused_close_ends_nothing(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then(400, {"code": "INVALID_REQUEST", "message": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.close(payment)


def test_an_accepted_notification_gets_a_204(provider: WechatpayProvider) -> None:
    answer = provider.acknowledge(accepted=True)
    assert (answer.status, answer.body) == (204, b"")


def test_a_refused_notification_gets_a_failing_status_and_a_reason(
    provider: WechatpayProvider,
) -> None:
    answer = provider.acknowledge(accepted=False, message="签名错误")
    assert answer.status == 500
    assert answer.content_type == "application/json"
    assert answer.body.decode() == '{"code": "FAIL", "message": "签名错误"}'


async def test_a_server_error_is_an_unknown_outcome_and_never_a_no(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, refund: Refund
) -> None:
    wechat.then_unsigned(500, {"code": "SYSTEM_ERROR", "message": "系统异常"})
    with pytest.raises(OutcomeUnknown):
        await provider.refund(refund, payment)
    wechat.then_unsigned(503, {"code": "SERVICE_UNAVAILABLE", "message": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.create(payment)


async def test_a_server_error_that_names_a_definite_cause_is_a_no(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then_unsigned(500, {"code": "OPENID_MISMATCH", "message": ""})
    with pytest.raises(ProviderRejected):
        await provider.create(payment)


async def test_a_rate_limited_order_was_certainly_not_made(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then_unsigned(429, {"code": "RATELIMIT_EXCEEDED", "message": ""})
    with pytest.raises(ProviderUnavailable):
        await provider.create(payment)
