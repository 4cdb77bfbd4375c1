from dataclasses import replace
from uuid import uuid4

import pytest

from domain.event import EventType
from domain.payment import PaymentStatus
from domain.refund import RefundStatus
from domain.report import Attention
from reconciliation.audit.finding import Promise, Severity
from reconciliation.audit.records import Move, OpenWorkflow
from tests.reconciliation.audit.conftest import Ledger, a_payment


def test_records_that_agree_are_clean(ledger: Ledger) -> None:
    ledger.refund(300)
    ledger.refund(200, RefundStatus.PENDING)

    assert ledger.found() == []


def test_a_payment_that_nobody_paid_and_both_sides_closed_is_clean(ledger: Ledger) -> None:
    ledger.closed()

    assert ledger.found() == []


def test_money_for_a_pending_payment_that_nobody_executes_is_lost(ledger: Ledger) -> None:
    ledger.bend(status=PaymentStatus.PENDING, captured=0)
    ledger.events, ledger.inbox = [], []

    assert ledger.promises() == [Promise.LOST_PAYMENT, Promise.ROW_WITHOUT_RUN]


def test_money_for_a_pending_payment_is_on_its_way_while_its_workflow_runs(ledger: Ledger) -> None:
    ledger.bend(status=PaymentStatus.PENDING, captured=0)
    ledger.events, ledger.inbox = [], []
    ledger.workflows = [OpenWorkflow(f"payment-{ledger.payment.reference}")]

    assert ledger.found() == []


def test_money_for_an_order_that_we_never_wrote_down_is_lost(ledger: Ledger) -> None:
    ledger.moves.append(Move("wechatpay", "1900", uuid4().hex, 500))

    assert ledger.promises() == [Promise.LOST_PAYMENT]


def test_another_sdks_orders_at_the_same_sandbox_are_not_ours(ledger: Ledger) -> None:
    ledger.moves.append(Move("wechatpay", "1900", "THEIR-ORDER-1", 500))

    assert ledger.found() == []


def test_an_order_that_we_never_wrote_down_is_named(ledger: Ledger) -> None:
    ledger.orders.append(replace(ledger.orders[0], reference=uuid4().hex))

    assert ledger.promises() == [Promise.DOUBLE_ORDER]


@pytest.mark.parametrize("status", [PaymentStatus.CLOSED, PaymentStatus.FAILED])
def test_closed_at_us_but_paid_there_is_named(ledger: Ledger, status: PaymentStatus) -> None:
    ledger.bend(status=status, captured=0)
    ledger.events, ledger.inbox = [], []
    ledger.tell(EventType(f"payment.{status}"))

    assert ledger.promises() == [Promise.CLOSED_BUT_PAID]


def test_what_an_operator_was_called_for_is_a_note(ledger: Ledger) -> None:
    ledger.closed()
    ledger.moves = [Move("alipay", "2088", ledger.payment.reference, 1000)]
    ledger.bend(attention=Attention.CONTRADICTION)

    [note] = ledger.found()
    assert (note.promise, note.severity) == (Promise.OPERATOR_NEEDED, Severity.NOTE)
    assert "contradiction" in note.what


def test_a_reversal_in_store_gives_back_what_came_in(ledger: Ledger) -> None:
    ledger.closed()
    name = ledger.payment.reference
    ledger.moves = [
        Move("wechatpay", "1900", name, 1000),
        Move("wechatpay", "1900", name, 1000, f"reverse:{name}"),
    ]

    assert ledger.found() == []


def test_closed_at_us_but_payable_there_is_named(ledger: Ledger) -> None:
    ledger.closed()
    ledger.orders = [replace(ledger.orders[0], status="WAIT_BUYER_PAY", payable=True)]

    assert ledger.promises() == [Promise.CLOSED_BUT_PAYABLE]


def test_a_checkout_that_nobody_opened_cannot_be_closed_and_is_a_note(ledger: Ledger) -> None:
    ledger.closed()
    ledger.orders = [replace(ledger.orders[0], status="SHOWN", payable=True, begun=False)]

    assert ledger.promises() == []
    assert [found.promise for found in ledger.found()] == [Promise.CLOSED_BUT_PAYABLE]


def test_a_double_capture_is_named(ledger: Ledger) -> None:
    ledger.moves.append(ledger.moves[0])

    assert Promise.DOUBLE_CAPTURE in ledger.promises()


def test_two_orders_for_one_payment_are_named(ledger: Ledger) -> None:
    ledger.orders.append(replace(ledger.orders[0], merchant="2089"))

    assert ledger.promises() == [Promise.DOUBLE_ORDER]


def test_two_successful_payments_of_one_order_are_a_double_capture(ledger: Ledger) -> None:
    other = a_payment()
    ledger.others = [other]
    ledger.moves.append(Move("alipay", "2088", other.reference, 1000))

    assert Promise.DOUBLE_CAPTURE in ledger.promises()


def test_a_success_without_money_is_named(ledger: Ledger) -> None:
    ledger.moves = []

    assert ledger.promises() == [Promise.SUCCESS_WITHOUT_MONEY]


def test_another_amount_there_is_named_to_the_fen(ledger: Ledger) -> None:
    ledger.moves = [replace(ledger.moves[0], amount=999)]

    [found] = ledger.found()
    assert found.promise is Promise.AMOUNT_DIFFERS
    assert found.what == "captured 1000 fen here, 999 there"


@pytest.mark.parametrize("flag", ["late", "duplicate"])
def test_money_that_was_to_go_back_and_stays_is_named(ledger: Ledger, flag: str) -> None:
    if flag == "late":
        ledger.closed()
        ledger.moves = [Move("alipay", "2088", ledger.payment.reference, 1000)]
        ledger.bend(captured=1000)
    ledger.bend(**{flag: True})

    assert ledger.promises() == [Promise.KEPT_MONEY]

    ledger.refund(1000)
    assert ledger.promises() == []
