"""How workflows take a step: in the workflow task while all is well, on a queue when it is not."""

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, TypeVar
from uuid import UUID

from temporalio import workflow
from temporalio.exceptions import ApplicationError, FailureError

from activities.webhooks import (
    EARLIER_EVENT_WAITING,
    WEBHOOK_FAILED,
    Told,
    Tried,
    WebhookActivities,
)
from workflows.failures import refusal
from workflows.policies import WEBHOOK_QUEUE, Attempts, Policy

# Started, maybe signalled, a task scheduled and begun.
FIRST_TASK_EVENTS = 4
# Runs whose decisions were carried out within the task that took them go on in that way.
DECIDED_FIRST = "a decision is on record before it is carried out"
# Executions that took our own cancel for a stranger's refund, and a query for all that is known, go
# on in that way.
WEIGHED = "signed evidence is weighed against a query and our own refunds"
# What operators read beside the step.
TELL = "tell the merchant"

Argument = TypeVar("Argument")
Result = TypeVar("Result")
# An activity method of one argument, seen from outside its class.
Step = Callable[[Any, Argument], Awaitable[Result]]


@dataclass(frozen=True)
class WaitAlarm:
    """Calls an operator, once, where a wait takes more than `after` seconds."""

    after: float
    call: Callable[[], Awaitable[None]]


async def in_our_books(  # noqa: PLR0913 - what the step needs, and two rare traits of its wait
    policy: Policy,
    step: Step[Argument, Result],
    argument: Argument,
    summary: str,
    *,
    queued: bool = False,
    alarm: WaitAlarm | None = None,
) -> Result:
    """Read or write our books, waiting for as long as the database is away.

    `queued` where what led here must be on record before it is done: a task that is lost takes a
    operator's resolution with it; `alarm` where an operator must know that it takes long. Raises
    FailureError only for a definite no.
    """
    within_task = not (queued and workflow.patched(DECIDED_FIRST))
    try:
        if within_task:
            return await workflow.execute_local_activity_method(
                step, argument, **policy.ledger_fast.local(summary)
            )
    except FailureError as error:
        if refusal(error):
            raise
    waiting = workflow.start_activity_method(step, argument, **policy.ledger_slow.activity(summary))
    if alarm is not None:
        await wait_or_alarm(waiting.done, alarm, f"{summary}: takes too long")
    return await waiting


async def tell_merchant(
    policy: Policy, event_id: UUID | None, tried: Tried | None = None
) -> Told | None:
    """Deliver an event, if there is one; None where nobody listened for the whole window.

    `tried` is how that went in the step before; None where it was no part of that.
    """
    if event_id is None:
        return None
    try:
        told = await _deliver(policy, event_id, tried)
        while told is None:  # untraced branch: test_telling
            await workflow.execute_activity_method(
                WebhookActivities.await_turn,
                event_id,
                **policy.turn.activity("earlier events come first", queue=WEBHOOK_QUEUE),
            )
            told = await _deliver(policy, event_id)
    except FailureError:
        await in_our_books(
            policy, WebhookActivities.give_up_event, event_id, "the merchant did not listen"
        )
        return None
    return told


async def _deliver(policy: Policy, event_id: UUID, tried: Tried | None = None) -> Told | None:
    """How the merchant answered; None where an earlier event of the payment comes first."""
    try:
        if tried is None:
            tried = await _try_at_once(policy, event_id)
        if tried.told is not None:
            return tried.told
        if tried.gone:
            raise ApplicationError("the endpoint wants no more", type=WEBHOOK_FAILED)
        if tried.failed:
            wait = tried.retry_after or policy.webhook.first_wait
            # The queue's window begins afterwards: it must not be moved far.
            await workflow.sleep(min(wait, policy.webhook.longest_wait))
        return await workflow.execute_activity_method(
            WebhookActivities.deliver_event,
            event_id,
            **policy.webhook.activity(TELL, queue=WEBHOOK_QUEUE),
        )
    except FailureError as error:
        refused = refusal(error)
        if refused is None or refused.type != EARLIER_EVENT_WAITING:
            raise
        return None


async def _try_at_once(policy: Policy, event_id: UUID) -> Tried:
    """Raises FailureError where the queue would not help either."""
    attempts = at_once(policy)
    if attempts is None:
        return Tried()
    try:
        told = await workflow.execute_local_activity_method(
            WebhookActivities.deliver_at_once, event_id, **attempts.local(TELL)
        )
    except FailureError as error:
        if refusal(error) is not None:
            raise
        return Tried.after(error)
    return Tried(told=told)


def at_once(policy: Policy) -> Attempts | None:
    """How the merchant is told within this very task; None where it must not be."""
    # An update is answered when its task ends: whoever asked must not wait for its own endpoint.
    if not workflow.all_handlers_finished() or _in_first_task():
        return None
    return policy.webhook_fast


def _in_first_task() -> bool:
    """Nothing that the run did is recorded yet.

    A word that comes in while the last task of a run is on its way has it done again: that must
    not be the submission, too.
    """
    return workflow.info().get_current_history_length() <= FIRST_TASK_EVENTS


async def happens(condition: Callable[[], bool], within: float, summary: str) -> bool:
    """Wait for a condition, at most `within` seconds; says whether it came true."""
    try:
        await workflow.wait_condition(
            condition, timeout=timedelta(seconds=max(within, 0.001)), timeout_summary=summary
        )
    except asyncio.TimeoutError:  # noqa: UP041 - temporalio raises asyncio's name for it
        return condition()
    return True


async def wait_or_alarm(condition: Callable[[], bool], alarm: WaitAlarm, summary: str) -> None:
    """Wait for a condition, and raise the alarm once where it takes longer than that says."""
    if not await happens(condition, alarm.after, summary):
        await alarm.call()
        await workflow.wait_condition(condition)


def seconds_until(moment: datetime) -> float:
    """Seconds from the workflow's now; never less than one, for an activity needs some time."""
    return max((moment - workflow.now()).total_seconds(), 1.0)
