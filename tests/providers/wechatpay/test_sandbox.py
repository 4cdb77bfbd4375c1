"""What only WeChat Pay does, against its sandbox over real signatures."""

from collections.abc import Callable
from datetime import timedelta

import pytest

from domain.checkout import CheckoutKind
from domain.errors import InvalidSignature, OutcomeUnknown, ProviderRejected, ProviderUnavailable
from domain.payment import Channel, Payer
from domain.report import Outcome, RefundOutcome
from tests.payer_codes import new_code
from tests.providers.stand import Stand
from tests.providers.wechatpay.harness import WechatpayHarness

MODES = WechatpayHarness.modes


@pytest.fixture(params=MODES)
def stand(request: pytest.FixtureRequest, make_stand: Callable[..., Stand]) -> Stand:
    return make_stand(WechatpayHarness(), request.param)


@pytest.mark.parametrize("channel", [Channel.APP, Channel.JSAPI])
async def test_the_sandboxs_own_check_accepts_our_invocation_signature(
    stand: Stand, channel: Channel
) -> None:
    payment = stand.payment(channel)
    created = await stand.provider.create(payment)
    assert created.checkout.kind is CheckoutKind.SDK
    assert await stand.can_be_paid(payment, created)


@pytest.mark.parametrize("name", ["sign", "noncestr", "timestamp"])
async def test_a_changed_invocation_pays_nothing(stand: Stand, name: str) -> None:
    payment = stand.payment(Channel.APP)
    created = await stand.provider.create(payment)
    parameters = dict(created.checkout.parameters or {})
    parameters[name] = ("1" if parameters[name][0] != "1" else "2") + parameters[name][1:]
    forged = created.checkout.model_copy(update={"parameters": parameters})
    changed = created.model_copy(update={"checkout": forged})
    assert not await stand.can_be_paid(payment, changed)
    assert await stand.moved(payment, "capture") == []


async def test_a_paid_order_with_a_refund_stays_paid(stand: Stand) -> None:
    payment = await stand.paid()
    refund = stand.refund(payment, 500)
    await stand.refunds.refund(refund, payment)
    captured = payment.model_copy(update={"captured": payment.amount})
    report = await stand.provider.query(captured)
    assert (report.outcome, report.raw_status, report.amount) == (Outcome.PAID, "REFUND", 1999)
    assert captured.mismatch(report) is None


@pytest.mark.parametrize(
    ("status", "outcome"),
    [
        ("PROCESSING", RefundOutcome.PENDING),
        ("SUCCESS", RefundOutcome.SUCCEEDED),
        ("CLOSED", RefundOutcome.FAILED),
        ("ABNORMAL", RefundOutcome.ABNORMAL),
    ],
)
async def test_a_refund_is_reported_as_it_stands(
    stand: Stand, status: str, outcome: RefundOutcome
) -> None:
    payment = await stand.paid()
    refund = stand.refund(payment, 500)
    await stand.fault("refund", "refund_status", refund, status=status, then="PROCESSING")
    await stand.refunds.refund(refund, payment)
    report = await stand.refunds.query_refund(refund, payment)
    assert report.outcome is outcome
    assert refund.mismatch(report) is None


async def test_a_refund_that_failed_after_all_is_found_by_querying(stand: Stand) -> None:
    payment = await stand.paid()
    refund = stand.refund(payment, 500)
    await stand.fault("refund", "system_error", refund)
    with pytest.raises(OutcomeUnknown):
        await stand.refunds.refund(refund, payment)
    report = await stand.refunds.query_refund(refund, payment)
    assert report.outcome is RefundOutcome.PENDING
    assert (await stand.refunds.refund(refund, payment)).refund_reference == refund.reference
    params = {"provider": "wechatpay", "refund_reference": refund.reference}
    assert len((await stand.control.get("/_sandbox/refunds", params=params)).json()) == 1
    params = {"provider": "wechatpay", "refund_reference": refund.reference}
    assert len((await stand.control.get("/_sandbox/refunds", params=params)).json()) == 1


async def test_a_throttled_refund_is_never_called_unprocessed(stand: Stand) -> None:
    payment = await stand.paid()
    refund = stand.refund(payment, 500)
    await stand.fault("refund", "rate_limited", refund)
    with pytest.raises(OutcomeUnknown):
        await stand.refunds.refund(refund, payment)


async def test_a_payer_without_funds_in_store_is_a_definite_no(stand: Stand) -> None:
    payment = stand.payment(Channel.BARCODE, payer=Payer(auth_code=new_code("wechatpay", "0004")))
    with pytest.raises(ProviderRejected) as caught:
        await stand.provider.create(payment)
    assert caught.value.provider_code == "NOT_ENOUGH"
    assert await stand.moved(payment, "capture") == []


async def test_a_charge_with_a_lost_answer_is_found_by_sending_it_again(stand: Stand) -> None:
    payment = stand.payment(Channel.BARCODE)
    await stand.fault("create", "lost_answer", payment)
    with pytest.raises(OutcomeUnknown):
        await stand.provider.create(payment)
    again = await stand.provider.create(payment)
    assert again.report is not None
    assert again.report.outcome is Outcome.PAID
    assert await stand.moved(payment, "capture") == [1999]


async def test_an_old_unpaid_barcode_order_is_reversed_and_moves_nothing(stand: Stand) -> None:
    payment = stand.payment(Channel.BARCODE, payer=Payer(auth_code=new_code("wechatpay", "0003")))
    await stand.provider.create(payment)
    with pytest.raises(ProviderUnavailable) as caught:
        await stand.provider.close(payment)
    assert 0 < (caught.value.retry_after or 0) <= 15
    older = payment.model_copy(update={"created_at": payment.created_at - timedelta(seconds=15)})
    assert (await stand.provider.close(older)).outcome is Outcome.CLOSED
    report = await stand.provider.query(payment)
    assert (report.outcome, report.raw_status) == (Outcome.CLOSED, "REVOKED")
    assert await stand.moved(payment, "capture") == []


@pytest.mark.parametrize("fault", ["signtest", "stale", "foreign_key", "unknown_serial"])
async def test_a_notification_under_a_wrong_signature_is_rejected_and_its_good_copy_taken(
    stand: Stand, fault: str
) -> None:
    payment = await stand.paid()
    with pytest.raises(InvalidSignature):
        await stand.provider.parse_notification(*await stand.notified(payment, fault=fault))
    found = await stand.provider.parse_notification(*await stand.notified(payment))
    assert found.payment is not None
    assert payment.mismatch(found.payment) is None
