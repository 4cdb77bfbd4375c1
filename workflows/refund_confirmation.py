"""Notifications of refunds that prove nothing before the provider's query says the same."""

from collections.abc import Awaitable, Callable
from functools import partial

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.provider_calls import ProviderActivities, RefundSubmission
from activities.refunds import RefundActivities
from domain.identity import parse_reference
from domain.payment import Payment
from domain.refund import FINAL_STATUS, Refund
from domain.report import Attention, RefundOutcome, RefundReport
from workflows.policies import PaymentPolicy, Policy, provider_queue
from workflows.steps import in_our_books


async def confirmation(
    claim: RefundReport, query: Callable[[], Awaitable[RefundReport]], waits: tuple[float, ...]
) -> RefundReport | None:
    """Return the provider's answer that settles the claim of a notification; None without one.

    `waits` are the seconds between queries. A claimed failure is settled by any final answer. A
    claimed success is settled by a success alone: a query may lag behind its notification, and
    money that is claimed and then denied is for an operator.
    """
    for wait in (0.0, *waits):
        if wait:
            await workflow.sleep(wait)
        try:
            found = await query()
        except FailureError:
            continue
        denied = claim.outcome is RefundOutcome.FAILED and found.outcome in FINAL_STATUS
        if denied or found.outcome is claim.outcome:
            return found
    return None


async def attention_for(
    policy: PaymentPolicy, payment: Payment, claim: RefundReport
) -> Attention | None:
    """Return why an operator must look at a claim that no refund's workflow takes; None if not.

    A refund that was made at the provider's console has no record here, and no query finds it: its
    notification is all there is, and moves nothing.
    """
    refund = await load_refund(policy, claim)
    if refund is None:
        return Attention.EXTERNAL_REFUND
    mismatch = refund.mismatch(claim)
    if mismatch is not None:
        return mismatch
    submission = RefundSubmission(refund=refund, payment=payment)
    found = await confirmation(
        claim, partial(_query, policy, submission), policy.confirmation_waits
    )
    if found is None:
        return Attention.CONTRADICTION
    agrees = FINAL_STATUS.get(found.outcome) is refund.status
    return refund.mismatch(found) or (None if agrees else Attention.EXTERNAL_REFUND)


async def load_refund(policy: Policy, claim: RefundReport) -> Refund | None:
    """Return our refund that the report names, as it is stored; None where there is none."""
    refund_id = parse_reference(claim.refund_reference)
    if refund_id is None:
        return None
    try:
        return await in_our_books(
            policy, RefundActivities.load_refund, refund_id, "the refund as it is stored"
        )
    except FailureError:
        # The only definite no there is: the database has no such refund.
        return None


async def _query(policy: PaymentPolicy, submission: RefundSubmission) -> RefundReport:
    return await workflow.execute_activity_method(
        ProviderActivities.query_refund,
        submission,
        **policy.call_slow.activity(
            "confirm the notification",
            queue=provider_queue(submission.refund.provider),
            total=policy.alarm_after,
        ),
    )
