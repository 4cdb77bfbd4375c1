"""What a payment's run knows: pure, so that every order of words and decisions can be tried."""

from domain.checkout import Created
from domain.own_refunds import is_cancelled, refunded_without_cancel
from domain.payment import Failure, Payment, PaymentStatus
from domain.report import Attention, Outcome, PaymentReport
from domain.resolution import Resolution, ResolveAction

# Money that was never this payment's can be neither accepted nor given back for it.
_NOT_OURS = (Attention.ACCOUNT_MISMATCH, Attention.REFERENCE_MISMATCH)

_NO_MONEY: dict[str, object] = {
    "captured": 0,
    "late": False,
    "paid_at": None,
    "purchase": None,
    "test": False,
    "store_price": None,
    "store_currency": None,
    "offer": None,
}

_NOT_ORDERED = (
    "What was bought is not what the payment is for, and accepting would book it as if it were:"
    " close the payment and have the buyer refunded at the store, or ask_again."
)
_OTHER_CURRENCY = (
    "The money is in another currency than the payment, and would be booked or refunded as the"
    " payment's own: refund it in the provider's console, then close the payment; or ask_again."
)


class PaymentState:
    """The payment as the run believes it, and what it was told and asked. No I/O, no clock.

    `disputed` is a report that does not fit the payment, `judged` the one that a person decided
    on, `paid` the report that brought the money, `final` whether our books have the end,
    `unknown_there` whether the order was closed without the provider ever having seen it.
    `claimed` is a notification of money that no query has confirmed so far, `to_confirm` whether
    the provider must be asked now. `held` is what an earlier execution, which was lost, had called
    an operator for: its report is lost too, and only money or the operator overrules it. `refunded`
    is the most that a report said was refunded in all, `undone` whether our own cancel gave back
    what the payer had just paid.
    """

    def __init__(self, payment: Payment) -> None:
        self.payment = payment
        self.disputed: PaymentReport | None = None
        self.judged: PaymentReport | None = None
        self.paid: PaymentReport | None = None
        self.claimed: PaymentReport | None = None
        self.to_confirm = False
        self.resolution: Resolution | None = None
        self.answered = False
        self.cancelled = False
        self.silent = False
        self.final = False
        self.unknown_there = False
        self.held: Attention | None = None
        self.refunded = 0
        self.undone = False
        self._compared = 0
        self._late_money_settled = False

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
    def in_review(self) -> bool:
        """An operator has to decide: no cancellation ends the payment before that."""
        return self.disputed is not None or self.held is not None

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
        ended_without_it = self.payment.late and self.payment.status is not PaymentStatus.SUCCEEDED
        return ended_without_it and not self._late_money_settled

    @property
    def unsettled(self) -> bool:
        """Something came after the end that must be dealt with."""
        waits = self.owes_a_settlement or self.disputed is not None or self.to_confirm
        return waits or self.refunded > self._compared

    def hear_claim(self, report: PaymentReport) -> None:
        """Take a notification that is no proof yet: the provider is to be asked."""
        is_paid = report.outcome is Outcome.PAID
        if self.payment.mismatch(report) is not None:
            self.hear(report)
        elif not self.payment.is_paid and (self.pending or is_paid):
            self.to_confirm = True
            # The decided end is asked about again, but calls nobody for what was decided on.
            if is_paid and (self.pending or report != self.judged):
                self.claimed = report

    def hear(self, report: PaymentReport) -> None:
        """Take the provider's word. A repeat changes nothing; what does not fit is disputed."""
        if self.payment.mismatch(report) is not None:
            # The decided end is not disputed again by a repeat of what was decided on.
            if self.pending or report != self.judged:
                self.disputed = report
            return
        if self.pending and self._denies_the_claim(report):
            self.disputed = self.claimed
            return
        self.undone = self.undone or is_cancelled(self.payment, report)
        self.refunded = max(self.refunded, refunded_without_cancel(self.payment, report))
        if report.outcome is Outcome.PAID:
            self.paid = report
            self.disputed = self.claimed = None
            self.to_confirm = False
        self.payment = self.payment.apply(report)

    def forget_money(self) -> None:
        """Our own cancel gave back what a notification said was paid."""
        self.paid = self.claimed = None
        self._change(**_NO_MONEY, status=PaymentStatus.PENDING)

    def drop_late_money(self) -> None:
        """The payer paid in the moment of our own cancel: nothing is here, and nothing is owed."""
        self._late_money_settled = True
        self._change(**_NO_MONEY)

    def take_refunded(self) -> int:
        """Return `refunded`, which is then dealt with, or 0 where that was done before."""
        is_new, self._compared = self.refunded > self._compared, self.refunded
        return self.refunded if is_new else 0

    def dispel(self, disputed: PaymentReport, found: PaymentReport) -> bool:
        """Hear what a question about the dispute found; False where the dispute still stands.

        Money that was told and then denied is found by money alone.
        """
        fits = self.payment.mismatch(found) is None and not self._denies_the_claim(found)
        if disputed == self.claimed:
            fits = fits and found.outcome is Outcome.PAID
        if not fits or self.disputed != disputed:
            return False
        self.disputed = None
        self.silent = True
        self.hear(found)
        return True

    def place(self, stored: Payment) -> None:
        """Our books have the order, though not its payer."""
        self.payment = stored.model_copy(update={"payer": self.payment.payer})

    def resume(self, *, hold: bool) -> None:
        """An earlier execution was lost: query at once, and close what no payer can pay.

        A submission would lack the payer's data, which no row keeps. `hold` keeps what an operator
        must decide.
        """
        self.answered = self.silent = True
        self.cancelled = self.payment.checkout is None
        self.held = self.payment.attention if hold else None

    def review_held(self, report: PaymentReport) -> None:
        """Apply a query's report to what is held: money ends it, or is what is to be decided on."""
        if report.outcome is Outcome.PAID:
            self.held = None
            self.hear(report)

    def keep_paid(self) -> None:
        """Money that was heard of while the order was being placed stays heard of."""
        if self.paid is not None:
            self.payment = self.payment.apply(self.paid)

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
        return self.payment.model_copy(update=_NO_MONEY)

    def finalise(self, stored: Payment) -> None:
        """Our books have the end. Money may have come while it was being written."""
        self.final = True
        self.resolution = None
        self.payment = stored.apply(self.paid) if self.paid else stored

    def reopen(self) -> None:
        """Back to pending, the money in dispute: the end cannot be stored, or may not be one."""
        self._dispute_the_money()
        self._change(status=PaymentStatus.PENDING)

    def settle_late_money(self, stored: Payment) -> None:
        """Our books have counted it, and it is accepted or on its way back."""
        self._late_money_settled = True
        self.payment = stored

    def refuse_late_money(self) -> None:
        """Our books refuse to count it: the payment stays as it ended, the money in dispute."""
        self._dispute_the_money()

    def resolve(self, resolution: Resolution) -> None:
        """Apply a person's decision."""
        self.payment = self.payment.resolve(resolution.action, self.disputed)
        if self.payment.is_paid:
            self.paid = self.disputed
        self.judged, self.disputed = self.disputed, None
        if resolution.action is not ResolveAction.ASK_AGAIN:
            self.held = None
        if not self.pending:
            self._keep_undecided_claim()
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
        return self._refuses_money(resolution.action)

    def drop_overtaken(self, resolution: Resolution) -> bool:
        """Forget a decision that was taken on one report where a refused one has come since."""
        if self.disputed is None or self._refuses_money(resolution.action) is None:
            return False
        self.resolution = None
        return True

    def _refuses_money(self, action: ResolveAction) -> str | None:
        if action not in (ResolveAction.ACCEPT, ResolveAction.REFUND):
            return None
        if self.disputed is None or not _has_money(self.disputed):
            return "The provider reports no money to accept or refund: close or ask_again."
        why = {self.payment.mismatch(self.disputed), self.payment.money_mismatch(self.disputed)}
        if why.intersection(_NOT_OURS):
            return "The money is for another account or order: close the payment or ask_again."
        if Attention.PRODUCT_MISMATCH in why:
            return _NOT_ORDERED
        return _OTHER_CURRENCY if Attention.CURRENCY_MISMATCH in why else None

    def _denies_the_claim(self, report: PaymentReport) -> bool:
        """Whether money that the provider told us of is gone by its own word."""
        may_be_paid = self.claimed is not None or self.held is not None
        return may_be_paid and report.outcome in (Outcome.FAILED, Outcome.CLOSED)

    def _keep_undecided_claim(self) -> None:
        """Money that was told of and is not what the person decided on is asked about yet."""
        if self.payment.is_paid or self.claimed == self.judged:
            self.claimed = None
        self.to_confirm = self.claimed is not None

    def _dispute_the_money(self) -> None:
        self.disputed, self.paid, self.resolution = self.paid, None, None
        self._change(**_NO_MONEY)

    def _change(self, **update: object) -> None:
        self.payment = self.payment.model_copy(update=update)


def _has_money(report: PaymentReport) -> bool:
    """A store's price is not ours to judge: its purchase stands for the money."""
    money = (report.amount or 0) > 0 or report.purchase is not None
    return report.outcome is Outcome.PAID and money
