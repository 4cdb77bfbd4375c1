"""Refunds that we start ourselves: late or duplicate money, and the merchant's veto."""

from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.payments import PaymentActivities, Settled
from activities.webhooks import Tried
from domain.identity import automatic_refund_id, refund_workflow_id
from domain.merchant import LatePolicy
from domain.payer import Payer
from domain.payment import Payment, PaymentStatus
from domain.refund import Refund, RefundCause
from domain.report import Attention
from workflows import operator_view
from workflows.attention import Calls
from workflows.policies import TASK_QUEUE, PaymentPolicy, RefundPolicy
from workflows.refund import RefundOrder, RefundWorkflow
from workflows.steps import deliver_event, in_database


async def start_automatic_refund(
    calls: Calls, refund_policy: RefundPolicy, payment: Payment, cause: RefundCause, reason: str
) -> None:
    """Start the refund of all that was not given back, once per payment and cause.

    What other refunds hold counts too: the refund takes it if they fail. Where only the provider
    gives money back, a person is called instead.
    """
    stored = await in_database(
        calls.policy, PaymentActivities.load_payment, payment.id, "what is still here"
    )
    still_here = stored.captured - stored.refunded
    if still_here <= 0 and not stored.charged_elsewhere:
        return
    if isinstance(calls.policy, PaymentPolicy) and not calls.policy.refundable:
        detail = f"{reason}; only {payment.provider} itself can give this money back"
        await calls.about_payment(payment.id, Attention.REFUND_FAILED, detail, subject=cause)
        return
    key = f"automatic:{cause}"
    refund = Refund(
        id=automatic_refund_id(payment.id, key),
        payment_id=payment.id,
        merchant_id=payment.merchant_id,
        idempotency_key=key,
        request_hash=key,
        provider=payment.provider,
        account=payment.account,
        amount=still_here,
        currency=payment.currency,
        reason=reason,
        cause=cause,
        created_at=workflow.now(),
    )
    order = RefundOrder(
        refund=refund, payment=stored.model_copy(update={"payer": Payer()}), policy=refund_policy
    )
    try:
        await workflow.start_child_workflow(
            RefundWorkflow.run,
            order,
            id=refund_workflow_id(refund.id),
            task_queue=TASK_QUEUE,
            # The refund outlives the payment's run: it ends by the provider's word, not by ours.
            parent_close_policy=workflow.ParentClosePolicy.ABANDON,
            search_attributes=operator_view.for_refund(refund, stored),
            static_summary=operator_view.refund_summary(refund, stored),
            static_details=operator_view.refund_details(refund, stored),
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("refund %s is already under way", refund.id)


async def deliver_final_event(
    calls: Calls,
    refund_policy: RefundPolicy,
    payment: Payment,
    event_id: UUID | None,
    tried: Tried | None = None,
) -> None:
    """Tell the merchant how the payment ended. An order that it cannot fulfil is given back."""
    told = await deliver_event(calls.policy, event_id, tried)
    if told is not None and told.refund:
        reason = told.reason or "merchant's veto"
        await start_automatic_refund(
            calls, refund_policy, payment, RefundCause.MERCHANT_VETO, reason
        )


async def refund_duplicate_and_notify(
    calls: Calls,
    refund_policy: RefundPolicy,
    settled: Settled,
    tried: Tried | None = None,
) -> None:
    """Refund a payment whose order was already paid, and send the merchant the final event.

    The delivery goes on while the workflow does; `tried` is as for `deliver_event`. An end that
    lost workflow tasks wrote, and accepted late money overtook, is sent first.
    """
    payment = settled.payment
    if settled.earlier_event_id is not None:
        calls.start(deliver_event(calls.policy, settled.earlier_event_id))
    if payment.duplicate:
        await start_automatic_refund(
            calls,
            refund_policy,
            payment,
            RefundCause.DUPLICATE_PAYMENT,
            "the order was already paid",
        )
    calls.start(deliver_final_event(calls, refund_policy, payment, settled.event_id, tried))


async def settle_late_money(
    calls: Calls, refund_policy: RefundPolicy, payment: Payment, late_policy: LatePolicy
) -> Payment:
    """The payment after its late money was dealt with, beside the telling. Safe to repeat."""
    policy = calls.policy
    stored = await in_database(
        policy, PaymentActivities.capture_late_payment, payment, "count the late money"
    )
    if late_policy is LatePolicy.ACCEPT:
        settled = await in_database(
            policy, PaymentActivities.accept_late_payment, stored, "accept the late money"
        )
        calls.start(deliver_final_event(calls, refund_policy, settled.payment, settled.event_id))
        calls.notify(settled.moved_event_id, *settled.refund_event_ids)
        accepted = settled.payment.status is PaymentStatus.SUCCEEDED
        if accepted and not settled.payment.duplicate:
            return settled.payment
        # A duplicate, or part of it was refunded before it could be accepted.
        stored = settled.payment
    elif payment.purchase is not None and payment.purchase.revoked_at is not None:
        # The store has refunded it already, which only the merchant does not know yet.
        settled = await in_database(
            policy, PaymentActivities.finalise_payment, stored, "find what the store refunded"
        )
        calls.notify(*settled.refund_event_ids)
    cause = RefundCause.DUPLICATE_PAYMENT if stored.duplicate else RefundCause.LATE_PAYMENT
    await start_automatic_refund(
        calls, refund_policy, stored, cause, "paid after the payment had ended"
    )
    return stored
