"""What decides nothing never loses a message, whatever its form; what decides money is strict."""

import json
from typing import Any
from urllib.parse import quote

import pytest

from domain.errors import InvalidSignature, Unreadable
from domain.notification import Notification
from domain.report import Outcome, PaymentReport, RefundOutcome
from providers.kit.fields import informational, whole_number
from tests.fuzz import apple_iap_parsers, unionpay_parsers
from tests.fuzz.mangling import Message
from tests.fuzz.parsers import parser
from tests.fuzz.wechatpay_parsers import REFUND_NOTICE, TRANSACTION
from tests.providers.alipay import nodes

# Forms that nobody documents, as they stand in JSON.
FORMS = ["null", "7", "1.5", "NaN", '"null"', "true", "[]", "{}", "9" * 5000, '"\\ud800"']
# And bytes that are of no charset's.
BYTES = ["null", "NaN", "7", "%ff%fe", "%e8%8c", "9" * 5000]


def content(fields: dict[str, Any], name: str, form: str) -> bytes:
    """The object with one field in this form."""
    kept = {key: value for key, value in fields.items() if key != name}
    return (json.dumps(kept)[:-1] + f',"{name}":{form}}}').encode()


async def told(name: str, message: bytes) -> Notification:
    found = await parser(name).read(parser(name).seal(message))
    assert isinstance(found, Notification)
    return found


async def answered(name: str, message: bytes) -> PaymentReport:
    found = await parser(name).read(parser(name).seal(message))
    assert isinstance(found, PaymentReport)
    return found


def is_paid(report: PaymentReport | None, amount: int | None) -> bool:
    assert report is not None
    return (report.outcome, report.amount) == (Outcome.PAID, amount)


@pytest.mark.parametrize("form", FORMS)
async def test_wechat_pays_messages_are_read_whatever_their_informational_fields_say(
    form: str,
) -> None:
    for name in ("trade_state_desc", "success_time", "bank_type", "attach", "unknown"):
        paid = content(TRANSACTION, name, form)
        notified = await told("wechatpay notification, inside", paid)
        assert is_paid(notified.payment, 1999)
        assert is_paid(await answered("wechatpay answer to query", paid), 1999)
    for name in ("refund_id", "transaction_id", "user_received_account"):
        refunded = content(REFUND_NOTICE, name, form)
        notified = await told("wechatpay refund notification, inside", refunded)
        assert notified.refund is not None
        assert notified.refund.outcome is RefundOutcome.SUCCEEDED


@pytest.mark.parametrize("form", ['"1999"', "19.99", "true", "NaN", "9" * 5000])
async def test_wechat_pays_money_is_whole_fen_or_unreadable(form: str) -> None:
    amount = content({"currency": "CNY"}, "total", form).decode()
    with pytest.raises(Unreadable):
        await told("wechatpay notification, inside", content(TRANSACTION, "amount", amount))


async def test_money_that_wechat_pay_leaves_out_fits_no_payment() -> None:
    notified = await told("wechatpay notification, inside", content(TRANSACTION, "amount", "null"))
    assert is_paid(notified.payment, None)


@pytest.mark.parametrize("form", BYTES)
async def test_alipays_notifications_are_read_whatever_their_informational_fields_say(
    form: str,
) -> None:
    [genuine, *_] = parser("alipay notification").contents
    for name in ("subject", "body", "gmt_create", "fund_bill_list", "buyer_logon_id"):
        kept = [part for part in genuine.split(b"&") if not part.startswith(f"{name}=".encode())]
        notified = await told("alipay notification", b"&".join([*kept, f"{name}={form}".encode()]))
        assert is_paid(notified.payment, 1999)


@pytest.mark.parametrize("form", FORMS)
async def test_alipays_answers_are_read_whatever_their_informational_fields_say(form: str) -> None:
    for name in ("msg", "send_pay_date", "point_amount", "fund_bill_list", "buyer_user_id"):
        found = await answered("alipay answer to query", content(nodes.PAID, name, form))
        assert is_paid(found, 1999)


async def test_a_trades_number_may_come_as_a_number() -> None:
    found = await answered("alipay answer to query", content(nodes.PAID, "trade_no", "2026"))
    assert found.provider_reference == "2026"


@pytest.mark.parametrize("form", ["null", '"many"', "NaN", "true", "[]", "9" * 5000, "19.999"])
async def test_alipays_money_is_whole_fen_or_fits_no_payment(form: str) -> None:
    found = await answered("alipay answer to query", content(nodes.PAID, "total_amount", form))
    assert is_paid(found, None)


@pytest.mark.parametrize("encoding", ["UTF-8", "GBK", "utf8", "", "latin-1"])
@pytest.mark.parametrize("form", BYTES)
async def test_unionpays_notifications_are_read_whatever_their_informational_fields_say(
    form: str, encoding: str
) -> None:
    fields = unionpay_parsers.TOLD | {"encoding": encoding}
    for name in ("respMsg", "settleAmt", "settleDate", "payCardType", "traceTime"):
        pairs = [f"{key}={quote(value)}" for key, value in fields.items() if key != name and value]
        notified = await told(
            "unionpay notification", "&".join([*pairs, f"{name}={form}"]).encode()
        )
        assert is_paid(notified.payment, 1999)


async def test_unionpays_signature_covers_bytes_that_are_no_text() -> None:
    fields = "&".join(f"{key}={quote(value)}" for key, value in unionpay_parsers.TOLD.items())
    sealed = parser("unionpay notification").seal(f"{fields}&payType=%ff".encode())
    for another in (b"payType=%fe", b"payType=%3f", b"payType=%ef%bf%bd"):
        forged = Message(sealed.body.replace(b"payType=%ff", another))
        with pytest.raises(InvalidSignature):
            await parser("unionpay notification").read(forged)


@pytest.mark.parametrize("form", ["null", "7", '"null"', "true", "[]", "NaN", "9" * 5000])
async def test_apples_transactions_are_read_whatever_their_informational_fields_say(
    form: str,
) -> None:
    bought = json.loads(apple_iap_parsers.transaction())
    for name in ("storefront", "storefrontId", "revocationReason", "unknown"):
        notified = await told("apple_iap brought transaction", content(bought, name, form))
        assert notified.payment is not None
        assert notified.payment.outcome is Outcome.PAID


async def test_apples_null_is_an_absent_field() -> None:
    bought = json.loads(apple_iap_parsers.transaction())
    for name in ("quantity", "isUpgraded", "price", "offerType"):
        notified = await told("apple_iap brought transaction", content(bought, name, "null"))
        assert notified.payment is not None
        assert notified.payment.quantity == 1


@pytest.mark.parametrize(("name", "form"), [("price", '"990"'), ("quantity", '"2"')])
async def test_apples_money_is_a_number_or_unreadable(name: str, form: str) -> None:
    bought = json.loads(apple_iap_parsers.transaction())
    with pytest.raises(Unreadable):
        await told("apple_iap brought transaction", content(bought, name, form))


@pytest.mark.parametrize("form", ["null", '"1"', "true", "[]"])
async def test_apples_renewal_is_read_whatever_its_informational_fields_say(form: str) -> None:
    said = json.loads(apple_iap_parsers.renewal())
    notified = await told(
        "apple_iap notification's renewal", content(said, "autoRenewStatus", form)
    )
    assert notified.change is not None
    assert notified.change.auto_renews is None


def test_only_text_and_numbers_are_informational() -> None:
    assert [informational(value) for value in ("a", 7, 1.5)] == ["a", "7", "1.5"]
    others: list[object] = [None, True, [], {}]
    assert [informational(value) for value in others] == [None] * 4
    assert whole_number("12") == 12
    assert whole_number("9" * 5000) == "9" * 5000
