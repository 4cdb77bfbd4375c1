"""What every provider promises of refunds."""

import pytest

from domain.errors import OutcomeUnknown, ProviderRejected
from domain.notification import NotificationKind
from domain.report import RefundOutcome
from tests.providers.stand import Stand


async def test_refunds_in_parts_move_exactly_what_was_asked(stand: Stand) -> None:
    payment = await stand.paid()
    for amount in (500, 1499):
        refund = stand.refund(payment, amount)
        assert (await stand.provider.refund(refund, payment)).refund_reference == refund.reference
        await stand.complete(refund)
        report = await stand.provider.query_refund(refund, payment)
        assert report.outcome is RefundOutcome.SUCCEEDED
        assert refund.mismatch(report) is None
    assert await stand.moved(payment, "refund") == [500, 1499]


async def test_sending_a_refund_again_moves_the_money_once(stand: Stand) -> None:
    payment = await stand.paid()
    refund = stand.refund(payment, payment.amount)
    for _ in range(3):
        report = await stand.provider.refund(refund, payment)
        assert report.outcome in (RefundOutcome.SUCCEEDED, RefundOutcome.PENDING)
    await stand.complete(refund)
    assert await stand.moved(payment, "refund") == [payment.amount]


async def test_a_refund_whose_answer_was_lost_is_found_by_asking(stand: Stand) -> None:
    payment = await stand.paid()
    refund = stand.refund(payment, 700)
    await stand.fault("refund", "lost_answer", refund)
    with pytest.raises(OutcomeUnknown):
        await stand.provider.refund(refund, payment)
    await stand.complete(refund)
    report = await stand.provider.query_refund(refund, payment)
    assert refund.mismatch(report) is None
    assert report.outcome is RefundOutcome.SUCCEEDED
    await stand.provider.refund(refund, payment)
    assert await stand.moved(payment, "refund") == [700]


async def test_refunding_more_than_was_paid_is_a_definite_no(stand: Stand) -> None:
    payment = await stand.paid()
    refund = stand.refund(payment, payment.amount + 1)
    with pytest.raises(ProviderRejected) as caught:
        await stand.provider.refund(refund, payment)
    assert caught.value.provider_code
    assert await stand.moved(payment, "refund") == []


async def test_a_refund_that_was_never_sent_is_reported_as_not_found(stand: Stand) -> None:
    payment = await stand.paid()
    report = await stand.provider.query_refund(stand.refund(payment, 1), payment)
    assert report.outcome is RefundOutcome.NOT_FOUND


async def test_a_refund_notification_finds_our_refund(stand: Stand) -> None:
    payment = await stand.paid()
    refund = stand.refund(payment, 700)
    await stand.provider.refund(refund, payment)
    await stand.complete(refund)
    headers, body = await stand.notified(payment, refund)
    notification = await stand.provider.parse_notification(headers, body)
    assert notification.kind is NotificationKind.REFUND
    assert notification.payment is None
    assert notification.refund is not None
    assert notification.refund.refund_reference == refund.reference
    assert notification.refund.outcome in (RefundOutcome.SUCCEEDED, RefundOutcome.PENDING)
    assert refund.mismatch(notification.refund) is None
