import json

from domain.event import PAYMENT_EVENTS, REFUND_EVENTS, payment_data, refund_data
from domain.notification import Notification, NotificationKind
from domain.payment import Payer, PaymentStatus
from domain.refund import RefundStatus
from domain.report import Attention
from tests.domain.making import payment, refund, refund_report, report

PAYER = Payer(
    open_id="o-secret", buyer_id="2088secret", auth_code="2" * 18, client_ip="203.0.113.9"
)
OURS = {"payer", "request_hash", "idempotency_key", "checkout", "merchant_id", "raw_status"}


def test_every_end_has_its_event() -> None:
    assert set(PAYMENT_EVENTS) == set(PaymentStatus) - {PaymentStatus.PENDING}
    assert set(REFUND_EVENTS) == set(RefundStatus) - {RefundStatus.PENDING}


def test_a_merchant_is_told_nothing_of_the_payer() -> None:
    told = json.dumps(payment_data(payment(payer=PAYER)))

    assert not [word for word in PAYER.model_dump().values() if word in told]


def test_a_merchant_is_told_nothing_of_our_bookkeeping() -> None:
    assert not OURS & set(payment_data(payment()))
    assert not OURS & set(refund_data(refund()))


def test_a_merchant_is_told_what_it_needs() -> None:
    told = payment_data(payment().apply(report()))
    given_back = refund_data(refund().apply(refund_report()))

    assert (told["order_no"], told["status"], told["captured"]) == ("A-1", "succeeded", 1999)
    assert told["expires_at"] == "2026-05-01T12:15:00Z"
    assert (given_back["amount"], given_back["cause"]) == (500, "requested")


def test_a_notification_passes_its_reports_mismatch_on() -> None:
    said = Notification(
        provider="alipay",
        account="main",
        notification_id="n-1",
        kind=NotificationKind.PAYMENT,
        reference=payment().reference,
        payment=report(mismatch=Attention.ACCOUNT_MISMATCH),
    )

    assert said.mismatch is Attention.ACCOUNT_MISMATCH
    of_refund = said.model_copy(update={"payment": None, "refund": refund_report()})
    assert of_refund.mismatch is None
    assert said.model_copy(update={"payment": None}).mismatch is None
