"""What a failed step means: which errors are retried, and what a workflow reads from them."""

import asyncio
import traceback
from datetime import timedelta

import pytest
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    ApplicationErrorCategory,
    CancelledError,
    RetryState,
)

from activities.errors import still_pending, to_temporal, translated
from domain.errors import (
    Conflict,
    ConstraintViolation,
    InvalidRequest,
    InvalidSignature,
    NotFound,
    OutcomeUnknown,
    PaymentError,
    ProviderRejected,
    ProviderUnavailable,
    ReportMismatch,
)
from storage.database import DatabaseUnavailable
from workflows.failures import failure_of, refusal, rejection

REJECTED = ProviderRejected("no", provider="p", provider_code="C", provider_message="m")
FINAL = [
    REJECTED,
    InvalidSignature("forged", provider="p"),
    InvalidRequest("no"),
    Conflict("no"),
    NotFound("no"),
    ReportMismatch("no"),
    ConstraintViolation("no"),
]
RETRIED = [
    OutcomeUnknown("?", provider="p"),
    ProviderUnavailable("busy", provider="p"),
    DatabaseUnavailable("down"),
    PaymentError("?"),
]


def queued(cause: BaseException) -> ActivityError:
    error = ActivityError(
        "failed",
        scheduled_event_id=1,
        started_event_id=2,
        identity="worker",
        activity_type="step",
        activity_id="1",
        retry_state=RetryState.NON_RETRYABLE_FAILURE,
    )
    error.__cause__ = cause
    return error


@pytest.mark.parametrize("error", FINAL, ids=lambda error: error.code)
def test_a_definite_no_is_not_tried_again(error: PaymentError) -> None:
    seen = to_temporal(error)

    assert (seen.type, seen.message, seen.non_retryable) == (error.code, error.message, True)
    assert refusal(seen) is seen
    assert refusal(queued(seen)) is seen


@pytest.mark.parametrize("error", RETRIED, ids=lambda error: error.code)
def test_everything_else_is_tried_again(error: PaymentError) -> None:
    seen = to_temporal(error)

    assert not seen.non_retryable
    assert refusal(seen) is None
    assert refusal(queued(seen)) is None


def test_a_cancelled_step_is_no_refusal() -> None:
    assert refusal(queued(CancelledError())) is None


@pytest.mark.parametrize("error", FINAL, ids=lambda error: error.code)
def test_only_the_provider_rejects(error: PaymentError) -> None:
    seen = to_temporal(error)

    assert rejection(queued(seen)) is (seen if error is REJECTED else None)


def test_a_merchant_sees_the_providers_words() -> None:
    failure = failure_of(to_temporal(REJECTED))

    assert (failure.code, failure.message) == ("provider_rejected", "no")
    assert (failure.provider_code, failure.provider_message) == ("C", "m")


def test_a_refusal_without_details_still_says_something() -> None:
    failure = failure_of(ApplicationError("odd", type="odd_code"))

    assert (failure.code, failure.message) == ("odd_code", "odd")
    assert failure_of(ApplicationError("odd")).code == "failed"


def test_asking_later_is_no_error() -> None:
    later = still_pending("not paid yet")

    assert not later.non_retryable
    assert later.category is ApplicationErrorCategory.BENIGN
    assert later.next_retry_delay is None


def test_asking_later_may_name_when() -> None:
    wait = timedelta(seconds=42)

    assert still_pending("on its way", after=wait).next_retry_delay == wait


async def test_a_step_hands_other_errors_on_as_they_are() -> None:
    @translated
    async def step(error: Exception) -> None:
        raise error

    with pytest.raises(ApplicationError):
        await step(NotFound("no"))
    with pytest.raises(KeyError):
        await step(KeyError("a bug"))


@pytest.mark.parametrize("error", [OutcomeUnknown("?", provider="p"), asyncio.CancelledError()])
async def test_an_answer_brings_no_traceback_of_the_way_it_took(error: BaseException) -> None:
    async def step() -> None:
        error.__cause__ = OSError("deep inside")
        raise error

    with pytest.raises((ApplicationError, asyncio.CancelledError)) as seen:
        await translated(step)()

    written = "".join(traceback.format_exception(seen.value))
    assert "deep inside" not in written
    assert "in step" not in written


async def test_a_bug_keeps_its_traceback() -> None:
    async def step() -> None:
        raise KeyError("bug")

    with pytest.raises(KeyError) as seen:
        await translated(step)()

    assert "in step" in "".join(traceback.format_exception(seen.value))
