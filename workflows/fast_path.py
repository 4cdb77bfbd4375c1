"""Two steps as one while all goes well, and one by one where it does not (ADR 15)."""

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.fast_path import Ended, FastPathActivities, Placed
from activities.payments import PaymentActivities
from domain.payment import Payment
from workflows.failures import refusal
from workflows.policies import PaymentPolicy
from workflows.steps import at_once, in_our_books


async def place_the_order(policy: PaymentPolicy, payment: Payment) -> Placed:
    """The order in our books, submitted if that went fast. Raises FailureError: a definite no."""
    if policy.fast_path:
        try:
            return await workflow.execute_local_activity_method(
                FastPathActivities.record_and_submit,
                payment,
                **policy.call_fast.local("write the order down, submit it"),
            )
        except FailureError as error:
            if refusal(error):
                raise
    stored = await in_our_books(policy, PaymentActivities.record_payment, payment, "write it down")
    return Placed.of(stored, payment, tried=policy.fast_path)


async def write_the_end(policy: PaymentPolicy, payment: Payment, *, flagged: bool) -> Ended:
    """The end in our books, told where that may be. Raises FailureError: a definite no.

    A flag that the run has raised is to be taken down between the two.
    """
    attempts = at_once(policy) if policy.fast_path and not flagged else None
    if attempts is not None:
        try:
            return await workflow.execute_local_activity_method(
                FastPathActivities.finalise_and_tell,
                payment,
                **attempts.local("write the end down, tell the merchant"),
            )
        except FailureError:
            workflow.logger.info("the end of %s is written down by itself", payment.id)
    settled = await in_our_books(
        policy, PaymentActivities.finalise_payment, payment, "write the end down"
    )
    return Ended(settled=settled)
