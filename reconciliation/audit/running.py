"""What is open at Temporal against what is open in our books (P6)."""

from collections.abc import Iterator

from domain.event import DeliveryStatus
from domain.identity import payment_workflow_id, refund_workflow_id
from domain.payment import PaymentStatus
from domain.refund import RefundStatus
from reconciliation.audit.books import Books, Case, Run
from reconciliation.audit.finding import Finding, Promise

_RUNS = ("payment-", "refund-", "late-", "store-")


def open_runs(books: Books) -> Iterator[Finding]:
    """Every difference between open workflows and open records."""
    if books.runs is None:
        return
    for case in books.cases:
        yield from _rows(case)
        yield from (_idle(case, run) for run in case.runs if not _has_work(case, run))
    ours = {run.id for case in books.cases for run in case.runs}
    for run in books.runs:
        if run.stuck is not None:
            yield _stuck(run, run.stuck)
        if run.id not in ours and run.id.startswith(_RUNS) and not run.busy:
            yield Finding(
                Promise.RUN_WITHOUT_WORK,
                run.id.partition("-")[2],
                f"{run.id} is open for a record that we never wrote down",
                "Read its history; terminate it.",
            )


def _rows(case: Case) -> Iterator[Finding]:
    running = {run.id for run in case.runs}
    pending = case.payment.status is PaymentStatus.PENDING
    if pending and not running & {payment_workflow_id(case.payment.id), f"late-{case.name}"}:
        yield Finding(
            Promise.ROW_WITHOUT_RUN,
            case.name,
            "the payment is pending and no workflow carries it",
            "Ask the provider; repeat the merchant's request, which starts the workflow again.",
        )
    for refund in case.refunds:
        carried = refund_workflow_id(refund.id) in running
        if refund.status is RefundStatus.PENDING and not carried:
            yield Finding(
                Promise.ROW_WITHOUT_RUN,
                case.name,
                f"refund {refund.reference} is pending and no workflow carries it",
                "Ask the provider; repeat the merchant's request, which starts the workflow again.",
            )


def _has_work(case: Case, run: Run) -> bool:
    if run.busy or any(event.delivery is DeliveryStatus.WAITING for event in case.events):
        return True
    if run.id == payment_workflow_id(case.payment.id):
        return case.payment.status is PaymentStatus.PENDING or case.watching
    for refund in case.refunds:
        if run.id == refund_workflow_id(refund.id):
            return refund.status is RefundStatus.PENDING
    return False


def _idle(case: Case, run: Run) -> Finding:
    return Finding(
        Promise.RUN_WITHOUT_WORK,
        case.name,
        f"{run.id} is open; its record is final and its events are told",
        "Read its history: it waits for something that will not come.",
    )


def _stuck(run: Run, why: str) -> Finding:
    return Finding(
        Promise.STUCK_RUN,
        run.id.partition("-")[2],
        f"{run.id} is stuck: its workflow task {why}",
        "Read the failure in the Temporal UI; docs/operations.md, Upgrade, says how to go on.",
    )
