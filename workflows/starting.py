"""How a run is started, alike from the API and from anywhere else."""

from dataclasses import dataclass

from temporalio.common import TypedSearchAttributes

from domain.identity import (
    late_workflow_id,
    payment_workflow_id,
    refund_workflow_id,
    store_workflow_id,
)
from workflows import details, search_attributes
from workflows.entitlement import EntitlementOrder
from workflows.late_payment import LateOrder
from workflows.payment import PaymentOrder
from workflows.policies import TASK_QUEUE
from workflows.refund import RefundOrder


@dataclass(frozen=True)
class StartOptions:
    """The run's identity and what operators see of it."""

    id: str
    search_attributes: TypedSearchAttributes
    static_summary: str
    static_details: str
    task_queue: str = TASK_QUEUE


def payment_options(order: PaymentOrder) -> StartOptions:
    """For PaymentWorkflow."""
    return StartOptions(
        id=payment_workflow_id(order.payment.id),
        search_attributes=search_attributes.for_payment(order.payment),
        static_summary=details.payment_summary(order.payment),
        static_details=details.payment_details(order.payment),
    )


def refund_options(order: RefundOrder) -> StartOptions:
    """For RefundWorkflow."""
    return StartOptions(
        id=refund_workflow_id(order.refund.id),
        search_attributes=search_attributes.for_refund(order.refund, order.payment),
        static_summary=details.refund_summary(order.refund, order.payment),
        static_details=details.refund_details(order.refund, order.payment),
    )


def late_options(order: LateOrder) -> StartOptions:
    """For LatePaymentWorkflow."""
    return StartOptions(
        id=late_workflow_id(order.payment.id),
        search_attributes=search_attributes.for_payment(order.payment),
        static_summary=f"Late word: {details.payment_summary(order.payment)}",
        static_details=details.payment_details(order.payment),
    )


def entitlement_options(order: EntitlementOrder) -> StartOptions:
    """For EntitlementWorkflow."""
    payment, chain = order.payment, order.original_transaction_id
    return StartOptions(
        id=store_workflow_id(payment.provider, payment.account, chain),
        search_attributes=search_attributes.for_store(payment),
        static_summary=details.store_summary(payment, chain),
        static_details=details.store_details(payment, chain),
    )
