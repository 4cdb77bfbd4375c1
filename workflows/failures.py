"""What a failed step means to a workflow.

A local activity's failure arrives as a bare ApplicationError, a queued one's wrapped in an
ActivityError: both are unwrapped here.
"""

from temporalio.exceptions import ActivityError, ApplicationError, FailureError

from domain.errors import ProviderBlocked, ProviderRejected
from domain.payment import Failure


def refusal(error: FailureError) -> ApplicationError | None:
    """The step's definite no, or None where trying again may help."""
    found = error.cause if isinstance(error, ActivityError) else error
    if isinstance(found, ApplicationError) and found.non_retryable:
        return found
    return None


def rejection(error: FailureError) -> ApplicationError | None:
    """The provider's own no. A refusal of ours (an account gone missing) decides nothing."""
    refused = refusal(error)
    return refused if refused and refused.type == ProviderRejected.code else None


def blockage(error: FailureError) -> ApplicationError | None:
    """The provider's no to our account: the same call succeeds once an operator has mended it."""
    refused = refusal(error)
    return refused if refused and refused.type == ProviderBlocked.code else None


def failure_of(refused: ApplicationError) -> Failure:
    """The Failure that the activity attached, as a merchant may see it."""
    if refused.details:
        return Failure.model_validate(refused.details[0])
    return Failure(code=refused.type or "failed", message=refused.message)
