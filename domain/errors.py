"""Every error that Paysaga raises on purpose. `message` is safe to show to a merchant.

PaymentError                    code, message
├─ InvalidRequest               the merchant's fault                                  422
├─ NotFound                     no such record for this merchant                      404
├─ Conflict                     wrong state, key reused, over-refund                  409
├─ ReportMismatch               the report does not match the payment               manual review
├─ ConstraintViolation          the database rejects it              -> never retried, 500
└─ ProviderError                provider, provider_code, provider_message
   ├─ ProviderRejected          a definite no                   -> failed, never retried
   │  └─ ProviderBlocked        a no to our account, not to this call: its balance, contract, key
   │                            -> an order fails, a refund waits until an operator mends that
   ├─ ProviderUnavailable       certainly not processed         -> retry
   ├─ OutcomeUnknown            timeout, 5xx, garbled or badly signed answer
   │                            -> retry only with the same reference, after a query
   └─ InvalidSignature          an inbound message that is not theirs -> never acted on
      └─ Unreadable             theirs, and not as documented -> never acted on, an alarm

A badly signed answer to our own call is OutcomeUnknown, not InvalidSignature: the money may have
moved.
"""

from domain.text import keepable

KEY_REUSED = (
    "This Idempotency-Key was used with another request. Use a new key, or repeat the first"
    " request unchanged."
)


class PaymentError(Exception):
    """Base of all. `code` is stable and machine-readable, `message` is for people."""

    code = "payment_error"

    def __init__(self, message: str, *, code: str | None = None, param: str | None = None) -> None:
        self.message = keepable(message)
        super().__init__(self.message)
        self.param = param
        if code is not None:
            self.code = code


class InvalidRequest(PaymentError):  # noqa: N818 - the name says what it is
    """The request cannot be honoured as sent; `param` names the field to mend."""

    code = "invalid_request"


class NotFound(PaymentError):  # noqa: N818
    """No such record, or not this merchant's."""

    code = "not_found"


class Conflict(PaymentError):  # noqa: N818
    """The request is well formed but the record's state forbids it."""

    code = "conflict"


class ReportMismatch(PaymentError):  # noqa: N818
    """What a provider says does not fit our payment (amount, currency, account)."""

    code = "report_mismatch"


class ConstraintViolation(PaymentError):  # noqa: N818
    """The database rejects the values, and would reject them again."""

    code = "constraint_violation"


class ProviderError(PaymentError):
    """A provider call went wrong; the subclass says what that means for the money."""

    code = "provider_error"

    def __init__(
        self,
        message: str,
        *,
        provider: str,
        provider_code: str | None = None,
        provider_message: str | None = None,
        retry_after: float | None = None,
    ) -> None:
        super().__init__(message)
        self.provider = provider
        self.provider_code = provider_code and keepable(provider_code)
        self.provider_message = provider_message and keepable(provider_message)
        self.retry_after = retry_after


class ProviderRejected(ProviderError):  # noqa: N818
    """Rejected by the provider's own statement: nothing moved and nothing will."""

    code = "provider_rejected"


class ProviderBlocked(ProviderRejected):
    """A definite no that is about our account: nothing moved, and once it is mended it will."""

    code = "provider_blocked"

    def as_rejected(self) -> ProviderRejected:
        """The same no to a call that must not wait for the account to be mended."""
        return ProviderRejected(
            self.message,
            provider=self.provider,
            provider_code=self.provider_code,
            provider_message=self.provider_message,
        )


class ProviderUnavailable(ProviderError):  # noqa: N818
    """Certainly not processed (connection refused, rate limit): safe to send again."""

    code = "provider_unavailable"


class OutcomeUnknown(ProviderError):  # noqa: N818
    """Outcome unknown: query with the same ids before sending again."""

    code = "outcome_unknown"


class InvalidSignature(ProviderError):  # noqa: N818
    """An inbound message that the provider did not sign, or that is stale: changes nothing."""

    code = "invalid_signature"


class Unreadable(InvalidSignature):
    """An inbound message that the provider did sign, in a form that it does not document.

    It may report money: it is rejected, so that the provider repeats it, and operators are called.
    """

    code = "unreadable"
