"""UnionPay's own ways of going wrong, as the sandbox plays them; the rest is the contract's."""

import pytest

from domain.checkout import CheckoutKind
from domain.errors import InvalidSignature, OutcomeUnknown, ProviderRejected
from domain.payment import Channel, Payer
from domain.report import Outcome, RefundOutcome
from tests.payer_codes import new_code
from tests.providers.conftest import Make
from tests.providers.stand import Stand
from tests.providers.unionpay.cut_over import skip_at_cut_over
from tests.providers.unionpay.harness import UnionpayHarness

FOREIGN = ("foreign_ca", "wrong_cn", "expired_certificate", "foreign_key")
MODES = ("main", "old")


@pytest.fixture(params=MODES)
def certified(request: pytest.FixtureRequest, make_stand: Make) -> Stand:
    """Accounts that verify by certificates; `old` has CFCA's SHA-1."""
    return make_stand(UnionpayHarness(), request.param)


@pytest.fixture
def main(make_stand: Make) -> Stand:
    return make_stand(UnionpayHarness(), "main")


@pytest.mark.parametrize("forgery", FOREIGN)
async def test_an_answer_of_a_signer_that_is_not_unionpay_is_an_unknown_outcome(
    certified: Stand, forgery: str
) -> None:
    payment = certified.payment()
    for operation in ("create", "query"):
        await certified.fault(operation, forgery, payment)
    with pytest.raises(OutcomeUnknown):
        await certified.provider.create(payment)
    with pytest.raises(OutcomeUnknown):
        await certified.provider.query(payment)
    assert len(await certified.orders(payment)) == 1


@pytest.mark.parametrize("forgery", [*FOREIGN, "unknown_serial"])
async def test_a_notification_of_a_signer_that_is_not_unionpay_is_rejected(
    certified: Stand, forgery: str
) -> None:
    payment = await certified.paid()
    headers, body = await certified.notified(payment, fault=forgery)
    with pytest.raises(InvalidSignature):
        await certified.provider.parse_notification(headers, body)


async def test_a_new_certificate_of_unionpays_needs_no_configuration(certified: Stand) -> None:
    payment = await certified.paid()
    first = await certified.notified(payment)
    rotate = {"provider": "unionpay"}
    (await certified.control.post("/_sandbox/keys/rotate", json=rotate)).raise_for_status()
    second = await certified.notified(payment)
    for headers, body in (first, second):
        told = await certified.provider.parse_notification(headers, body)
        assert told.reference == payment.reference
    assert (await certified.provider.query(payment)).outcome is Outcome.PAID


async def test_a_notification_in_gbk_is_believed(main: Stand) -> None:
    payment = await main.paid()
    headers, body = await main.notified(payment, fault="gbk")
    told = await main.provider.parse_notification(headers, body)
    assert told.payment is not None
    assert told.payment.outcome is Outcome.PAID


async def test_a_notification_about_another_code_is_not_paid(main: Stand) -> None:
    payment = await main.paid()
    for code, outcome in (("A6", Outcome.PAID), ("04", Outcome.PENDING), ("66", Outcome.PENDING)):
        headers, body = await main.notified(payment, fault="resp_code", code=code)
        told = await main.provider.parse_notification(headers, body)
        assert told.payment is not None
        assert told.payment.outcome is outcome


@pytest.mark.parametrize("code", ["03", "04", "05", "66", "34"])
async def test_an_unclear_state_is_queried_until_it_is_clear(main: Stand, code: str) -> None:
    payment = await main.paid()
    await main.fault("query", "orig_resp_code", payment, code=code)
    assert (await main.provider.query(payment)).outcome in (Outcome.PENDING, Outcome.NOT_FOUND)
    assert (await main.provider.query(payment)).outcome is Outcome.PAID


async def test_a_success_with_a_defect_is_a_success(main: Stand) -> None:
    payment = await main.paid()
    await main.fault("query", "orig_resp_code", payment, code="A6")
    assert payment.mismatch(await main.provider.query(payment)) is None


@pytest.mark.parametrize("ending", ["0004", "0005", "0006"])
async def test_a_rejected_code_moves_nothing(main: Stand, ending: str) -> None:
    payment = main.payment(Channel.BARCODE, payer=Payer(auth_code=new_code("unionpay", ending)))
    with pytest.raises(ProviderRejected):
        await main.provider.create(payment)
    assert (await main.provider.query(payment)).outcome is Outcome.FAILED
    assert await main.moved(payment, "capture") == []


@pytest.mark.parametrize("ending", ["0007", "0008"])
async def test_a_charge_of_unclear_outcome_is_found_by_querying(main: Stand, ending: str) -> None:
    payment = main.payment(Channel.BARCODE, payer=Payer(auth_code=new_code("unionpay", ending)))
    with pytest.raises(OutcomeUnknown):
        await main.provider.create(payment)
    again = await main.provider.create(payment)
    assert again.report is not None
    assert again.report.outcome is Outcome.PAID
    assert await main.moved(payment, "capture") == [payment.amount]


async def test_an_accepted_charge_is_not_yet_paid(main: Stand) -> None:
    payment = main.payment(Channel.BARCODE, payer=Payer(auth_code=new_code("unionpay", "0009")))
    created = await main.provider.create(payment)
    assert created.report is not None
    assert created.report.outcome is Outcome.PENDING


async def test_a_declined_payer_can_pay_after_all(main: Stand) -> None:
    for channel in (Channel.APP, Channel.PAGE, Channel.WAP, Channel.QR):
        payment = main.payment(channel)
        created = await main.provider.create(payment)
        content = {"provider": "unionpay", "checkout": main.harness.checkout(created.checkout)}
        (await main.control.post("/_sandbox/decline", json=content)).raise_for_status()
        assert (await main.provider.query(payment)).outcome is Outcome.PENDING
        await main.pay(payment, created)
        assert (await main.provider.query(payment)).outcome is Outcome.PAID


async def test_an_opened_order_that_nobody_paid_is_closed_by_its_time(main: Stand) -> None:
    payment = main.payment(Channel.PAGE)
    created = await main.provider.create(payment)
    assert created.checkout.kind is CheckoutKind.FORM
    content = {"provider": "unionpay", "checkout": main.harness.checkout(created.checkout)}
    (await main.control.post("/_sandbox/open", json=content)).raise_for_status()
    assert (await main.provider.query(payment)).outcome is Outcome.PENDING
    assert (await main.closed(payment)).outcome is Outcome.CLOSED
    assert not await main.can_be_paid(payment, created)


async def test_a_whole_payment_is_undone_at_once_on_the_same_day(main: Stand) -> None:
    skip_at_cut_over()
    payment = await main.paid()
    refund = main.refund(payment, payment.amount)
    assert (await main.refunds.refund(refund, payment)).outcome is RefundOutcome.PENDING
    report = await main.refunds.query_refund(refund, payment)
    assert (report.outcome, refund.mismatch(report)) == (RefundOutcome.SUCCEEDED, None)
    assert await main.moved(payment, "refund") == [payment.amount]


async def test_an_undo_after_a_refund_is_not_tried_twice(main: Stand) -> None:
    skip_at_cut_over()
    payment = await main.paid()
    await main.refunds.refund(main.refund(payment, 1), payment)
    rest = main.refund(payment, payment.amount)
    with pytest.raises(ProviderRejected):
        await main.refunds.refund(rest, payment)
    assert sum(await main.moved(payment, "refund")) <= 1


async def test_a_refund_that_the_bank_rejects_fails_by_notification_and_by_query(
    main: Stand,
) -> None:
    payment = await main.paid()
    refund = main.refund(payment, 700)
    assert (await main.refunds.refund(refund, payment)).outcome is RefundOutcome.PENDING
    content = {"provider": "unionpay", "refund_reference": refund.reference, "status": "FAILED"}
    (await main.control.post("/_sandbox/refunds/complete", json=content)).raise_for_status()
    headers, body = await main.notified(payment, refund)
    told = await main.provider.parse_notification(headers, body)
    assert told.refund is not None
    assert told.refund.outcome is RefundOutcome.FAILED
    assert (await main.refunds.query_refund(refund, payment)).outcome is RefundOutcome.FAILED
    assert await main.moved(payment, "refund") == []


async def test_the_browser_brings_back_a_signed_form(main: Stand) -> None:
    payment = main.payment(Channel.WAP)
    created = await main.provider.create(payment)
    content = {"provider": "unionpay", "checkout": main.harness.checkout(created.checkout)}
    paid = (await main.control.post("/_sandbox/pay", json=content | {"notify": False})).json()
    page = (await main.control.get(paid["return_url"])).text
    assert 'action="http://paysaga.test/return/unionpay/main"' in page
