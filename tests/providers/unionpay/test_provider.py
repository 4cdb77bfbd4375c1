from datetime import timedelta
from typing import Any

import pytest

from domain.checkout import CheckoutKind
from domain.errors import OutcomeUnknown, ProviderRejected, ProviderUnavailable
from domain.payment import Channel
from domain.report import Attention, Outcome
from providers.unionpay.provider import AFTER_TIMEOUT, UnionpayProvider
from tests.providers.unionpay.conftest import Order
from tests.providers.unionpay.gateway import MER_ID, PAID, FakeGateway


async def test_an_app_gets_the_tn_and_the_mode(
    gateway: FakeGateway, account: dict[str, Any], payment: Order
) -> None:
    gateway.then({"respCode": "00", "tn": "611854042060710157601"})
    created = await gateway.provider(account | {"mode": "01"}).create(payment(Channel.APP))
    assert created.checkout.kind is CheckoutKind.SDK
    assert created.checkout.parameters == {"tn": "611854042060710157601", "mode": "01"}
    assert created.provider_reference is None
    path, sent = gateway.calls[0]
    assert path == "/gateway/api/appTransReq.do"
    assert sent["orderId"] == "11111111222233334444555555555555"
    assert (sent["txnTime"], sent["payTimeout"]) == ("20260301120506", "20260301122006")
    assert (sent["merId"], sent["txnAmt"], sent["certId"]) == (MER_ID, "1999", "69903319369")
    # The subject's own brackets and signs would end the value early.
    assert sent["riskRateInfo"] == "{commodityName=Tea a 1 b 2}"


async def test_a_subject_of_nothing_but_signs_is_left_out(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    gateway.then({"respCode": "00", "tn": "1"})
    await provider.create(payment(Channel.APP, subject="{&}"))
    assert "riskRateInfo" not in gateway.calls[0][1]


@pytest.mark.parametrize(("channel", "device"), [(Channel.PAGE, "07"), (Channel.WAP, "08")])
async def test_a_browser_gets_a_signed_form_without_any_call(
    gateway: FakeGateway, account: dict[str, Any], payment: Order, channel: Channel, device: str
) -> None:
    for ours in ("https://pay.example.com/return", None):
        provider = gateway.provider(account, return_url=ours)
        created = await provider.create(payment(channel, return_url="https://shop.example"))
        form = created.checkout
        assert (form.kind, form.value) == (
            CheckoutKind.FORM,
            "https://unionpay.test/gateway/api/frontTransReq.do",
        )
        assert form.parameters is not None
        assert form.parameters.get("frontUrl") == ours
        assert (form.parameters["channelType"], form.parameters["txnType"]) == (device, "01")
        assert form.parameters["signature"]
    assert gateway.calls == []


async def test_the_same_payment_is_always_the_same_triple(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    gateway.then({"respCode": "00", "qrCode": "https://q"}, {"respCode": "12"}, {"respCode": "34"})
    first = await provider.create(payment())
    gateway.now += timedelta(minutes=3)
    again = await provider.create(payment())
    assert first.checkout.value == "https://q"
    triples = {(sent["merId"], sent["orderId"], sent["txnTime"]) for _, sent in gateway.calls}
    assert len(triples) == 1
    assert gateway.kinds() == ["01", "01", "00"]
    assert again.checkout.kind is CheckoutKind.NONE
    assert again.report is not None
    assert (again.report.outcome, again.report.raw_status) == (Outcome.PENDING, "12")


@pytest.mark.parametrize("channel", [Channel.QR, Channel.APP])
async def test_an_answer_without_the_checkout_leaves_the_outcome_unknown(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, channel: Channel
) -> None:
    gateway.then({"respCode": "00"})
    with pytest.raises(OutcomeUnknown, match="lacks"):
        await provider.create(payment(channel))


@pytest.mark.parametrize(
    ("code", "error"),
    [
        ("10", ProviderRejected),
        ("32", ProviderRejected),
        ("64", ProviderRejected),
        ("06", ProviderUnavailable),
        ("04", OutcomeUnknown),
        ("77x", OutcomeUnknown),
        ("", OutcomeUnknown),
    ],
)
@pytest.mark.parametrize("channel", [Channel.QR, Channel.BARCODE])
async def test_a_rejected_order_raises_what_its_code_stands_for(
    gateway: FakeGateway,
    provider: UnionpayProvider,
    payment: Order,
    channel: Channel,
    code: str,
    error: type[Exception],
) -> None:
    gateway.then({"respCode": code})
    with pytest.raises(error):
        await provider.create(payment(channel))
    assert len(gateway.calls) == 1


async def test_a_scanned_code_is_queried_at_once(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    gateway.then({"respCode": "00"}, PAID | {"txnSubType": "06"})
    created = await provider.create(payment(Channel.BARCODE))
    assert created.report is not None
    assert (created.report.outcome, created.report.amount) == (Outcome.PAID, 1999)
    assert created.provider_reference == PAID["queryId"]
    assert gateway.calls[0][1]["qrNo"] == "6220000000000000000"
    assert gateway.calls[0][1]["termId"] == "00000001"


@pytest.mark.parametrize("then", [{"respCode": "34"}, {"respCode": "37"}, None])
async def test_a_scanned_code_that_was_accepted_is_pending_until_a_query_says_more(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, then: dict[str, str] | None
) -> None:
    gateway.then({"respCode": "00"})
    if then is None:
        gateway.then_raw(b"<html>", 502)
    else:
        gateway.then(then)
    created = await provider.create(payment(Channel.BARCODE))
    assert created.report is not None
    assert created.report.outcome is Outcome.PENDING
    assert created.checkout.kind is CheckoutKind.NONE


@pytest.mark.parametrize("code", ["66", "05", "03", "04", "12", "34", "", "ZZ"])
async def test_a_question_that_worked_is_no_payment(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, code: str
) -> None:
    gateway.then(PAID | {"origRespCode": code})
    if not code:
        with pytest.raises(OutcomeUnknown):
            await provider.query(payment())
        return
    report = await provider.query(payment())
    assert report.outcome is Outcome.PENDING
    assert (report.amount, report.provider_reference, report.paid_at) == (None, None, None)


@pytest.mark.parametrize("code", ["00", "A6"])
async def test_a_payment_is_paid_where_both_levels_say_so(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, code: str
) -> None:
    gateway.then(PAID | {"origRespCode": code})
    report = await provider.query(payment())
    assert payment().mismatch(report) is None
    assert (report.outcome, report.currency) == (Outcome.PAID, "CNY")
    assert report.paid_at is not None
    assert report.paid_at.isoformat() == "2026-03-01T12:05:10+08:00"


@pytest.mark.parametrize("code", ["05", "37", "99", "11"])
async def test_a_question_that_was_rejected_says_nothing_of_the_money(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, code: str
) -> None:
    gateway.then(PAID | {"respCode": code})
    with pytest.raises((OutcomeUnknown, ProviderUnavailable)):
        await provider.query(payment())


async def test_another_currency_or_sum_does_not_fit(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    gateway.then(PAID | {"currencyCode": "840"}, PAID | {"txnAmt": "-1"}, PAID | {"txnAmt": ""})
    for expected in ("currency_mismatch", "amount_mismatch", "amount_mismatch"):
        assert payment().mismatch(await provider.query(payment())) == expected


async def test_a_declined_payer_may_try_again_until_the_time_is_over(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    declined = PAID | {"origRespCode": "64"}
    gateway.then(declined, declined, declined | {"txnSubType": "06"}, PAID | {"origRespCode": "01"})
    order = payment()
    assert (await provider.query(order)).outcome is Outcome.PENDING
    gateway.now = order.expires_at + AFTER_TIMEOUT
    assert (await provider.query(order)).outcome is Outcome.CLOSED
    assert (await provider.query(payment(Channel.BARCODE))).outcome is Outcome.FAILED
    assert (await provider.query(order)).outcome is Outcome.CLOSED


@pytest.mark.parametrize("code", ["71", "76", "91"])
async def test_an_everyday_decline_ends_with_the_payers_time(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, code: str
) -> None:
    declined = PAID | {"origRespCode": code}
    gateway.then(declined, declined | {"txnSubType": "06"}, declined)
    order = payment()
    assert (await provider.query(order)).outcome is Outcome.PENDING
    assert (await provider.query(payment(Channel.BARCODE))).outcome is Outcome.FAILED
    gateway.now = order.expires_at + AFTER_TIMEOUT
    assert (await provider.close(order)).outcome is Outcome.CLOSED


@pytest.mark.parametrize("code", ["42", "74", "75"])
@pytest.mark.parametrize("channel", [Channel.QR, Channel.BARCODE])
async def test_a_payer_who_was_debited_without_success_is_for_an_operator(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, code: str, channel: Channel
) -> None:
    order = payment(channel)
    debited = PAID | {"origRespCode": code, "txnSubType": "06" if channel == "barcode" else "07"}
    gateway.then(debited, debited)
    for verb in (provider.query, provider.close):
        report = await verb(order)
        assert order.mismatch(report) is Attention.OUTCOME_UNKNOWN
        # What was taken, so that an operator can accept it or give it back.
        assert (report.outcome, report.amount) == (Outcome.PAID, 1999)
        gateway.now = order.expires_at + AFTER_TIMEOUT


@pytest.mark.parametrize("code", ["42", "74", "75"])
async def test_a_charge_that_debited_the_payer_is_never_a_rejection(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, code: str
) -> None:
    gateway.then({"respCode": code})
    with pytest.raises(OutcomeUnknown):
        await provider.create(payment(Channel.BARCODE))


@pytest.mark.parametrize("code", ["45", "46"])
async def test_a_payment_given_back_by_others_is_for_an_operator(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, code: str
) -> None:
    gateway.then(PAID | {"origRespCode": code})
    report = await provider.query(payment())
    assert payment().mismatch(report) is Attention.EXTERNAL_REFUND
    assert (report.outcome, report.amount) == (Outcome.CLOSED, None)


async def test_a_payment_that_our_own_refunds_gave_back_is_no_external_refund(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    gateway.then(*[PAID | {"origRespCode": "45"}] * 2)
    sums = {"status": "succeeded", "captured": 1999, "refunded": 999}
    ours = payment(**sums, refund_reserved=1000)
    report = await provider.query(ours)
    assert ours.mismatch(report) is None
    assert ours.apply(report) is ours
    part = payment(**sums)
    assert part.mismatch(await provider.query(part)) is Attention.EXTERNAL_REFUND


async def test_closing_waits_for_the_end_of_the_payers_time(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order
) -> None:
    order = payment()
    gateway.then({"respCode": "34"}, {"respCode": "34"}, PAID | {"origRespCode": "05"}, PAID)
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.close(order)
    assert caught.value.retry_after == 15 * 60 + AFTER_TIMEOUT.total_seconds()
    gateway.now = order.expires_at + AFTER_TIMEOUT
    assert (await provider.close(order)).outcome is Outcome.NOT_FOUND
    # Still under way after its time: only UnionPay's own word ends it.
    assert (await provider.close(order)).outcome is Outcome.PENDING
    assert (await provider.close(order)).outcome is Outcome.PAID
