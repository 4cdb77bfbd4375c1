from dataclasses import replace

from domain.event import EventType
from domain.refund import Refund, RefundCause, RefundStatus
from domain.report import Attention
from reconciliation.audit.finding import Promise
from reconciliation.audit.records import Move
from tests.reconciliation.audit.conftest import Ledger


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


def test_a_refund_that_an_operator_accepted_need_not_be_there(ledger: Ledger) -> None:
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


def test_a_refund_at_the_providers_console_needs_an_operator(ledger: Ledger) -> None:
    ledger.moves.append(Move("alipay", "2088", ledger.payment.reference, 100, "CONSOLE-1"))

    assert ledger.promises() == [Promise.LOST_REFUND]

    ledger.bend(attention=Attention.EXTERNAL_REFUND)
    assert ledger.promises() == []


def a_stores_refund(ledger: Ledger, amount: int) -> Refund:
    """A store gave money back by itself, under its own number."""
    refund = ledger.refund(amount).model_copy(
        update={"cause": RefundCause.PROVIDER, "provider_reference": "2000000000000001"}
    )
    ledger.refunds[-1] = refund
    ledger.moves[-1] = replace(ledger.moves[-1], refund_reference="2000000000000001")
    return refund


def taken_back(ledger: Ledger, refund: Refund) -> None:
    """The store takes its refund back, and the merchant is told."""
    ledger.refunds[-1] = refund.model_copy(update={"status": RefundStatus.REVERSED})
    ledger.bend(refunded=0)
    ledger.tell(EventType.REFUND_REVERSED, ledger.refunds[-1])


def test_a_stores_refund_is_known_by_the_stores_number(ledger: Ledger) -> None:
    a_stores_refund(ledger, 500)

    assert ledger.found() == []


def test_a_stores_refund_that_it_took_back_counts_for_nothing(ledger: Ledger) -> None:
    refund = a_stores_refund(ledger, 500)
    taken_back(ledger, refund)
    ledger.moves.append(replace(ledger.moves[-1], amount=-500))

    assert ledger.found() == []


def test_a_stores_refund_that_we_did_not_receive_of_was_taken_back_is_named(ledger: Ledger) -> None:
    a_stores_refund(ledger, 500)
    ledger.moves.append(replace(ledger.moves[-1], amount=-500))

    assert ledger.promises() == [Promise.REFUND_WITHOUT_MONEY]


def test_a_stores_refund_that_only_we_count_as_taken_back_is_named(ledger: Ledger) -> None:
    taken_back(ledger, a_stores_refund(ledger, 500))

    assert ledger.promises() == [Promise.LOST_REFUND]


def test_a_reversal_that_the_merchant_was_not_notified_of_is_named(ledger: Ledger) -> None:
    refund = a_stores_refund(ledger, 500)
    ledger.refunds[-1] = refund.model_copy(update={"status": RefundStatus.REVERSED})
    ledger.bend(refunded=0)
    ledger.moves.append(replace(ledger.moves[-1], amount=-500))

    assert ledger.promises() == [Promise.END_WITHOUT_EVENT]
