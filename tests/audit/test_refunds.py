from dataclasses import replace

from audit.books import Move
from audit.finding import Promise
from domain.refund import RefundStatus
from domain.report import Attention
from tests.audit.conftest import Ledger


def test_more_given_back_than_came_in_is_an_over_refund(ledger: Ledger) -> None:
    ledger.refund(1000)
    ledger.moves[-1] = replace(ledger.moves[-1], amount=1001)

    assert Promise.OVER_REFUND in ledger.promises()


def test_one_refund_given_twice_is_an_over_refund(ledger: Ledger) -> None:
    refund = ledger.refund(300)
    ledger.give_back(refund)

    assert ledger.promises() == [Promise.OVER_REFUND]


def test_more_reserved_than_captured_is_an_over_refund(ledger: Ledger) -> None:
    ledger.refund(600, RefundStatus.PENDING)
    ledger.refund(600, RefundStatus.PENDING)

    assert ledger.promises() == [Promise.OVER_REFUND]


def test_a_sum_that_is_not_that_of_its_refunds_is_named(ledger: Ledger) -> None:
    ledger.refund(300)
    ledger.bend(refunded=200)

    assert ledger.promises() == [Promise.OVER_REFUND]


def test_reserved_money_without_an_open_refund_is_named(ledger: Ledger) -> None:
    ledger.bend(refund_reserved=300)

    assert ledger.promises() == [Promise.RESERVED_WITHOUT_REFUND]


def test_a_refund_that_succeeded_here_and_not_there_is_named(ledger: Ledger) -> None:
    ledger.refund(300)
    ledger.moves.pop()

    assert ledger.promises() == [Promise.REFUND_WITHOUT_MONEY]


def test_a_refund_that_a_person_accepted_need_not_be_there(ledger: Ledger) -> None:
    refund = ledger.refund(300)
    ledger.refunds = [refund.model_copy(update={"raw_status": "accepted by an operator"})]
    ledger.moves.pop()

    assert ledger.promises() == []


def test_a_refund_that_failed_here_and_was_given_there_is_named(ledger: Ledger) -> None:
    refund = ledger.refund(300, RefundStatus.FAILED)
    ledger.events, ledger.inbox = ledger.events[:1], ledger.inbox[:1]
    ledger.give_back(refund)

    assert Promise.LOST_REFUND in ledger.promises()


def test_a_pending_refund_may_be_given_there_already_while_its_workflow_runs(
    ledger: Ledger,
) -> None:
    refund = ledger.refund(300, RefundStatus.PENDING)
    ledger.give_back(refund)

    assert ledger.found() == []


def test_a_refund_at_the_providers_console_needs_a_person(ledger: Ledger) -> None:
    ledger.moves.append(Move("alipay", "2088", ledger.payment.reference, 100, "CONSOLE-1"))

    assert ledger.promises() == [Promise.LOST_REFUND]

    ledger.bend(attention=Attention.EXTERNAL_REFUND)
    assert ledger.promises() == []
