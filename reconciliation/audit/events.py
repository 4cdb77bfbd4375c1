"""What the merchant was sent: our events against the database, and its inbox against both (P4)."""

from collections.abc import Iterable, Iterator

from domain.event import PAYMENT_EVENTS, REFUND_EVENTS, DeliveryStatus, Event
from domain.payment import PaymentStatus
from domain.refund import Refund, RefundStatus
from reconciliation.audit.finding import Finding, Promise
from reconciliation.audit.records import Case, Message, OpenWorkflow, Records

_ENDS = {kind: status for status, kind in PAYMENT_EVENTS.items()}
WAITS_FOR_ITS_TURN = "await_turn"
_LOOK = "Read the payment's events; send the merchant by hand what it does not know."


def check_events(records: Records) -> Iterator[Finding]:
    """Every difference about what merchants know."""
    for case in records.cases:
        yield from _ends(case)
        for refund in case.refunds:
            yield from _refund_end(case, refund)
        yield from _numbers(case)
        yield from _delivery(case)
        if records.inbox is not None and case.payment.merchant_id not in records.unread:
            yield from _arrivals(case)
    if records.inbox is not None:
        yield from _strangers(records, records.inbox)


def _ends(case: Case) -> Iterator[Finding]:
    payment = case.payment
    found = [_ENDS[event.type] for event in case.events if event.type in _ENDS]
    expected: list[list[PaymentStatus]]
    if payment.status is PaymentStatus.PENDING:
        expected = [[]]
    elif payment.late and payment.status is PaymentStatus.SUCCEEDED:
        # Closed or failed first, then accepted by the merchant's policy or an operator.
        expected = [[PaymentStatus.CLOSED, payment.status], [PaymentStatus.FAILED, payment.status]]
    else:
        expected = [[payment.status]]
    if found in expected:
        return
    missing = payment.status is not PaymentStatus.PENDING and payment.status not in found
    if missing:
        paid = payment.status is PaymentStatus.SUCCEEDED
        promise = Promise.PAID_WITHOUT_EVENT if paid else Promise.END_WITHOUT_EVENT
    else:
        promise = Promise.EVENT_CONTRADICTS
    yield Finding(promise, case.name, f"{payment.status}, with the events {_listed(found)}", _LOOK)


def _refund_end(case: Case, refund: Refund) -> Iterator[Finding]:
    found = [
        event.type
        for event in case.events
        if event.refund_id == refund.id and event.type in REFUND_EVENTS.values()
    ]
    # A store takes back what it had given, and the merchant was notified of that before.
    before = [RefundStatus.SUCCEEDED] if refund.status is RefundStatus.REVERSED else []
    expected = [
        REFUND_EVENTS[status]
        for status in (*before, refund.status)
        if status is not RefundStatus.PENDING
    ]
    if found == expected:
        return
    missing = not set(expected) <= set(found)
    yield Finding(
        Promise.END_WITHOUT_EVENT if missing else Promise.EVENT_CONTRADICTS,
        case.name,
        f"refund {refund.reference} is {refund.status}, with the events {_listed(found)}",
        _LOOK,
    )


def _numbers(case: Case) -> Iterator[Finding]:
    numbers = sorted(event.sequence for event in case.events)
    if numbers != list(range(1, len(numbers) + 1)):
        yield Finding(
            Promise.EVENT_OUT_OF_ORDER, case.name, f"events are numbered {numbers}", _LOOK
        )


def _delivery(case: Case) -> Iterator[Finding]:
    """Events wait for their turn; the first in the queue must have a workflow that delivers it."""
    waiting = [event for event in case.events if event.delivery is DeliveryStatus.WAITING]
    if not waiting or any(_may_deliver(workflow) for workflow in case.workflows):
        return
    first = min(waiting, key=lambda event: event.sequence)
    behind = f", {len(waiting) - 1} wait behind it" if len(waiting) > 1 else ""
    yield Finding(
        Promise.EVENT_NOT_DELIVERED,
        case.name,
        f"{first.type} waits, and no workflow delivers it{behind}",
        _LOOK,
    )


def _may_deliver(workflow: OpenWorkflow) -> bool:
    return workflow.busy and set(workflow.steps) != {WAITS_FOR_ITS_TURN}


def _arrivals(case: Case) -> Iterator[Finding]:
    """Only what the merchant took counts; a repeat after the next event is lawful."""
    arrivals = _in_arrival_order(case)
    by_id = {str(event.id): event for event in case.events}
    for event in case.events:
        if event.delivery is DeliveryStatus.DELIVERED and str(event.id) not in arrivals:
            yield Finding(
                Promise.EVENT_NOT_DELIVERED,
                case.name,
                f"{event.type} counts as delivered, and the merchant never took it",
                _LOOK,
            )
    arrived = [by_id[event_id].sequence for event_id in arrivals]
    if arrived != sorted(arrived):
        yield Finding(
            Promise.EVENT_OUT_OF_ORDER, case.name, f"the merchant received {arrived}", _LOOK
        )
    for message in case.received:
        yield from _content(case, message, by_id[message.event_id])


def _in_arrival_order(case: Case) -> list[str]:
    taken = sorted((m for m in case.received if _taken(m)), key=lambda message: message.place)
    return list(dict.fromkeys(message.event_id for message in taken))


def _content(case: Case, message: Message, event: Event) -> Iterator[Finding]:
    amount = event.data.get("amount")
    if message.type == event.type and message.amount in (None, amount):
        return
    yield Finding(
        Promise.EVENT_CONTRADICTS,
        case.name,
        f"received {message.type} over {message.amount} fen, sent {event.type} over {amount}",
        _LOOK,
    )


def _strangers(records: Records, inbox: list[Message]) -> Iterator[Finding]:
    made = {str(event.id) for event in records.ours.events}
    for message in inbox:
        if message.event_id not in made:
            yield Finding(
                Promise.EVENT_WITHOUT_PAYMENT,
                message.subject,
                f"{message.merchant} received {message.type}, which the database does not know",
                "Tell the merchant that it is void.",
            )


def _taken(message: Message) -> bool:
    return message.status // 100 == 2  # noqa: PLR2004 - HTTP's class of success


def _listed(items: Iterable[str]) -> str:
    return ", ".join(items) or "none"
