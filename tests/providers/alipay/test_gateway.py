"""What only Alipay has, against the sandbox."""

from typing import Any

import pytest

from domain.errors import InvalidSignature, OutcomeUnknown, ProviderRejected
from domain.payment import Channel
from domain.report import Attention, Outcome, RefundOutcome
from providers.base import SignsReturns
from tests.providers.alipay.harness import AlipayHarness
from tests.providers.conftest import Make
from tests.providers.harness import account_of
from tests.providers.stand import Stand, minutes_ago

SUBJECT = 'Tea } " { \\ / & = + 100% 誠乗茶'


@pytest.fixture(params=AlipayHarness().modes)
def stand(request: pytest.FixtureRequest, make_stand: Make) -> Stand:
    return make_stand(AlipayHarness(), request.param)


@pytest.mark.parametrize("charset", ["utf-8", "gbk"])
async def test_any_subject_goes_the_whole_way_in_any_charset(
    make_stand: Make, charset: str
) -> None:
    for mode in AlipayHarness().modes:
        stand = make_stand(AlipayHarness(), mode, charset=charset)
        payment = await stand.paid(Channel.JSAPI, subject=SUBJECT)
        assert payment.mismatch(await stand.provider.query(payment)) is None
        refund = stand.refund(payment, 1)
        report = await stand.refunds.refund(refund, payment)
        assert report.outcome is RefundOutcome.SUCCEEDED


async def test_a_gbk_notification_is_believed(stand: Stand) -> None:
    payment = await stand.paid(subject=SUBJECT)
    headers, body = await stand.notified(payment, fault="gbk")
    notification = await stand.provider.parse_notification(headers, body)
    assert notification.payment is not None
    assert payment.mismatch(notification.payment) is None


async def test_a_late_notification_is_still_true(stand: Stand) -> None:
    """Alipay repeats a notification for 25 hours; its age says nothing."""
    payment = await stand.paid()
    headers, body = await stand.notified(payment, fault="stale")
    assert (await stand.provider.parse_notification(headers, body)).payment is not None


@pytest.mark.parametrize("channel", [Channel.PAGE, Channel.WAP])
async def test_a_browser_comes_back_with_a_signed_return(stand: Stand, channel: Channel) -> None:
    payment = stand.payment(channel)
    checkout = (await stand.provider.create(payment)).checkout.value
    paid = await stand.control.post(
        "/_sandbox/pay",
        json={"provider": "alipay", "reference": payment.reference, "checkout": checkout},
    )
    address, _, query = paid.json()["return_url"].partition("?")
    assert address.endswith(f"/return/alipay/{payment.account}")
    assert isinstance(stand.provider, SignsReturns)
    assert stand.provider.parse_return(query) == payment.reference
    with pytest.raises(InvalidSignature):
        stand.provider.parse_return(query.replace(payment.reference, "f" * 32))


async def test_a_refund_without_a_change_of_funds_is_settled_by_the_query(stand: Stand) -> None:
    payment = await stand.paid()
    refund = stand.refund(payment, 700)
    await stand.fault("refund", "fund_change_n", refund)
    assert (await stand.refunds.refund(refund, payment)).outcome is RefundOutcome.PENDING
    await stand.fault("refund_query", "empty_refund_query", refund)
    assert (await stand.refunds.query_refund(refund, payment)).outcome is RefundOutcome.NOT_FOUND
    assert (await stand.refunds.query_refund(refund, payment)).outcome is RefundOutcome.SUCCEEDED
    await stand.refunds.refund(refund, payment)
    assert await stand.moved(payment, "refund") == [700]


async def test_a_payment_that_was_refunded_in_full_was_paid(stand: Stand) -> None:
    payment = await stand.paid()
    await stand.refunds.refund(stand.refund(payment, payment.amount), payment)
    report = await stand.provider.query(payment)
    assert (report.outcome, report.raw_status) == (Outcome.PAID, "TRADE_CLOSED")
    assert report.refunded == payment.amount
    assert payment.mismatch(report) is Attention.EXTERNAL_REFUND
    told = payment.model_copy(update={"captured": payment.amount})
    assert told.mismatch(await stand.provider.query(told)) is None


async def test_a_cancel_that_was_carried_out_unheard_can_be_repeated(stand: Stand) -> None:
    payment = stand.payment(Channel.BARCODE, created_at=minutes_ago(1))
    await stand.fault("create", "pending", payment, then="pending")
    created = await stand.provider.create(payment)
    await stand.fault("cancel", "lost_answer", payment)
    with pytest.raises(OutcomeUnknown):
        await stand.provider.close(payment)
    assert (await stand.provider.close(payment)).outcome is Outcome.CLOSED
    assert not await stand.can_be_paid(payment, created)


async def test_an_order_with_other_content_is_a_definite_no(stand: Stand) -> None:
    payment = stand.payment(Channel.JSAPI)
    await stand.provider.create(payment)
    with pytest.raises(ProviderRejected) as caught:
        await stand.provider.create(payment.model_copy(update={"amount": 1}))
    assert caught.value.provider_code == "ACQ.CONTEXT_INCONSISTENT"


async def test_an_order_that_is_already_over_is_refused_and_not_a_crash(stand: Stand) -> None:
    payment = stand.payment(Channel.JSAPI, expires_at=minutes_ago(5))
    with pytest.raises(ProviderRejected):
        await stand.provider.create(payment)


async def test_a_refusal_of_our_signature_is_a_definite_no(
    make_stand: Make, sandbox_manifest: dict[str, Any]
) -> None:
    """Our key is not the one that the gateway knows: signed by Alipay, so it can be believed."""
    harness = AlipayHarness()
    other = account_of(sandbox_manifest, "alipay", "aes")
    stand = make_stand(harness, "main", app_private_key=other["app_private_key"])
    with pytest.raises(ProviderRejected) as caught:
        await stand.provider.create(stand.payment())
    assert caught.value.provider_code == "isv.invalid-signature"
