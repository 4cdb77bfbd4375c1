"""How a run is started, alike from the API and from anywhere else."""

from dataclasses import dataclass
from typing import TypedDict

from temporalio.common import Priority, TypedSearchAttributes

from domain.identity import (
    late_workflow_id,
    payment_workflow_id,
    refund_workflow_id,
    store_workflow_id,
)
from domain.payment import Payment
from workflows import details, search_attributes
from workflows.entitlement import EntitlementOrder
from workflows.external_refund import ExternalRefundOrder
from workflows.late_payment import LateOrder
from workflows.payment import PaymentOrder
from workflows.policies import TASK_QUEUE
from workflows.refund import RefundOrder

# Temporal refuses longer ones.
LONGEST_KEY = 64


class Arguments(TypedDict):
    """What every way of starting a run is told alike, but for the queue."""

    id: str
    search_attributes: TypedSearchAttributes
    static_summary: str
    static_details: str
    priority: Priority


@dataclass(frozen=True)
class StartOptions:
    """The run's identity, what operators see of it, and whose turn its steps take in a queue."""

    id: str
    search_attributes: TypedSearchAttributes
    static_summary: str
    static_details: str
    merchant_id: str
    task_queue: str = TASK_QUEUE

    @property
    def arguments(self) -> Arguments:
        """For the client's start."""
        key = self.merchant_id.encode()[:LONGEST_KEY].decode(errors="ignore")
        return Arguments(
            id=self.id,
            search_attributes=self.search_attributes,
            static_summary=self.static_summary,
            static_details=self.static_details,
            # One merchant's rush must not make the others wait: each has its turns.
            priority=Priority(fairness_key=key),
        )


def payment_options(order: PaymentOrder) -> StartOptions:
    """For PaymentWorkflow."""
    return StartOptions(
        id=payment_workflow_id(order.payment.id),
        search_attributes=search_attributes.for_payment(order.payment),
        static_summary=details.payment_summary(order.payment),
        static_details=details.payment_details(order.payment),
        merchant_id=order.payment.merchant_id,
    )


def refund_options(order: RefundOrder) -> StartOptions:
    """For RefundWorkflow."""
    return StartOptions(
        id=refund_workflow_id(order.refund.id),
        search_attributes=search_attributes.for_refund(order.refund, order.payment),
        static_summary=details.refund_summary(order.refund, order.payment),
        static_details=details.refund_details(order.refund, order.payment),
        merchant_id=order.payment.merchant_id,
    )


def external_refund_options(order: ExternalRefundOrder, payment: Payment) -> StartOptions:
    """For ExternalRefundWorkflow."""
    return StartOptions(
        id=refund_workflow_id(order.refund.id),
        search_attributes=search_attributes.for_refund(order.refund, payment),
        static_summary=details.refund_summary(order.refund, payment),
        static_details=details.refund_details(order.refund, payment),
        merchant_id=payment.merchant_id,
    )


def late_options(order: LateOrder) -> StartOptions:
    """For LatePaymentWorkflow."""
    return StartOptions(
        id=late_workflow_id(order.payment.id),
        search_attributes=search_attributes.for_payment(order.payment),
        static_summary=f"Late word: {details.payment_summary(order.payment)}",
        static_details=details.payment_details(order.payment),
        merchant_id=order.payment.merchant_id,
    )


def entitlement_options(order: EntitlementOrder) -> StartOptions:
    """For EntitlementWorkflow."""
    payment, chain = order.payment, order.original_transaction_id
    return StartOptions(
        id=store_workflow_id(payment.provider, payment.account, chain),
        search_attributes=search_attributes.for_store(payment),
        static_summary=details.store_summary(payment, chain),
        static_details=details.store_details(payment, chain),
        merchant_id=payment.merchant_id,
    )
