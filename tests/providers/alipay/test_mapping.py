from datetime import UTC, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.money import LARGEST_AMOUNT
from domain.payment import Channel, Payer
from domain.refund import Refund
from domain.report import Attention, Outcome, RefundOutcome
from providers.alipay import mapping
from tests.providers.alipay.conftest import NOW, Order

REFERENCE = "11111111222233334444555555555555"


@given(st.integers(min_value=0, max_value=LARGEST_AMOUNT))
def test_fen_survive_the_way_through_yuan(amount: int) -> None:
    text = mapping.yuan(amount)
    assert text.partition(".")[2].isdigit()
    assert len(text.partition(".")[2]) == 2
    assert mapping.fen(text) == amount


@pytest.mark.parametrize(
    ("value", "amount"),
    [
        ("20", 2000), ("20.0", 2000), ("20.00", 2000), ("20.000", 2000), ("0.01", 1), (20, 2000),
        (Decimal("0.29"), 29), ("0.00", 0), ("100000000.00", LARGEST_AMOUNT),
        ("20.001", None), ("-1.00", None), ("1e3", None), ("NaN", None), ("", None), (None, None),
        (True, None), (20.0, None), ("２０", None), (" 1", None), ("1,000.00", None),
        ("9" * 40, None), (["1"], None), ("1.", None), (".5", None), ("1_0", None),
    ],
)  # fmt: skip
def test_yuan_are_read_exactly_or_not_at_all(value: object, amount: int | None) -> None:
    assert mapping.fen(value) == amount


@pytest.mark.parametrize("text", ["2026-03-01 12:05:06", "2026-03-01 12:05:06.123"])
def test_times_are_beijings(text: str) -> None:
    assert mapping.moment(text) == NOW


@pytest.mark.parametrize("value", ["", None, 7, "2026-03-01", "2026-13-01 00:00:00", "tomorrow"])
def test_what_is_no_time_is_none(value: object) -> None:
    assert mapping.moment(value) is None


def test_a_time_is_written_in_beijing_time_to_the_second() -> None:
    at = datetime(2025, 12, 31, 16, 0, 0, 999_999, tzinfo=UTC)
    assert mapping.stamp(at) == "2026-01-01 00:00:00"


@pytest.mark.parametrize("channel", list(mapping.PLANS))
def test_every_channel_orders_what_the_payment_says(payment: Order, channel: Channel) -> None:
    order = mapping.order(payment(channel, amount=1), "app")
    assert order["out_trade_no"] == REFERENCE
    assert order["total_amount"] == "0.01"
    assert order["subject"] == "Tea"
    assert order["product_code"] == mapping.PLANS[channel].product_code
    assert order["time_expire"] == "2026-03-01 12:20:06"
    assert all(order.values())


def test_the_same_payment_always_makes_the_same_order(payment: Order) -> None:
    assert mapping.order(payment(), "app") == mapping.order(payment(), "app")


def test_a_channel_says_of_the_payer_only_what_it_must(payment: Order) -> None:
    barcode = mapping.order(payment(Channel.BARCODE), "app")
    assert (barcode["scene"], barcode["auth_code"]) == ("bar_code", "287654321098760000")
    assert "buyer_open_id" not in barcode
    jsapi = mapping.order(payment(Channel.JSAPI), "app")
    assert (jsapi["buyer_open_id"], jsapi["op_app_id"]) == ("ou_1", "app")
    assert not {"auth_code", "buyer_id"} & set(jsapi)
    older = mapping.order(payment(Channel.JSAPI, payer=Payer(buyer_id="2088")), "app")
    assert (older["buyer_id"], older.get("buyer_open_id")) == ("2088", None)
    wap = mapping.order(payment(Channel.WAP, return_url="https://shop.example/back"), "app")
    assert wap["quit_url"] == "https://shop.example/back"


def test_a_long_subject_is_cut_to_what_alipay_takes(payment: Order) -> None:
    assert len(mapping.order(payment(subject="茶" * 300), "app")["subject"]) == 256


def test_a_payment_that_is_already_over_can_still_be_written_down(payment: Order) -> None:
    past = payment(expires_at=NOW - timedelta(days=400))
    assert mapping.order(past, "app")["time_expire"] == "2025-01-25 12:05:06"


def test_a_refund_is_requested_by_our_number(refund: Refund) -> None:
    assert mapping.refund_order(refund) == {
        "out_trade_no": REFERENCE,
        "out_request_no": "99999999222233334444555555555555",
        "refund_amount": "7.00",
        "refund_reason": "cold tea",
    }
    silent = refund.model_copy(update={"reason": None})
    assert "refund_reason" not in mapping.refund_order(silent)


SIGNED_FOR = ("signedFor",)


@pytest.mark.parametrize("status", ["TRADE_SUCCESS", "TRADE_FINISHED"])
@pytest.mark.parametrize("mode", ["creditAdvanceV2", "somethingNew", 7])
def test_a_trade_whose_buyer_has_not_paid_yet_is_for_an_operator(
    status: str, mode: str | int
) -> None:
    found = report(trade_status=status, credit_pay_mode=mode)
    assert found.mismatch is Attention.CREDIT_PAYMENT
    # What is to be charged, so that an operator can accept it.
    assert (found.outcome, found.amount) == (Outcome.PAID, 1999)


@pytest.mark.parametrize("mode", ["signedFor", "", None])
def test_a_credit_payment_that_the_account_takes_is_paid(mode: str | None) -> None:
    found = report(trade_status="TRADE_SUCCESS", credit_pay_mode=mode)
    assert (found.outcome, found.mismatch) == (Outcome.PAID, None)


def report(**fields: Any) -> Any:
    known = {"out_trade_no": REFERENCE, "trade_no": "2026", "total_amount": "19.99"}
    return mapping.payment_report(known | fields, REFERENCE, SIGNED_FOR)


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("WAIT_BUYER_PAY", Outcome.PENDING),
        ("TRADE_SUCCESS", Outcome.PAID),
        ("TRADE_FINISHED", Outcome.PAID),
        ("TRADE_CLOSED", Outcome.CLOSED),
        ("TRADE_MOON_PHASE", Outcome.PENDING),
        ("", Outcome.PENDING),
    ],
)
def test_every_status_has_its_outcome_and_keeps_its_text(status: str, outcome: Outcome) -> None:
    found = report(trade_status=status)
    assert (found.outcome, found.raw_status) == (outcome, status)


def test_every_documented_status_is_in_the_table() -> None:
    assert set(mapping.STATUSES) == {
        "WAIT_BUYER_PAY", "TRADE_SUCCESS", "TRADE_FINISHED", "TRADE_CLOSED",
    }  # fmt: skip


@pytest.mark.parametrize(
    "sign_of_payment",
    [
        {"send_pay_date": "2026-03-01 12:05:06"},
        {"gmt_payment": "2026-03-01 12:05:06"},
        {"refund_fee": "19.99"},
        {"gmt_refund": "2026-03-01 12:05:06.000"},
        {"buyer_pay_amount": "19.99"},
    ],
)
def test_a_closed_trade_that_was_paid_is_refunded_and_not_unpaid(
    sign_of_payment: dict[str, str],
) -> None:
    found = report(trade_status="TRADE_CLOSED", **sign_of_payment)
    assert (found.outcome, found.refunded) == (Outcome.PAID, 1999)
    assert found.raw_status == "TRADE_CLOSED"
    assert found.mismatch is Attention.EXTERNAL_REFUND


def test_zero_amounts_are_no_sign_of_payment() -> None:
    found = report(trade_status="TRADE_CLOSED", refund_fee="0.00", buyer_pay_amount="0.00")
    assert (found.outcome, found.refunded) == (Outcome.CLOSED, 0)


def test_a_partial_refund_leaves_a_trade_paid_and_is_notified() -> None:
    found = report(trade_status="TRADE_SUCCESS", refund_fee="7.00")
    assert (found.outcome, found.refunded) == (Outcome.PAID, 700)


def test_an_amount_that_cannot_be_read_never_fits_a_payment(payment: Order) -> None:
    found = report(trade_status="TRADE_SUCCESS", total_amount="a lot")
    assert (found.outcome, found.amount) == (Outcome.PAID, None)
    assert payment().mismatch(found) is not None


def test_another_currency_is_notified() -> None:
    assert report(trade_status="TRADE_SUCCESS", trans_currency="USD").currency == "USD"
    assert report(trade_status="TRADE_SUCCESS").currency == "CNY"


def test_an_answer_about_another_order_keeps_that_orders_number(payment: Order) -> None:
    found = report(trade_status="TRADE_SUCCESS", out_trade_no="f" * 32)
    assert payment().mismatch(found) is not None


@pytest.mark.parametrize("change", ["N", "", None, "YES"])
def test_only_fund_change_yes_says_that_money_moved(refund: Refund, change: str | None) -> None:
    fields = {"fund_change": change, "refund_fee": "7.00", "gmt_refund_pay": "2026-03-01 12:05:06"}
    found = mapping.submitted(fields, refund)
    assert (found.outcome, found.amount) == (RefundOutcome.PENDING, None)
    moved = mapping.submitted(fields | {"fund_change": "Y"}, refund)
    assert (moved.outcome, moved.amount, moved.refunded_at) == (RefundOutcome.SUCCEEDED, 700, NOW)


@pytest.mark.parametrize(
    ("fields", "outcome"),
    [
        ({}, RefundOutcome.NOT_FOUND),
        ({"trade_no": "2026"}, RefundOutcome.NOT_FOUND),
        ({"refund_amount": "7.00"}, RefundOutcome.PENDING),
        ({"out_request_no": "1"}, RefundOutcome.PENDING),
        ({"refund_status": "REFUND_MOON_PHASE"}, RefundOutcome.PENDING),
        ({"refund_status": "REFUND_SUCCESS", "refund_amount": "7.00"}, RefundOutcome.SUCCEEDED),
    ],
)
def test_a_refund_query_believes_only_what_it_says(
    refund: Refund, fields: dict[str, str], outcome: RefundOutcome
) -> None:
    found = mapping.refund_report(fields, refund)
    assert found.outcome is outcome
    assert found.raw_status == fields.get("refund_status", "")
