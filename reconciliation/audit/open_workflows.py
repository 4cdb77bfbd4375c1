"""What is open at Temporal against what is open in the database (P6)."""

from collections.abc import Iterator

from domain.event import DeliveryStatus
from domain.identity import payment_workflow_id, refund_workflow_id
from domain.payment import PaymentStatus
from domain.refund import RefundStatus
from reconciliation.audit.finding import Finding, Promise
from reconciliation.audit.records import Case, OpenWorkflow, Records

_RUNS = ("payment-", "refund-", "late-", "store-")


def check_workflows(records: Records) -> Iterator[Finding]:
    """Every difference between open workflows and open records."""
    if records.workflows is None:
        return
    for case in records.cases:
        yield from _rows(case)
        yield from (
            _idle(case, workflow) for workflow in case.workflows if not _has_work(case, workflow)
        )
    ours = {workflow.id for case in records.cases for workflow in case.workflows}
    for workflow in records.workflows:
        if workflow.stuck is not None:
            yield _stuck(workflow, workflow.stuck)
        if workflow.id not in ours and workflow.id.startswith(_RUNS) and not workflow.busy:
            yield Finding(
                Promise.RUN_WITHOUT_WORK,
                workflow.id.partition("-")[2],
                f"{workflow.id} is open for a record that the database never had",
                "Read its history; terminate it.",
            )


def _rows(case: Case) -> Iterator[Finding]:
    running = {workflow.id for workflow in case.workflows}
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


def _has_work(case: Case, workflow: OpenWorkflow) -> bool:
    if workflow.busy or any(event.delivery is DeliveryStatus.WAITING for event in case.events):
        return True
    if workflow.id == payment_workflow_id(case.payment.id):
        return case.payment.status is PaymentStatus.PENDING or case.watching
    for refund in case.refunds:
        if workflow.id == refund_workflow_id(refund.id):
            return refund.status is RefundStatus.PENDING
    return False


def _idle(case: Case, workflow: OpenWorkflow) -> Finding:
    return Finding(
        Promise.RUN_WITHOUT_WORK,
        case.name,
        f"{workflow.id} is open; its record is final and its events are delivered",
        "Read its history: it waits for something that will not come.",
    )


def _stuck(workflow: OpenWorkflow, why: str) -> Finding:
    return Finding(
        Promise.STUCK_RUN,
        workflow.id.partition("-")[2],
        f"{workflow.id} is stuck: its workflow task {why}",
        "Read the failure in the Temporal UI; docs/operations.md, Upgrade, says how to go on.",
    )
