"""Give money back of our own accord: it came late, twice, or for an order without goods."""

from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import WorkflowAlreadyStartedError

from activities.payments import PaymentActivities, Settled
from activities.webhooks import Tried
from domain.identity import automatic_refund_id, refund_workflow_id
from domain.payment import Payer, Payment
from domain.refund import Refund, RefundCause
from domain.report import Attention
from workflows import details, search_attributes
from workflows.attention import Calls
from workflows.policies import TASK_QUEUE, PaymentPolicy, RefundPolicy
from workflows.refund import RefundOrder, RefundWorkflow
from workflows.steps import in_our_books, tell_merchant


async def give_back(
    calls: Calls, refund_policy: RefundPolicy, payment: Payment, cause: RefundCause, reason: str
) -> None:
    """Start the refund of all that was not given back, once per payment and cause.

    What other refunds hold counts too: the refund takes it if they fail. Where only the provider
    gives money back, a person is called instead.
    """
    stored = await in_our_books(
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
            search_attributes=search_attributes.for_refund(refund, stored),
            static_summary=details.refund_summary(refund, stored),
            static_details=details.refund_details(refund, stored),
        )
    except WorkflowAlreadyStartedError:
        workflow.logger.info("refund %s is already under way", refund.id)


async def tell_the_end(
    calls: Calls,
    refund_policy: RefundPolicy,
    payment: Payment,
    event_id: UUID | None,
    tried: Tried | None = None,
) -> None:
    """Tell the merchant how the payment ended. An order that it cannot fulfil is given back."""
    told = await tell_merchant(calls.policy, event_id, tried)
    if told is not None and told.refund:
        reason = told.reason or "merchant's veto"
        await give_back(calls, refund_policy, payment, RefundCause.MERCHANT_VETO, reason)


async def refund_duplicate_and_notify(
    calls: Calls,
    refund_policy: RefundPolicy,
    settled: Settled,
    tried: Tried | None = None,
) -> None:
    """Refund a payment whose order was already paid, and send the merchant the final event.

    The delivery goes on while the workflow does; `tried` is as for `tell_merchant`. An end that
    lost workflow tasks wrote, and accepted late money overtook, is sent first.
    """
    payment = settled.payment
    if settled.earlier_event_id is not None:
        calls.beside(tell_merchant(calls.policy, settled.earlier_event_id))
    if payment.duplicate:
        await give_back(
            calls,
            refund_policy,
            payment,
            RefundCause.DUPLICATE_PAYMENT,
            "the order was already paid",
        )
    calls.beside(tell_the_end(calls, refund_policy, payment, settled.event_id, tried))
