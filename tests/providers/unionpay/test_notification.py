from typing import Any
from urllib.parse import urlencode

import pytest

from domain.errors import InvalidSignature, Unreadable
from domain.notification import NotificationKind
from domain.report import Attention, Outcome, RefundOutcome
from providers.unionpay.provider import UnionpayProvider
from tests.providers.unionpay.conftest import Order
from tests.providers.unionpay.gateway import MER_ID, NOW, FakeGateway, on_the_wire

REFERENCE = "11111111222233334444555555555555"
PAID = {
    "merId": MER_ID,
    "orderId": REFERENCE,
    "encoding": "UTF-8",
    "txnType": "01",
    "txnSubType": "01",
    "txnTime": "20260301120506",
    "txnAmt": "1999",
    "settleAmt": "1",
    "currencyCode": "156",
    "queryId": "782603011205060674028",
    "respCode": "00",
    "respMsg": "成功[0000000]",
    "traceTime": "0301120510",
}


async def test_a_payment_is_notified_with_the_orders_own_sum(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    told = await provider.parse_notification({}, gateway.form(PAID))
    assert told.notification_id == f"01.{REFERENCE}.782603011205060674028.00"
    assert told.payment is not None
    assert payment().mismatch(told.payment) is None
    assert told.payment.outcome is Outcome.PAID


def test_a_notification_of_a_payment_is_not_proof_enough(provider: UnionpayProvider) -> None:
    assert provider.confirms_notifications


async def test_a_notification_in_gbk_is_read_in_gbk(
    gateway: FakeGateway, provider: UnionpayProvider
) -> None:
    body = gateway.form(PAID | {"encoding": "GBK"}, codec="gb18030")
    told = await provider.parse_notification({}, body)
    assert told.payment is not None
    assert told.payment.message == "成功[0000000]"


@pytest.mark.parametrize(
    ("change", "outcome"),
    [
        ({"respCode": "A6"}, Outcome.PAID),
        ({"respCode": "64"}, Outcome.PENDING),
        ({"respCode": "64", "txnSubType": "06"}, Outcome.FAILED),
        ({"respCode": ""}, Outcome.PENDING),
    ],
)
async def test_what_is_no_success_is_not_notified_as_one(
    gateway: FakeGateway, provider: UnionpayProvider, change: dict[str, str], outcome: Outcome
) -> None:
    told = await provider.parse_notification({}, gateway.form(PAID | change))
    assert told.payment is not None
    assert told.payment.outcome is outcome


@pytest.mark.parametrize(
    ("code", "outcome"), [("00", RefundOutcome.SUCCEEDED), ("36", RefundOutcome.FAILED)]
)
@pytest.mark.parametrize("kind", ["04", "31"])
async def test_a_refund_or_an_undo_is_notified_with_the_payments_number(
    gateway: FakeGateway, provider: UnionpayProvider, kind: str, code: str, outcome: RefundOutcome
) -> None:
    fields = PAID | {"orderId": "f" * 32, "txnType": kind, "respCode": code}
    told = await provider.parse_notification({}, gateway.form(fields | {"reqReserved": REFERENCE}))
    assert (told.kind, told.reference) == (NotificationKind.REFUND, REFERENCE)
    assert told.refund is not None
    assert (told.refund.refund_reference, told.refund.outcome) == ("f" * 32, outcome)


async def test_a_refund_made_at_the_console_names_no_payment_of_ours(
    gateway: FakeGateway, provider: UnionpayProvider
) -> None:
    told = await provider.parse_notification({}, gateway.form(PAID | {"txnType": "04"}))
    assert told.reference == ""


async def test_another_merchants_message_is_marked(
    gateway: FakeGateway, provider: UnionpayProvider
) -> None:
    body = gateway.form(PAID | {"merId": "777290058110097"})
    assert (await provider.parse_notification({}, body)).mismatch is Attention.ACCOUNT_MISMATCH
    assert provider.parse_return(body.decode()) is None


@pytest.mark.parametrize("change", [{"txnType": ""}, {"orderId": ""}])
async def test_a_message_that_says_too_little_is_genuine_and_unreadable(
    gateway: FakeGateway, provider: UnionpayProvider, change: dict[str, str]
) -> None:
    with pytest.raises(Unreadable):
        await provider.parse_notification({}, gateway.form(PAID | change))
    foreign = PAID | change | {"merId": "777290058110097"}
    told = await provider.parse_notification({}, gateway.form(foreign))
    assert told.is_foreign


@pytest.mark.parametrize("merchant", ["ours", "777290058110097"])
async def test_a_transaction_of_another_product_is_about_nothing_that_we_do(
    gateway: FakeGateway, provider: UnionpayProvider, merchant: str
) -> None:
    change = {"txnType": "11"} | ({} if merchant == "ours" else {"merId": merchant})
    told = await provider.parse_notification({}, gateway.form(PAID | change))
    assert (told.kind, told.payment, told.refund) == (NotificationKind.OTHER, None, None)
    assert told.is_foreign is (merchant != "ours")


async def test_a_merchants_key_cannot_send_us_anything(
    gateway: FakeGateway, provider: UnionpayProvider
) -> None:
    leaf = on_the_wire(gateway.keys.middle.issue(gateway.keys.gateway, "041@Z1@a shop@1"))
    with pytest.raises(InvalidSignature, match="another company"):
        await provider.parse_notification({}, gateway.form(PAID | {"signPubKeyCert": leaf}))


async def test_a_message_without_a_certificate_is_rejected(
    gateway: FakeGateway, provider: UnionpayProvider
) -> None:
    with pytest.raises(InvalidSignature):
        await provider.parse_notification({}, gateway.form(PAID | {"signPubKeyCert": ""}))


async def test_an_expired_certificate_sends_nothing(
    gateway: FakeGateway, provider: UnionpayProvider
) -> None:
    gateway.now = NOW.replace(year=2028)
    with pytest.raises(InvalidSignature, match="not valid now"):
        await provider.parse_notification({}, gateway.form(PAID))


@pytest.mark.parametrize("extra", [{"a": "1"}, {"respMsg": "other"}])
async def test_what_was_not_signed_breaks_the_message(
    gateway: FakeGateway, provider: UnionpayProvider, extra: dict[str, Any]
) -> None:
    sealed = gateway.sealed(PAID) | extra
    with pytest.raises(InvalidSignature, match="does not fit"):
        await provider.parse_notification({}, urlencode(sealed).encode())


async def test_an_empty_field_was_never_signed_and_changes_nothing(
    gateway: FakeGateway, provider: UnionpayProvider
) -> None:
    body = gateway.form(PAID) + b"&exchangeRate="
    assert (await provider.parse_notification({}, body)).reference == REFERENCE


def test_a_payer_comes_back_with_a_signed_form(
    gateway: FakeGateway, provider: UnionpayProvider
) -> None:
    assert provider.parse_return(gateway.form(PAID).decode()) == REFERENCE
    with pytest.raises(InvalidSignature):
        provider.parse_return(gateway.form(PAID).decode() + "&a=1")
    with pytest.raises(InvalidSignature):
        provider.parse_return("txnAmt=\xff")


def test_a_success_without_times_is_still_a_success(
    gateway: FakeGateway, provider: UnionpayProvider
) -> None:
    assert provider.parse_return(gateway.form(PAID | {"txnTime": ""}).decode()) == REFERENCE


@pytest.mark.parametrize("changes", [{"txnTime": ""}, {"txnTime": "yesterday"}])
async def test_a_time_that_cannot_be_read_is_left_out(
    gateway: FakeGateway, provider: UnionpayProvider, changes: dict[str, str]
) -> None:
    told = await provider.parse_notification({}, gateway.form(PAID | changes))
    assert told.payment is not None
    assert (told.payment.outcome, told.payment.paid_at) == (Outcome.PAID, None)


async def test_one_signature_has_one_spelling(
    gateway: FakeGateway, provider: UnionpayProvider
) -> None:
    sealed = gateway.sealed(PAID)
    last = sealed["signature"][-3]
    # Base64 leaves bits of the last character unused: another one decodes to the same bytes.
    sealed["signature"] = f"{sealed['signature'][:-3]}{chr(ord(last) + 1)}=="
    with pytest.raises(InvalidSignature):
        await provider.parse_notification({}, urlencode(sealed).encode())


def test_only_the_status_of_the_acknowledgement_counts(provider: UnionpayProvider) -> None:
    assert provider.acknowledge(accepted=True).status == 200
    assert provider.acknowledge(accepted=False).status == 500
