from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.payment import Channel, Payment
from domain.refund import Refund
from domain.report import Attention, Outcome, RefundOutcome
from providers.wechatpay import mapping
from providers.wechatpay.config import WechatpayConfig
from providers.wechatpay.wire import RefundAnswer, Transaction
from tests.providers.wechatpay import wechat as side

MakePayment = Callable[..., Payment]
NOTIFY_URL = "https://pay.example.com/notify/wechatpay/main"


@pytest.fixture
def config(account: dict[str, Any]) -> WechatpayConfig:
    return WechatpayConfig.model_validate(account)


def test_an_order_says_what_the_payment_says(
    make_payment: MakePayment, config: WechatpayConfig
) -> None:
    payment = make_payment(Channel.QR)
    assert mapping.order_body(payment, config, NOTIFY_URL) == {
        "appid": side.APPID,
        "mchid": side.MCHID,
        "description": "一杯咖啡",
        "out_trade_no": "0123456789abcdef0123456789abcdef",
        "time_expire": "2026-11-22T16:15:00+08:00",
        "notify_url": NOTIFY_URL,
        "amount": {"total": 1999, "currency": "CNY"},
    }


@pytest.mark.parametrize(
    ("channel", "path", "added"),
    [
        (Channel.APP, "app", {}),
        (Channel.QR, "native", {}),
        (Channel.JSAPI, "jsapi", {"payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}}),
        (
            Channel.WAP,
            "h5",
            {"scene_info": {"payer_client_ip": "203.0.113.7", "h5_info": {"type": "Wap"}}},
        ),
    ],
)
def test_a_channel_adds_what_it_needs(
    make_payment: MakePayment,
    config: WechatpayConfig,
    channel: Channel,
    path: str,
    added: dict[str, Any],
) -> None:
    body = mapping.order_body(make_payment(channel), config, NOTIFY_URL)
    plain = mapping.order_body(make_payment(Channel.QR), config, NOTIFY_URL)
    assert body == plain | added
    assert mapping.order_path(channel) == f"/v3/pay/transactions/{path}"


def test_a_barcode_order_names_code_and_shop_and_is_never_notified(
    make_payment: MakePayment, config: WechatpayConfig
) -> None:
    body = mapping.order_body(make_payment(Channel.BARCODE), config, NOTIFY_URL)
    assert body["payer"] == {"auth_code": "130000000000000000"}
    assert body["scene_info"] == {"store_info": {"id": "1"}}
    assert not {"notify_url", "time_expire"} & body.keys()
    assert mapping.order_path(Channel.BARCODE) == "/v3/pay/transactions/codepay"


def test_a_very_short_payment_still_names_a_time_that_wechat_takes(
    make_payment: MakePayment, config: WechatpayConfig
) -> None:
    payment = make_payment(expires_at=side.NOW + timedelta(seconds=30))
    body = mapping.order_body(payment, config, NOTIFY_URL)
    assert body["time_expire"] == "2026-11-22T16:02:00+08:00"


@pytest.mark.parametrize(
    ("text", "limit", "short"),
    [
        ("abc", 3, "abc"),
        ("abcd", 3, "abc"),
        ("咖啡", 5, "咖"),
        ("咖啡", 6, "咖啡"),
        ("☕️🍵", 9, "☕️"),
        ("a\ud800b", 9, "ab"),
    ],
)
def test_a_text_is_cut_at_whole_characters_within_its_bytes(
    text: str, limit: int, short: str
) -> None:
    assert mapping.shorten(text, limit) == short


def test_a_refund_names_the_whole_orders_amount(payment: Payment, refund: Refund) -> None:
    assert mapping.refund_body(refund, payment, NOTIFY_URL) == {
        "out_trade_no": payment.reference,
        "out_refund_no": refund.reference,
        "reason": "杯子碎了",
        "notify_url": NOTIFY_URL,
        "amount": {"refund": 500, "total": 1999, "currency": "CNY"},
    }


def test_a_refund_of_another_sum_than_was_ordered_names_what_was_taken(
    payment: Payment, refund: Refund
) -> None:
    accepted = payment.model_copy(update={"captured": 1500})
    assert mapping.refund_body(refund, accepted, NOTIFY_URL)["amount"]["total"] == 1500


def test_a_refund_without_a_reason_names_none(payment: Payment, refund: Refund) -> None:
    body = mapping.refund_body(refund.model_copy(update={"reason": None}), payment, NOTIFY_URL)
    assert "reason" not in body


@pytest.mark.parametrize(
    ("state", "outcome"),
    [
        ("NOTPAY", Outcome.PENDING),
        ("USERPAYING", Outcome.PENDING),
        ("ACCEPT", Outcome.PENDING),
        ("SUCCESS", Outcome.PAID),
        ("REFUND", Outcome.PAID),
        ("CLOSED", Outcome.CLOSED),
        ("REVOKED", Outcome.CLOSED),
        ("PAYERROR", Outcome.PENDING),
        ("BRAND_NEW", Outcome.PENDING),
        ("success", Outcome.PENDING),
    ],
)
def test_every_trade_state_has_an_outcome_and_keeps_its_name(
    transaction: dict[str, Any], config: WechatpayConfig, state: str, outcome: Outcome
) -> None:
    wire = Transaction(**transaction | {"trade_state": state, "success_time": None})
    report = mapping.payment_report(wire, config)
    assert (report.outcome, report.raw_status) == (outcome, state)


def test_what_counts_is_the_orders_amount_before_coupons(
    transaction: dict[str, Any], config: WechatpayConfig, payment: Payment
) -> None:
    report = mapping.payment_report(Transaction(**transaction), config)
    assert report.amount == 1999
    assert report.currency == "CNY"
    assert report.paid_at == datetime(2026, 11, 22, 8, 0, 30, tzinfo=UTC)
    assert report.provider_reference == "4200002026112200000000001"
    assert payment.mismatch(report) is None


@pytest.mark.parametrize(
    "change", [{"mchid": "1999999999"}, {"appid": "wxother"}, {"mchid": None}, {"appid": None}]
)
def test_another_merchants_or_apps_transaction_is_a_mismatch(
    transaction: dict[str, Any], config: WechatpayConfig, payment: Payment, change: dict[str, Any]
) -> None:
    report = mapping.payment_report(Transaction(**transaction | change), config)
    assert report.mismatch is Attention.ACCOUNT_MISMATCH
    assert payment.mismatch(report) is Attention.ACCOUNT_MISMATCH


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("PROCESSING", RefundOutcome.PENDING),
        ("SUCCESS", RefundOutcome.SUCCEEDED),
        ("CLOSED", RefundOutcome.FAILED),
        ("ABNORMAL", RefundOutcome.ABNORMAL),
        ("BRAND_NEW", RefundOutcome.PENDING),
    ],
)
def test_every_refund_status_has_an_outcome_and_keeps_its_name(
    refund_answer: dict[str, Any], refund: Refund, status: str, outcome: RefundOutcome
) -> None:
    report = mapping.refund_report(RefundAnswer(**refund_answer | {"status": status}))
    assert (report.outcome, report.raw_status, report.amount) == (outcome, status, 500)
    assert refund.mismatch(report) is None


def test_an_unpaid_order_reports_no_money(
    transaction: dict[str, Any], config: WechatpayConfig
) -> None:
    bare = {key: transaction[key] for key in ("appid", "mchid", "out_trade_no")}
    report = mapping.payment_report(Transaction(**bare, trade_state="NOTPAY"), config)
    assert (report.amount, report.currency, report.paid_at) == (None, None, None)
