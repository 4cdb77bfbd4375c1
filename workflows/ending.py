"""Write a payment's end down and tell the merchant of it: in one step while all is well."""

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.ends import EndActivities, Ended
from activities.payments import PaymentActivities
from domain.payment import Payment
from workflows.policies import PaymentPolicy
from workflows.steps import at_once, in_our_books


async def write_the_end(policy: PaymentPolicy, payment: Payment, *, flagged: bool) -> Ended:
    """The end as our books have it, told where that may be. Raises FailureError: a definite no.

    A flag that the run has raised is to be taken down between the two.
    """
    attempts = at_once(policy) if policy.tell_with_end and not flagged else None
    if attempts is not None:
        try:
            return await workflow.execute_local_activity_method(
                EndActivities.finalise_and_tell,
                payment,
                **attempts.local("write the end down, tell the merchant"),
            )
        except FailureError:
            workflow.logger.info("the end of %s is written down by itself", payment.id)
    settled = await in_our_books(
        policy, PaymentActivities.finalise_payment, payment, "write the end down"
    )
    return Ended(settled=settled)
