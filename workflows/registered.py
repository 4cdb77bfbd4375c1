"""Every workflow that a worker runs."""

from workflows.late_payment import LatePaymentWorkflow
from workflows.payment import PaymentWorkflow
from workflows.refund import RefundWorkflow

WORKFLOWS = (PaymentWorkflow, RefundWorkflow, LatePaymentWorkflow)
