"""The seam: what every provider can do, and how a provider's answers become one of six verdicts."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Annotated, NoReturn, Protocol, runtime_checkable

from pydantic import Field

from domain.checkout import Created
from domain.consumption import Consumption
from domain.errors import (
    OutcomeUnknown,
    ProviderBlocked,
    ProviderRejected,
    ProviderUnavailable,
)
from domain.notification import Acknowledgement, Notification
from domain.payment import Channel, Payment
from domain.purchase import Purchase
from domain.refund import Refund
from domain.report import PaymentReport, RefundReport


class Verdict(StrEnum):
    """What a status or an error code says of the money. Every documented code has one."""

    PAID = "paid"
    PENDING = "pending"
    REJECTED = "rejected"
    # A definite no that is about our account and not about this call: its balance, limits,
    # contract, permissions or keys. Once an operator has mended that, the same call succeeds.
    BLOCKED = "blocked"
    NOT_PROCESSED = "not_processed"
    UNKNOWN = "unknown"

    @property
    def is_refusal(self) -> bool:
        """A definite no: nothing moved by this call."""
        return self in (Verdict.REJECTED, Verdict.BLOCKED)


AccountName = Annotated[str, Field(pattern=r"^[^\s/?#&=%]+$")]
"""An account's name: it is part of our addresses, which providers sign and have signed."""


@dataclass(frozen=True)
class Asking:
    """How often a provider wants to be asked about a payment; all in seconds.

    `silence` is how long it is left alone before the first question; the waits between questions
    grow from `first_wait` by `backoff` to `longest_wait`.
    """

    silence: float
    first_wait: float
    backoff: float
    longest_wait: float


@dataclass(frozen=True)
class ChannelRules:
    """What a channel needs and how long it lives; variation between providers is this data.

    `needs` names the `payer` fields that the provider demands (`a|b`: either will do),
    `default_expiry` the payment's life where the merchant names none, `shortest_expiry` and
    `longest_expiry` the provider's bounds, `local` is true where the checkout is only signed here
    and no call is made, `asking` the provider's own cadence of questions where it has one,
    `closable` false where only its time ends an order, `refundable` false where only the provider
    itself gives money back, `subject_excludes` the characters that it takes in no subject,
    `longest_return_url` the most characters that it takes in a payment's `return_url` where it has
    a limit below ours, `refund_final_within` how long the provider may report a refund as pending
    before an operator is called: the longest that it documents.
    """

    needs: tuple[str, ...] = ()
    default_expiry: timedelta = timedelta(minutes=15)
    shortest_expiry: timedelta = timedelta(minutes=1)
    longest_expiry: timedelta = timedelta(hours=2)
    local: bool = False
    asking: Asking | None = None
    closable: bool = True
    refundable: bool = True
    subject_excludes: str = ""
    longest_return_url: int | None = None
    # Three working days (WeChat Pay's longest, to a bank card) around a week of holidays.
    refund_final_within: timedelta = timedelta(days=10)


class Provider(Protocol):
    """One account at one provider; what only some can do is `Refundable`, `SignsReturns`, `Store`.

    Every verb that calls out raises `ProviderRejected` (a definite no; `ProviderBlocked` where it
    is about our account), `ProviderUnavailable` (certainly not processed) or `OutcomeUnknown`;
    nothing else leaves a provider. All verbs are safe to repeat with the same ids.

    `confirms_notifications` is the provider's own rule of proof: its notification of a payment or
    refund is believed only once a query has said the same.
    """

    name: str
    account: str
    confirms_notifications: bool
    channels: Mapping[Channel, ChannelRules]
    currencies: frozenset[str]

    async def create(self, payment: Payment) -> Created:
        """Sign and submit the order, our reference as the provider's idempotency key.

        Of an order that the provider has already, the checkout may be `none`: some hand out what
        the payer needs only once.
        """
        ...

    async def query(self, payment: Payment) -> PaymentReport:
        """Ask what is true of the payment; an order that does not exist is a report, no error."""
        ...

    async def close(self, payment: Payment) -> PaymentReport:
        """End the order so that it can no longer be paid; says what it found instead.

        ProviderUnavailable names in `retry_after` how long a provider lets nobody end it: where no
        close exists, until the payment's expiry has passed.
        """
        ...

    async def parse_notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Verify the raw bytes, then parse only what was verified.

        Header names are lower-case. Raises InvalidSignature for anything that is not the
        provider's fresh, well-formed word; may fetch newer provider keys once.
        """
        ...

    def acknowledge(self, *, accepted: bool, message: str = "") -> Acknowledgement:
        """The provider's exact acknowledgement, or its exact refusal (it will retry)."""
        ...


@runtime_checkable
class Refundable(Protocol):
    """A provider that gives money back when we ask; its channels' `refundable` is then true.

    Of a store it is not: the store alone refunds. The verbs raise as a Provider's do.
    """

    async def refund(self, refund: Refund, payment: Payment) -> RefundReport:
        """Submit the refund. An accepted refund is often only `pending`."""
        ...

    async def query_refund(self, refund: Refund, payment: Payment) -> RefundReport:
        """Return the refund's state at the provider; one that does not exist is a report too."""
        ...


@runtime_checkable
class SignsReturns(Protocol):
    """A provider that signs what the payer's browser brings back."""

    def parse_return(self, query: str) -> str | None:
        """Return the payment reference of a verified browser return, for display.

        `query` is the raw query string, or the raw form where the browser posts it. None where
        the return is genuine and of another account. Raises InvalidSignature.
        """
        ...


@runtime_checkable
class Store(Protocol):
    """A provider that sells by itself: its signed purchase is the proof, and it alone refunds.

    Found by `isinstance(provider, Store)`. The verbs that call out raise as a Provider's do; a
    signed thing in an answer that does not verify is OutcomeUnknown.
    """

    def app(self, *, test: bool) -> str:
        """The `Purchase.app` of the account's purchases, or of those where no money moved."""
        ...

    async def verify_purchase(self, signed: str) -> Notification:
        """The payer's own proof, checked without a call: what `parse_notification` would yield.

        Raises InvalidSignature, also for a purchase in another app.
        """
        ...

    def takes(self, purchase: Purchase, payment: Payment) -> bool:
        """Whether the account lets this purchase pay this payment, or renew what it bought.

        False for a test purchase of nobody on the account's list of testers: it changes nothing.
        """
        ...

    async def ask_purchase(self, transaction_id: str) -> Purchase:
        """What is true of one transaction now; ProviderRejected where the store knows of none."""
        ...

    async def find_purchases(self, transaction_id: str) -> list[Purchase]:
        """Every purchase of the customer who made this one, oldest change first."""
        ...

    async def find_lost(self, since: datetime) -> list[Notification]:
        """Every notification since then, whether or not it ever reached us, oldest first."""
        ...

    async def send_consumption(self, transaction_id: str, consumption: Consumption) -> None:
        """Tell the store what became of a purchase whose customer asks it for the money back."""
        ...


def refundable(provider: Provider) -> Refundable:
    """Return the provider as one that refunds; raises ProviderRejected where it alone refunds."""
    if isinstance(provider, Refundable):
        return provider
    raise ProviderRejected(
        f"Only {provider.name} itself refunds its payments.",
        provider=provider.name,
        provider_code="refund_unsupported",
    )


def raise_verdict(
    verdict: Verdict, *, provider: str, code: str, message: str, retry_after: float | None = None
) -> NoReturn:
    """Raise the one error that the verdict of a failed call stands for."""
    kind = {
        Verdict.REJECTED: ProviderRejected,
        Verdict.BLOCKED: ProviderBlocked,
        Verdict.NOT_PROCESSED: ProviderUnavailable,
    }.get(verdict, OutcomeUnknown)
    raise kind(
        f"{provider} answered {code}: {message}",
        provider=provider,
        provider_code=code,
        provider_message=message,
        retry_after=retry_after,
    )
