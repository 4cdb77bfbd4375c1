"""What every provider promises of refunds."""

import pytest

from domain.errors import OutcomeUnknown, ProviderRejected
from domain.notification import NotificationKind
from domain.report import RefundOutcome
from providers.base import Refundable, refundable
from tests.providers.stand import Stand


async def test_refunds_in_parts_move_exactly_what_was_asked(refunding: Stand) -> None:
    payment = await refunding.paid()
    for amount in (500, 1499):
        refund = refunding.refund(payment, amount)
        assert (
            await refunding.refunds.refund(refund, payment)
        ).refund_reference == refund.reference
        await refunding.complete(refund)
        report = await refunding.refunds.query_refund(refund, payment)
        assert report.outcome is RefundOutcome.SUCCEEDED
        assert refund.mismatch(report) is None
    assert await refunding.moved(payment, "refund") == [500, 1499]


async def test_sending_a_refund_again_moves_the_money_once(refunding: Stand) -> None:
    payment = await refunding.paid()
    refund = refunding.refund(payment, payment.amount)
    for _ in range(3):
        report = await refunding.refunds.refund(refund, payment)
        assert report.outcome in (RefundOutcome.SUCCEEDED, RefundOutcome.PENDING)
    await refunding.complete(refund)
    assert await refunding.moved(payment, "refund") == [payment.amount]


async def test_a_refund_whose_answer_was_lost_is_found_by_asking(refunding: Stand) -> None:
    payment = await refunding.paid()
    refund = refunding.refund(payment, 700)
    await refunding.fault("refund", "lost_answer", refund)
    with pytest.raises(OutcomeUnknown):
        await refunding.refunds.refund(refund, payment)
    await refunding.complete(refund)
    report = await refunding.refunds.query_refund(refund, payment)
    assert refund.mismatch(report) is None
    assert report.outcome is RefundOutcome.SUCCEEDED
    await refunding.refunds.refund(refund, payment)
    assert await refunding.moved(payment, "refund") == [700]


async def test_refunding_more_than_was_paid_is_a_definite_no(refunding: Stand) -> None:
    payment = await refunding.paid()
    refund = refunding.refund(payment, payment.amount + 1)
    with pytest.raises(ProviderRejected) as caught:
        await refunding.refunds.refund(refund, payment)
    assert caught.value.provider_code
    assert await refunding.moved(payment, "refund") == []


async def test_a_refund_that_was_never_sent_is_reported_as_not_found(refunding: Stand) -> None:
    payment = await refunding.paid()
    report = await refunding.refunds.query_refund(refunding.refund(payment, 1), payment)
    assert report.outcome is RefundOutcome.NOT_FOUND


async def test_a_refund_notification_finds_our_refund(refunding: Stand) -> None:
    payment = await refunding.paid()
    refund = refunding.refund(payment, 700)
    await refunding.refunds.refund(refund, payment)
    await refunding.complete(refund)
    headers, body = await refunding.notified(payment, refund)
    notification = await refunding.provider.parse_notification(headers, body)
    assert notification.kind is NotificationKind.REFUND
    assert notification.payment is None
    assert notification.refund is not None
    assert notification.refund.refund_reference == refund.reference
    assert notification.refund.outcome in (RefundOutcome.SUCCEEDED, RefundOutcome.PENDING)
    assert refund.mismatch(notification.refund) is None


def test_whoever_refunds_for_us_says_so_by_its_verbs_and_by_its_channels(stand: Stand) -> None:
    verbs = isinstance(stand.provider, Refundable)

    assert {rules.refundable for rules in stand.provider.channels.values()} == {verbs}


def test_a_refund_that_only_the_provider_can_give_is_a_definite_no(keeping: Stand) -> None:
    with pytest.raises(ProviderRejected) as caught:
        refundable(keeping.provider)

    assert caught.value.provider_code == "refund_unsupported"
