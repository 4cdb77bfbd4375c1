"""A worker for which an answer that never came is a no."""

import asyncio

from temporalio.exceptions import ApplicationError

import worker
from activities import errors
from domain.errors import OutcomeUnknown, PaymentError, ProviderRejected

_honest = errors.to_temporal


def _sure(error: PaymentError) -> ApplicationError:
    if isinstance(error, OutcomeUnknown):
        error = ProviderRejected(error.message, provider=error.provider)
    return _honest(error)


if __name__ == "__main__":
    errors.to_temporal = _sure
    asyncio.run(worker.main())
