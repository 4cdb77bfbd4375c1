"""UnionPay's settlement files against the database: planted differences are found."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from domain.payment import Payment, PaymentStatus
from domain.refund import Refund, RefundStatus
from domain.report import Attention
from providers.unionpay.statement import Statement, StatementLine
from reconciliation.audit.compare import compare
from reconciliation.audit.finding import Finding, Promise, Severity
from reconciliation.audit.records import DatabaseRecords, OpenWorkflow, Records, SettlementFile
from reconciliation.audit.refunds import BY_HAND
from tests.reconciliation.audit.conftest import Ledger

MER_ID = "777290058110048"
PAID_AT = datetime(2026, 11, 22, 12, tzinfo=UTC)
PAID_ID, BACK_ID, OTHER_ID = "1" * 21, "2" * 21, "3" * 21


class Settlement:
    """A UnionPay payment of ten yuan and the file of its day, which agree until a test bends."""

    def __init__(self, ledger: Ledger) -> None:
        self.ledger = ledger
        ledger.bend(provider="unionpay", provider_reference=PAID_ID, paid_at=PAID_AT)
        self.day, self.accounts = "20261122", frozenset({"main"})
        self.files: list[tuple[StatementLine, ...]] = [()]
        self.come()

    @property
    def payment(self) -> Payment:
        return self.ledger.payment

    def line(self, **change: Any) -> StatementLine:
        line = StatementLine(
            trace_no="000001",
            at=PAID_AT,
            card="622609******0048",
            amount=1000,
            query_id=PAID_ID,
            order_id=self.payment.reference,
            type="01",
            sub_type="",
            original_query_id="",
            merchant_id=MER_ID,
            fee=6,
            settled=994,
        )
        return replace(line, **change)

    def come(self, **change: Any) -> None:
        self.files[0] += (self.line(**change),)

    def go(self, **change: Any) -> None:
        back = {"type": "04", "query_id": BACK_ID, "original_query_id": PAID_ID}
        self.files[0] += (self.line(**back | change),)

    def refund(self, amount: int, status: RefundStatus = RefundStatus.SUCCEEDED) -> Refund:
        """A refund in our records alone."""
        self.ledger.refund(amount, status)
        found = self.ledger.refunds[-1].model_copy(
            update={"provider": "unionpay", "provider_reference": BACK_ID, "refunded_at": PAID_AT}
        )
        self.ledger.refunds[-1] = found
        return found

    def unpaid(self, status: PaymentStatus = PaymentStatus.CLOSED) -> None:
        """We never heard of the money."""
        self.ledger.bend(status=status, captured=0, provider_reference=None, paid_at=None)

    def found(self) -> list[Finding]:
        """What the comparison finds beyond what it finds without a file."""
        statements = tuple(
            SettlementFile(Statement(MER_ID, self.day, lines), self.accounts)
            for lines in self.files
        )
        ledger = self.ledger
        ours = DatabaseRecords([ledger.payment, *ledger.others], ledger.refunds, [])
        without = compare(Records(ours, workflows=ledger.workflows))
        made = compare(Records(ours, workflows=ledger.workflows, statements=statements))
        return [finding for finding in made if finding not in without]

    def promises(self) -> list[Promise]:
        return [found.promise for found in self.found() if found.severity is Severity.ERROR]


@pytest.fixture
def settlement(ledger: Ledger) -> Settlement:
    return Settlement(ledger)


def test_a_file_that_agrees_is_clean(settlement: Settlement) -> None:
    refund = settlement.refund(300)
    settlement.go(amount=300, order_id=refund.reference)

    assert settlement.found() == []


def test_the_same_file_twice_changes_nothing(settlement: Settlement) -> None:
    settlement.come(query_id=OTHER_ID, order_id="POS10078087")
    once = settlement.found()
    settlement.files *= 2

    assert len(once) == 1
    assert settlement.found() == once


def test_the_query_id_goes_before_the_order_id(settlement: Settlement) -> None:
    settlement.files = [(settlement.line(order_id=""),)]

    assert settlement.found() == []


def test_the_order_id_finds_what_has_another_query_id_here(settlement: Settlement) -> None:
    refund = settlement.refund(300)
    settlement.files = [(settlement.line(query_id=OTHER_ID),)]
    settlement.go(
        amount=300,
        query_id="4" * 21,
        original_query_id=OTHER_ID,
        order_id=refund.reference,
        type="31",
    )

    assert settlement.found() == []


@pytest.mark.parametrize("order_id", ["0f3c5b3e7a544be29d415d1f3f6b8a01", "10078087", ""])
def test_money_unknown_to_the_database_is_lost(settlement: Settlement, order_id: str) -> None:
    settlement.come(query_id=OTHER_ID, order_id=order_id, amount=500)

    [found] = settlement.found()
    assert (found.promise, found.severity) == (Promise.LOST_PAYMENT, Severity.ERROR)
    assert found.promise.number == "P3"
    assert found.payment == (order_id if len(order_id) == 32 else "")
    assert "500 fen" in found.what
    assert OTHER_ID in found.what


def test_our_order_id_under_another_type_is_not_our_payment(settlement: Settlement) -> None:
    settlement.come(query_id=OTHER_ID, type="03")

    assert settlement.promises() == [Promise.LOST_PAYMENT]


@pytest.mark.parametrize("status", [PaymentStatus.CLOSED, PaymentStatus.FAILED])
def test_paid_after_the_end_and_never_notified_is_known_by_the_file(
    settlement: Settlement, status: PaymentStatus
) -> None:
    settlement.unpaid(status)

    [found] = settlement.found()
    assert (found.promise, found.payment) == (Promise.CLOSED_BUT_PAID, settlement.payment.reference)
    assert "1000 fen paid there, 0 given back" in found.what


def test_money_of_a_pending_payment_is_lost_unless_its_workflow_runs(
    settlement: Settlement,
) -> None:
    settlement.unpaid(PaymentStatus.PENDING)
    assert settlement.promises() == [Promise.LOST_PAYMENT]

    settlement.ledger.workflows = [OpenWorkflow(f"payment-{settlement.payment.reference}")]
    assert settlement.found() == []


def test_money_that_an_operator_was_called_for_is_no_second_finding(settlement: Settlement) -> None:
    settlement.unpaid()
    settlement.ledger.bend(attention=Attention.CONTRADICTION)

    assert settlement.found() == []


def test_another_amount_is_named_to_the_fen(settlement: Settlement) -> None:
    settlement.files = [(settlement.line(amount=999),)]

    [found] = settlement.found()
    assert found.promise is Promise.AMOUNT_DIFFERS
    assert found.what == "captured 1000 fen here, 999 there"


def test_another_amount_of_a_refund_is_named(settlement: Settlement) -> None:
    refund = settlement.refund(300)
    settlement.go(amount=200, order_id=refund.reference)

    [found] = settlement.found()
    assert found.promise is Promise.REFUND_WITHOUT_MONEY
    assert "of 300 fen succeeded here, [200] there" in found.what


def test_one_order_paid_twice_is_a_double_capture(settlement: Settlement) -> None:
    settlement.files.append((settlement.line(query_id=OTHER_ID),))

    assert Promise.DOUBLE_CAPTURE in settlement.promises()


def test_one_refund_done_twice_is_an_over_refund(settlement: Settlement) -> None:
    refund = settlement.refund(300)
    settlement.go(amount=300, order_id=refund.reference)
    settlement.files.append(
        (settlement.line(type="04", amount=300, query_id=OTHER_ID, order_id=refund.reference),)
    )

    assert settlement.promises() == [Promise.OVER_REFUND]


@pytest.mark.parametrize(("order_id", "kind"), [("CONSOLE1", "04"), ("", "31")])
def test_a_refund_of_their_console_is_named_with_its_payment(
    settlement: Settlement, order_id: str, kind: str
) -> None:
    settlement.go(amount=400, order_id=order_id, type=kind)

    [found] = settlement.found()
    assert (found.promise, found.payment) == (Promise.LOST_REFUND, settlement.payment.reference)
    assert f"400 fen went back under {order_id or BACK_ID!r}" in found.what


def test_a_refund_of_nothing_we_know_is_named(settlement: Settlement) -> None:
    settlement.go(order_id="", original_query_id=OTHER_ID)

    [found] = settlement.found()
    assert (found.promise, found.payment) == (Promise.LOST_REFUND, "")
    assert found.severity is Severity.ERROR


def test_a_refund_that_failed_here_and_was_done_there_is_named(settlement: Settlement) -> None:
    refund = settlement.refund(300, RefundStatus.FAILED)
    settlement.go(amount=300, order_id=refund.reference)

    assert settlement.promises() == [Promise.LOST_REFUND]


def test_a_refund_under_way_is_no_finding(settlement: Settlement) -> None:
    refund = settlement.refund(300, RefundStatus.PENDING)
    settlement.go(amount=300, order_id=refund.reference)

    assert settlement.found() == []


def test_what_the_file_leaves_out_is_only_a_note(settlement: Settlement) -> None:
    settlement.refund(300)
    settlement.files = [()]

    notes = settlement.found()
    assert {note.severity for note in notes} == {Severity.NOTE}
    assert [note.promise for note in notes] == [
        Promise.SUCCESS_WITHOUT_MONEY,
        Promise.REFUND_WITHOUT_MONEY,
    ]
    assert "1000 fen of settlement day 20261122" in notes[0].what
    assert "300 fen of settlement day 20261122" in notes[1].what


def test_a_refund_on_a_later_day_than_its_payment_is_clean(settlement: Settlement) -> None:
    refund = settlement.refund(300)
    settlement.ledger.bend(paid_at=PAID_AT - timedelta(days=3))
    settlement.files = [()]
    settlement.go(amount=300, order_id=refund.reference)

    assert settlement.found() == []


@pytest.mark.parametrize(
    ("utc", "notes"), [("21T14:59:59", 0), ("21T15:00", 1), ("22T14:59:59", 1), ("22T15:00", 0)]
)
def test_the_settlement_day_begins_at_eleven_at_night_in_beijing(
    settlement: Settlement, utc: str, notes: int
) -> None:
    settlement.ledger.bend(paid_at=datetime.fromisoformat(f"2026-11-{utc}+00:00"))
    settlement.files = [()]

    assert len(settlement.found()) == notes


def test_a_file_says_nothing_of_other_accounts(settlement: Settlement) -> None:
    settlement.files, settlement.accounts = [()], frozenset({"other"})

    assert settlement.found() == []


def test_what_an_operator_accepted_by_hand_is_not_requested(settlement: Settlement) -> None:
    refund = settlement.refund(300)
    settlement.ledger.refunds = [refund.model_copy(update={"raw_status": BY_HAND})]

    assert settlement.found() == []


def test_another_providers_payment_is_not_in_unionpays_file(settlement: Settlement) -> None:
    settlement.ledger.bend(provider="alipay")
    settlement.files = [()]

    assert settlement.found() == []
