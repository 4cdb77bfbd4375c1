"""Every workflow that a worker runs, and the sandbox that it runs them in."""

from temporalio.worker.workflow_sandbox import SandboxedWorkflowRunner, SandboxRestrictions

from workflows.entitlement import EntitlementWorkflow
from workflows.late_payment import LatePaymentWorkflow
from workflows.payment import PaymentWorkflow
from workflows.refund import RefundWorkflow

WORKFLOWS = (PaymentWorkflow, RefundWorkflow, LatePaymentWorkflow, EntitlementWorkflow)

# Loaded once and shared with the sandbox: a workflow and an activity must agree on what a
# PaymentStatus is, and loading these anew for each run would cost more than the run itself.
_SHARED = ("activities", "domain", "providers", "storage", "webhooks")


def runner(*, strict: bool = False) -> SandboxedWorkflowRunner:
    """The one way to run our workflows.

    `strict` loads the workflows' own modules into the sandbox as well, which catches a clock, a
    random number or a file used inside them; tests run so, production need not pay for it.
    """
    shared = _SHARED if strict else (*_SHARED, "workflows")
    return SandboxedWorkflowRunner(
        restrictions=SandboxRestrictions.default.with_passthrough_modules(*shared)
    )
