"""What every provider promises, whoever it is: one body of tests and no special case."""

import pytest

from domain.checkout import CheckoutKind
from domain.errors import InvalidSignature
from domain.notification import NotificationKind
from domain.payment import Channel
from domain.report import Attention, Outcome
from providers.base import SignsReturns
from tests.providers.conftest import Make
from tests.providers.harness import Harness, account_of
from tests.providers.stand import Stand, minutes_ago

UNPAID = (Outcome.PENDING, Outcome.NOT_FOUND)
MOST_PLACES = 2000
GONE = (Outcome.CLOSED, Outcome.NOT_FOUND)


async def test_what_create_hands_out_can_be_paid_and_is_then_reported_as_paid(
    stand: Stand,
) -> None:
    for channel in stand.provider.channels:
        payment = await stand.paid(channel)
        report = await stand.provider.query(payment)
        assert (report.outcome, report.reference) == (Outcome.PAID, payment.reference)
        assert payment.mismatch(report) is None
        assert report.provider_reference
        assert report.paid_at is not None
        assert report.paid_at.tzinfo is not None


async def test_an_order_that_nobody_paid_is_never_a_failure(stand: Stand) -> None:
    for channel in set(stand.provider.channels) - {Channel.BARCODE}:
        payment = stand.payment(channel)
        await stand.provider.create(payment)
        assert (await stand.provider.query(payment)).outcome in UNPAID


async def test_an_order_that_was_never_made_is_reported_as_not_found(stand: Stand) -> None:
    report = await stand.provider.query(stand.payment())
    assert report.outcome is Outcome.NOT_FOUND


async def test_creating_twice_makes_one_order(stand: Stand) -> None:
    for channel in stand.remote:
        payment = stand.payment(channel)
        first = await stand.provider.create(payment)
        again = await stand.provider.create(payment)
        assert again.checkout.kind in (first.checkout.kind, CheckoutKind.NONE)
        assert len(await stand.orders(payment)) == 1
        await stand.pay(payment, first)
        assert (await stand.provider.query(payment)).outcome is Outcome.PAID


async def test_creating_a_paid_order_again_says_that_it_is_paid(stand: Stand) -> None:
    for channel in stand.remote:
        payment = await stand.paid(channel)
        created = await stand.provider.create(payment)
        assert created.report is not None
        assert created.report.outcome is Outcome.PAID
        assert await stand.moved(payment, "capture") == [payment.amount]


async def test_a_barcode_that_waits_for_the_payers_password_is_pending(till: Stand) -> None:
    payment = till.payment(Channel.BARCODE)
    await till.fault("create", "pending", payment, then="pending")
    created = await till.provider.create(payment)
    assert created.report is None or created.report.outcome is Outcome.PENDING
    assert (await till.provider.query(payment)).outcome is Outcome.PENDING
    await till.pay(payment, created)
    assert (await till.provider.query(payment)).outcome is Outcome.PAID


async def test_closing_a_waiting_barcode_ends_it(till: Stand) -> None:
    # No provider cancels what has only just begun.
    payment = till.payment(Channel.BARCODE, created_at=minutes_ago(1))
    await till.fault("create", "pending", payment, then="pending")
    created = await till.provider.create(payment)
    assert (await till.closed(payment)).outcome is Outcome.CLOSED
    assert not await till.can_be_paid(payment, created)
    assert (await till.provider.query(payment)).outcome is Outcome.CLOSED


async def test_closing_a_paid_order_reports_the_money_and_leaves_it_alone(stand: Stand) -> None:
    for channel in stand.provider.channels:
        payment = await stand.paid(channel, created_at=minutes_ago(1))
        assert (await stand.provider.close(payment)).outcome is Outcome.PAID
        assert await stand.moved(payment, "refund") == []


async def test_a_closed_order_cannot_be_paid_any_more(stand: Stand) -> None:
    for channel in stand.remote:
        payment = stand.payment(channel)
        created = await stand.provider.create(payment)
        closed = await stand.closed(payment)
        assert closed.outcome in GONE
        if closed.outcome is Outcome.CLOSED:
            assert not await stand.can_be_paid(payment, created)
            assert (await stand.provider.query(payment)).outcome in GONE
            assert (await stand.closed(payment)).outcome in GONE


async def test_a_payment_notification_is_believed_and_says_what_was_paid(stand: Stand) -> None:
    payment = await stand.paid()
    headers, body = await stand.notified(payment)
    notification = await stand.provider.parse_notification(headers, body)
    assert notification.kind is NotificationKind.PAYMENT
    assert (notification.provider, notification.account) == (payment.provider, payment.account)
    assert notification.reference == payment.reference
    assert notification.notification_id
    assert notification.payment is not None
    assert notification.payment.outcome is Outcome.PAID
    assert payment.mismatch(notification.payment) is None


async def test_the_acknowledgement_satisfies_the_provider_and_the_refusal_does_not(
    stand: Stand,
) -> None:
    payment = await stand.paid()
    stand.inbox.answer = stand.provider.acknowledge(accepted=True)
    assert await stand.notify(payment)
    stand.inbox.answer = stand.provider.acknowledge(accepted=False, message="try again")
    assert not await stand.notify(payment)


@pytest.mark.parametrize("forgery", ["tamper_body", "foreign_key", "signtest"])
async def test_a_forged_notification_is_refused(stand: Stand, forgery: str) -> None:
    payment = await stand.paid()
    headers, body = await stand.notified(payment, fault=forgery)
    with pytest.raises(InvalidSignature):
        await stand.provider.parse_notification(headers, body)


@pytest.mark.parametrize("body", [b"", b"{}", b"=", b"\xff\x00", b"a=b&a=b", b"[1", b"null"])
async def test_rubbish_is_refused_like_a_forgery(stand: Stand, body: bytes) -> None:
    with pytest.raises(InvalidSignature):
        await stand.provider.parse_notification({}, body)


async def test_a_notification_changed_by_one_byte_is_refused(stand: Stand) -> None:
    payment = await stand.paid()
    headers, body = await stand.notified(payment)
    # All of a short message; of a long one as many places, spread over it.
    for place in range(0, len(body), 1 + len(body) // MOST_PLACES):
        changed = body[:place] + bytes([body[place] ^ 1]) + body[place + 1 :]
        with pytest.raises(InvalidSignature):
            await stand.provider.parse_notification(headers, changed)


async def test_a_notification_of_something_else_does_not_fit_the_payment(stand: Stand) -> None:
    wrong = stand.harness.disagreement
    payment = await stand.paid()
    headers, body = await stand.notified(payment, fault=wrong.fault, **wrong.params)
    notification = await stand.provider.parse_notification(headers, body)
    assert notification.payment is not None
    assert payment.mismatch(notification.payment) is wrong.attention


async def test_a_notification_for_another_account_does_not_fit_ours(stand: Stand) -> None:
    payment = await stand.paid()
    headers, body = await stand.notified(payment, fault="foreign_app")
    notification = await stand.provider.parse_notification(headers, body)
    assert notification.mismatch is Attention.ACCOUNT_MISMATCH


async def test_what_was_paid_is_reported_and_not_what_was_asked(stand: Stand) -> None:
    payment = stand.payment()
    await stand.pay_wrongly(payment, await stand.provider.create(payment))
    report = await stand.provider.query(payment)
    assert payment.mismatch(report) is stand.harness.disagreement.attention


async def test_no_secret_shows_in_what_a_log_may_print(
    case: tuple[Harness, str], make_stand: Make, sandbox_manifest: dict[str, object]
) -> None:
    stand = make_stand(*case)
    shown = f"{stand.provider!r} {vars(stand.provider)!r}"
    account = account_of(sandbox_manifest, case[0].name, case[1])
    for name, value in account.items():
        if "private_key" in name or name.endswith(("aes_key", "v3_key", "secure_key", "pfx")):
            assert str(value).strip().splitlines()[-2:][0] not in shown


def test_a_return_that_is_not_signed_names_no_payment(stand: Stand) -> None:
    if not isinstance(stand.provider, SignsReturns):
        pytest.skip("this provider signs no return")
    with pytest.raises(InvalidSignature):
        stand.provider.parse_return("out_trade_no=1&sign=AAAA")


def test_every_channel_says_how_long_it_lives(stand: Stand) -> None:
    assert set(stand.remote) <= set(stand.provider.channels) <= set(Channel)
    assert "CNY" in stand.provider.currencies
    for rules in stand.provider.channels.values():
        assert rules.shortest_expiry <= rules.default_expiry <= rules.longest_expiry
