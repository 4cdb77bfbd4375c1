"""What a payment's run knows: pure, so that every order of words and decisions can be tried."""

from domain.checkout import Created
from domain.payment import Failure, Payment, PaymentStatus
from domain.report import Attention, Outcome, PaymentReport
from domain.resolution import Resolution, ResolveAction


class PaymentState:
    """The payment as the run believes it, and what it was told and asked. No I/O, no clock.

    `disputed` is a report that does not fit the payment, `paid` the report that brought the money,
    `final` whether our books have the end. `claimed` is a notification of money that no query has
    confirmed so far, `to_confirm` whether the provider must be asked now.
    """

    def __init__(self, payment: Payment) -> None:
        self.payment = payment
        self.disputed: PaymentReport | None = None
        self.paid: PaymentReport | None = None
        self.claimed: PaymentReport | None = None
        self.to_confirm = False
        self.resolution: Resolution | None = None
        self.answered = False
        self.cancelled = False
        self.silent = False
        self.final = False

    @property
    def pending(self) -> bool:
        """Nothing has ended the payment yet."""
        return self.payment.status is PaymentStatus.PENDING

    @property
    def decided(self) -> bool:
        """Ended, in dispute, or told what must be confirmed: waiting is over."""
        waits = self.pending and not self.to_confirm
        return not waits or self.disputed is not None or self.resolution is not None

    @property
    def moved(self) -> bool:
        """There is something to do other than wait."""
        return self.cancelled or self.decided

    @property
    def answerable(self) -> bool:
        """The merchant can be answered: the end is written down, or the payer can act."""
        return self.final or (self.answered and self.pending)

    @property
    def owes_a_settlement(self) -> bool:
        """Money came for a payment that had ended without it."""
        return self.payment.late and self.payment.status is not PaymentStatus.SUCCEEDED

    def hear_claim(self, report: PaymentReport) -> None:
        """Take a notification that is no proof yet: the provider is to be asked."""
        if self.payment.mismatch(report) is not None:
            self.hear(report)
        elif not self.payment.captured:
            self.to_confirm = True
            if report.outcome is Outcome.PAID:
                self.claimed = report

    def hear(self, report: PaymentReport) -> None:
        """Take the provider's word. A repeat changes nothing; what does not fit is disputed."""
        if self.payment.mismatch(report) is not None:
            if not self.final:
                self.disputed = report
            return
        if self.pending and self.contradicts_claim(report):
            self.disputed = self.claimed
            return
        if report.outcome is Outcome.PAID:
            self.paid = report
            self.disputed = self.claimed = None
            self.to_confirm = False
        self.payment = self.payment.apply(report)

    def contradicts_claim(self, report: PaymentReport) -> bool:
        """Whether money that the provider told us of is gone by its own word."""
        return self.claimed is not None and report.outcome in (Outcome.FAILED, Outcome.CLOSED)

    def dispel(self, disputed: PaymentReport, found: PaymentReport) -> bool:
        """Hear what a question about the dispute found; False where the dispute still stands."""
        fits = self.payment.mismatch(found) is None and not self.contradicts_claim(found)
        if not fits or self.disputed is not disputed:
            return False
        self.disputed = None
        self.silent = True
        self.hear(found)
        return True

    def take(self, created: Created) -> None:
        """The provider has the order."""
        reference = created.provider_reference or self.payment.provider_reference
        self._change(checkout=created.checkout, provider_reference=reference)
        if created.report is not None:
            self.hear(created.report)

    def fail(self, failure: Failure) -> None:
        """The provider's definite no, unless something else ended the payment first."""
        if self.pending:
            self._change(status=PaymentStatus.FAILED, failure=failure)

    def flag(self, why: Attention | None) -> None:
        """A person must look, or (None) need not any longer."""
        self._change(attention=why)

    def ended(self) -> Payment:
        """The end to write down. Money that came for a closed payment is counted apart, later."""
        if self.payment.status is PaymentStatus.SUCCEEDED:
            return self.payment
        return self.payment.model_copy(update={"captured": 0, "late": False})

    def finalise(self, stored: Payment) -> None:
        """Our books have the end. Money may have come while it was being written."""
        self.final = True
        self.payment = stored.apply(self.paid) if self.paid else stored

    def reopen(self) -> None:
        """Our books refuse the end: back to pending, the money in dispute."""
        self.disputed = self.paid
        self._change(status=PaymentStatus.PENDING, captured=0, paid_at=None)

    def resolve(self, resolution: Resolution) -> None:
        """Apply a person's decision."""
        self.payment = self.payment.resolve(resolution.action, self.disputed)
        if self.payment.captured:
            self.paid = self.disputed
        self.disputed = None
        if not self.pending:
            self.claimed = None
        self.silent = True
        self.resolution = None

    def refuses_cancel(self) -> str | None:
        """Why the payment cannot be cancelled."""
        if self.pending:
            return None
        return f"The payment is already {self.payment.status}. Refund it instead."

    def refuses_resolution(self, resolution: Resolution) -> str | None:
        """Why the decision cannot be taken."""
        if not self.pending or (self.disputed is None and self.payment.attention is None):
            return "Nothing to resolve: the payment needs no person."
        if resolution.action not in (ResolveAction.ACCEPT, ResolveAction.REFUND):
            return None
        if self.disputed is None or self.disputed.outcome is not Outcome.PAID:
            return "The provider reports no money to accept or refund: close or ask_again."
        if self.disputed.mismatch is Attention.ACCOUNT_MISMATCH:
            return "The money went to another account: close the payment or ask_again."
        return None

    def _change(self, **update: object) -> None:
        self.payment = self.payment.model_copy(update=update)
