"""Every workflow that a worker runs, and how it runs them."""

from temporalio.worker import UnsandboxedWorkflowRunner, WorkflowRunner
from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.entitlement import EntitlementWorkflow
from workflows.external_refund import ExternalRefundWorkflow
from workflows.late_payment import LatePaymentWorkflow
from workflows.payment import PaymentWorkflow
from workflows.refund import RefundWorkflow

WORKFLOWS = (
    PaymentWorkflow,
    RefundWorkflow,
    LatePaymentWorkflow,
    EntitlementWorkflow,
    ExternalRefundWorkflow,
)

# Loaded once and shared with the sandbox: a workflow and an activity must agree on what a
# PaymentStatus is, and loading these anew for each run would cost more than the run itself.
_SHARED = ("activities", "domain", "providers", "storage", "webhooks")


def runner(*, strict: bool = False) -> WorkflowRunner:
    """The one way to run our workflows.

    `strict` loads the workflows' own modules into Temporal's sandbox, which catches a clock, a
    random number or a file used inside them; tests run so. Production runs the same code bare:
    the sandbox is entered for every payload, a sixth of the worker's work (ADR 8).
    """
    if not strict:
        return UnsandboxedWorkflowRunner()
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*_SHARED)
    )
