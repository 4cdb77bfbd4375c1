"""Two steps as one while all goes well, and one by one where it does not (ADR 15)."""

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.fast_path import NOT_SENT, Bounded, Ended, FastPathActivities, Placed
from activities.payments import PaymentActivities
from activities.webhooks import Tried
from domain.payment import Payment
from workflows.failures import refusal
from workflows.policies import PaymentPolicy, once
from workflows.steps import at_once, in_our_books


async def place_the_order(
    policy: PaymentPolicy, payment: Payment, *, resumed: bool = False
) -> Placed:
    """The order in our books, submitted if that went fast. Raises FailureError: a definite no.

    One that is `resumed` is only read: an earlier execution may have submitted it.
    """
    maybe_sent = False
    if policy.fast_path and not resumed:
        try:
            return await workflow.execute_local_activity_method(
                FastPathActivities.record_and_submit,
                Bounded(
                    payment=payment,
                    first=policy.ledger_fast.timeout,
                    second=policy.call_fast.timeout,
                ),
                **once(policy.ledger_fast, policy.call_fast).local(
                    "write the order down, submit it"
                ),
            )
        except FailureError as error:
            if refusal(error):
                raise
            maybe_sent = not (isinstance(error, ApplicationError) and error.type == NOT_SENT)
    stored = await in_our_books(policy, PaymentActivities.record_payment, payment, "write it down")
    return Placed.of(stored, payment, maybe_sent=maybe_sent)


async def write_the_end(
    policy: PaymentPolicy, payment: Payment, *, awaited: bool, flagged: bool
) -> Ended:
    """The end in our books, told where that may be. Raises FailureError: a definite no.

    Told apart where a merchant's request waits for the end (`awaited`) or a person was called
    (`flagged`): it is answered, and the flag taken down, before the merchant hears.
    """
    apart = awaited or flagged
    telling = at_once(policy) if policy.fast_path and not apart else None
    if telling is not None:
        try:
            return await workflow.execute_local_activity_method(
                FastPathActivities.finalise_and_tell,
                Bounded(payment=payment, first=policy.ledger_fast.timeout),
                **once(policy.ledger_fast, telling).local("write the end down, tell the merchant"),
            )
        except FailureError as error:
            if refusal(error):
                raise
            workflow.logger.info("the end of %s is written down by itself: %s", payment.id, error)
    settled = await in_our_books(
        policy,
        PaymentActivities.finalise_payment,
        payment,
        "write the end down",
        queued=flagged,
    )
    # Who waits is answered when this task ends: the queue tells, then, and lets it end. And a word
    # that crosses a run's last task has it done again, without those who asked in it.
    return Ended(settled=settled, tried=None if workflow.all_handlers_finished() else Tried())
