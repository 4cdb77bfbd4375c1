from dataclasses import replace
from uuid import uuid4

import pytest

from domain.event import DeliveryStatus, EventType
from domain.payment import PaymentStatus
from domain.refund import RefundStatus
from reconciliation.audit.compare import compare
from reconciliation.audit.finding import Promise
from reconciliation.audit.records import Message, OpenWorkflow
from tests.reconciliation.audit.conftest import Ledger


def test_a_success_without_its_event_is_named(ledger: Ledger) -> None:
    ledger.events, ledger.inbox = [], []

    assert ledger.promises() == [Promise.PAID_WITHOUT_EVENT]


def test_a_close_without_its_event_is_named(ledger: Ledger) -> None:
    ledger.closed()
    ledger.events, ledger.inbox = [], []

    assert ledger.promises() == [Promise.END_WITHOUT_EVENT]


def test_a_refund_without_its_event_is_named(ledger: Ledger) -> None:
    ledger.refund(100)
    ledger.events.pop()
    ledger.inbox.pop()

    assert ledger.promises() == [Promise.END_WITHOUT_EVENT]


def test_an_event_of_an_end_that_did_not_come_is_named(ledger: Ledger) -> None:
    refund = ledger.refund(100, RefundStatus.PENDING)
    ledger.tell(EventType.REFUND_FAILED, refund)

    assert ledger.promises() == [Promise.EVENT_CONTRADICTS]


def test_two_ends_of_one_payment_are_named(ledger: Ledger) -> None:
    ledger.tell(EventType.PAYMENT_CLOSED)

    assert ledger.promises() == [Promise.EVENT_CONTRADICTS]


def test_late_money_that_was_accepted_has_two_ends(ledger: Ledger) -> None:
    ledger.events, ledger.inbox = [], []
    ledger.tell(EventType.PAYMENT_CLOSED)
    ledger.tell(EventType.PAYMENT_SUCCEEDED)
    ledger.bend(late=True)

    assert ledger.found() == []


def test_an_event_that_the_database_does_not_know_is_named(ledger: Ledger) -> None:
    ledger.inbox.append(Message(9, "tea", str(uuid4()), "payment.succeeded", 200))

    assert ledger.promises() == [Promise.EVENT_WITHOUT_PAYMENT]


def test_a_hole_in_the_numbers_of_a_payments_events_is_named(ledger: Ledger) -> None:
    ledger.events = [ledger.events[0].model_copy(update={"sequence": 2})]

    assert ledger.promises() == [Promise.EVENT_OUT_OF_ORDER]


def test_events_notified_in_another_order_are_named(ledger: Ledger) -> None:
    ledger.refund(100)
    first, second = ledger.inbox
    ledger.inbox = [replace(second, place=0), replace(first, place=1)]

    assert ledger.promises() == [Promise.EVENT_OUT_OF_ORDER]


def test_a_repeat_after_the_next_event_is_lawful_and_a_rejected_try_does_not_count(
    ledger: Ledger,
) -> None:
    ledger.refund(100)
    succeeded, refunded = ledger.inbox
    ledger.inbox = [replace(refunded, place=-1, status=500), succeeded, refunded]
    ledger.inbox.append(replace(succeeded, place=7))

    assert ledger.found() == []


def test_an_event_that_waits_without_a_workflow_is_named(ledger: Ledger) -> None:
    ledger.events = [ledger.events[0].model_copy(update={"delivery": DeliveryStatus.WAITING})]
    assert ledger.promises() == [Promise.EVENT_NOT_DELIVERED]

    ledger.workflows = [OpenWorkflow(f"payment-{ledger.payment.reference}", busy=True)]
    assert ledger.promises() == []


def test_an_event_that_a_stores_workflow_still_delivers_is_no_finding(ledger: Ledger) -> None:
    chains = [ledger.sold_by_store() for _ in range(2)]
    ledger.events = [ledger.events[0].model_copy(update={"delivery": DeliveryStatus.WAITING})]
    ledger.workflows = [OpenWorkflow(chains[0].workflow_id, busy=True, steps=("deliver_event",))]
    assert ledger.promises() == []

    ledger.chains = []
    assert ledger.promises() == [Promise.EVENT_NOT_DELIVERED]


def test_an_event_that_everybody_waits_for_and_nobody_delivers_is_named(ledger: Ledger) -> None:
    refund = ledger.refund(100)
    ledger.events = [
        e.model_copy(update={"delivery": DeliveryStatus.WAITING}) for e in ledger.events
    ]
    ledger.workflows = [
        OpenWorkflow(f"refund-{refund.reference}", busy=True, steps=("await_turn",))
    ]

    [found] = ledger.found()
    assert found.promise is Promise.EVENT_NOT_DELIVERED
    assert found.what.startswith("payment.succeeded waits")
    assert found.what.endswith("1 wait behind it")


@pytest.mark.parametrize("status", [None, 500, 302])
def test_an_event_that_counts_as_delivered_and_was_not_taken_is_named(
    ledger: Ledger, status: int | None
) -> None:
    [message] = ledger.inbox
    ledger.inbox = [] if status is None else [replace(message, status=status)]

    assert ledger.promises() == [Promise.EVENT_NOT_DELIVERED]


def test_a_merchant_that_was_notified_another_amount_is_named(ledger: Ledger) -> None:
    ledger.inbox = [replace(ledger.inbox[0], amount=100)]

    assert ledger.promises() == [Promise.EVENT_CONTRADICTS]


def test_a_merchant_whose_endpoint_is_elsewhere_is_not_said_to_have_missed_anything(
    ledger: Ledger,
) -> None:
    ledger.inbox = []

    assert compare(replace(ledger.records(), unread=frozenset({"tea"}))) == []
    assert compare(replace(ledger.records(), unread=frozenset({"coffee"}))) != []


def test_without_the_merchants_book_only_our_own_events_are_judged(ledger: Ledger) -> None:
    ledger.inbox = []
    records = replace(ledger.records(), inbox=None)

    assert compare(records) == []
    ledger.bend(status=PaymentStatus.FAILED)
    assert compare(replace(ledger.records(), inbox=None))
