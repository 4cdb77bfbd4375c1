"""The one place where our errors become Temporal's, so that "is this retried?" has one answer."""

import asyncio
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import wraps
from typing import ParamSpec, TypeVar

from temporalio.exceptions import ApplicationError, ApplicationErrorCategory

from domain.errors import (
    Conflict,
    ConstraintViolation,
    InvalidRequest,
    InvalidSignature,
    NotFound,
    PaymentError,
    ProviderError,
    ProviderRejected,
    ReportMismatch,
)
from domain.payment import Failure

P = ParamSpec("P")
R = TypeVar("R")

# Trying these again cannot change the answer. Everything else is retried by its step's policy.
_FINAL = (
    ProviderRejected,
    InvalidSignature,
    InvalidRequest,
    Conflict,
    NotFound,
    ReportMismatch,
    ConstraintViolation,
)

STILL_PENDING = "still_pending"


def to_temporal(error: PaymentError) -> ApplicationError:
    """`type` is the error's code; the first detail is a Failure that a merchant may see.

    A provider's own Retry-After is kept instead of the policy's wait.
    """
    wait = error.retry_after if isinstance(error, ProviderError) else None
    return ApplicationError(
        error.message,
        failure_of(error),
        type=error.code,
        non_retryable=isinstance(error, _FINAL),
        next_retry_delay=None if wait is None else timedelta(seconds=wait),
    )


def failure_of(error: PaymentError) -> Failure:
    """What a merchant may see of the error."""
    if isinstance(error, ProviderError):
        return Failure(
            code=error.code,
            message=error.message,
            provider_code=error.provider_code,
            provider_message=error.provider_message,
        )
    return Failure(code=error.code, message=error.message)


def still_pending(what: str, *, after: timedelta | None = None) -> ApplicationError:
    """Not an error but "retry later" (None: as the policy says): no metric, no error log."""
    return ApplicationError(
        what,
        type=STILL_PENDING,
        category=ApplicationErrorCategory.BENIGN,
        next_retry_delay=after,
    )


def translated(step: Callable[P, Awaitable[R]]) -> Callable[P, Awaitable[R]]:
    """An activity whose PaymentErrors reach the workflow as ApplicationErrors.

    They come without their way through our code and the HTTP client: they are answers and not
    bugs, and each traceback is written out twice, in the log and for Temporal, by the loop that
    all payments share.
    """

    @wraps(step)
    async def run(*args: P.args, **kwargs: P.kwargs) -> R:
        try:
            return await step(*args, **kwargs)
        except PaymentError as error:
            raise to_temporal(error) from None
        except asyncio.CancelledError as error:
            raise asyncio.CancelledError(*error.args) from None

    return run
