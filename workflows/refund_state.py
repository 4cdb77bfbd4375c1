"""What a refund's run knows: pure, as the payment's is."""

from domain.payment import Failure
from domain.refund import FINAL_STATUS, Refund, RefundStatus
from domain.report import Attention, RefundOutcome, RefundReport
from domain.resolution import Resolution, ResolveAction

# The provider settles these once the merchant or an operator has acted there: the refund goes on.
GOES_ON = (Attention.REFUND_ABNORMAL, Attention.REFUND_BLOCKED)
# Accepted, it would count as the refund's own sum.
_NOT_THIS_MONEY = (Attention.CURRENCY_MISMATCH, Attention.PRODUCT_MISMATCH)


class RefundState:
    """The refund as the run believes it, and what it was told and asked. No I/O, no clock.

    `refunded` is the most that a report said was refunded of the payment in all.
    `doubt` is why a person must be called, `contradiction` what was wrong with a word after the
    end, `decided` whether a person has decided, `taken` whether the provider has answered the
    submission, `waited` whether its grace is over, `settled` whether our books have the end.
    `blockage` is what the provider refused the refund for while our account was the reason.
    `claimed` is a notification that no query has confirmed so far: of money given back, or after
    the end one that contradicts it. `to_confirm` is whether the provider is to be queried now.
    """

    def __init__(self, refund: Refund) -> None:
        self.refund = refund
        self.doubt: Attention | None = None
        self.contradiction: Attention | None = None
        self.blockage: Failure | None = None
        self.claimed: RefundReport | None = None
        self.to_confirm = False
        self.resolution: Resolution | None = None
        self.refunded = 0
        self.decided = False
        self.taken = False
        self.waited = False
        self.settled = False

    @property
    def pending(self) -> bool:
        """Nothing has ended the refund yet."""
        return self.refund.status is RefundStatus.PENDING

    @property
    def moved(self) -> bool:
        """There is something to do other than wait."""
        waits = self.pending and not self.to_confirm
        return not waits or self.doubt is not None or self.resolution is not None

    @property
    def answerable(self) -> bool:
        """The merchant can be answered: settled, taken by the provider, or waiting for a person."""
        return self.settled or (self.pending and (self.taken or self.refund.attention is not None))

    @property
    def unsettled(self) -> bool:
        """Something came after the end that must be dealt with."""
        return self.contradiction is not None or (self.settled and self.to_confirm)

    def hear_claim(self, report: RefundReport) -> None:
        """Take a notification that proves nothing yet: the provider is to be queried."""
        if self.refund.mismatch(report) is not None:
            self.hear(report)
        elif self.pending:
            self.to_confirm = True
            if report.outcome is RefundOutcome.SUCCEEDED:
                self.claimed = report
        elif self._contradicted_by(report):
            self.to_confirm = True
            self.claimed = report

    def hear(self, report: RefundReport) -> None:
        """The provider's word; one that does not fit changes nothing but calls a person."""
        mismatch = self.refund.mismatch(report)
        if mismatch is None:
            self.refunded = max(self.refunded, report.refunded or 0)
        if not self.pending:
            self.contradiction = mismatch or self._contradicted_by(report) or self.contradiction
            return
        if mismatch is not None:
            self.doubt = mismatch
            return
        if self.claimed is not None and report.outcome is RefundOutcome.FAILED:
            self.doubt = Attention.CONTRADICTION
            return
        before = self.refund.attention
        self.refund = self.refund.apply(report)
        if self.refund.attention not in (None, before):
            self.doubt = self.refund.attention

    def reject(self, failure: Failure) -> None:
        """Take the provider's definite no to the submission; a doubt where money is claimed."""
        if self.pending and self.claimed is not None:
            self.doubt = Attention.CONTRADICTION
        else:
            self.fail(failure)

    def block(self, failure: Failure) -> None:
        """Take the provider's no to our account: nothing moved, and the refund is still owed."""
        if self.pending:
            self.doubt = Attention.REFUND_BLOCKED
            self.blockage = failure

    def detail(self, why: Attention) -> str:
        """The `attention_detail` that operators read."""
        if why is Attention.REFUND_BLOCKED and self.blockage is not None:
            return f"{why}: {self.blockage.message}"
        return str(why)

    def take(self, report: RefundReport) -> None:
        """The provider has the refund: what stood in its way does so no longer."""
        self.taken = True
        if self.refund.attention is Attention.REFUND_BLOCKED:
            self._change(attention=None)
        self.hear(report)

    def fail(self, failure: Failure) -> None:
        """End the refund as failed, unless the provider has said otherwise before."""
        if self.pending:
            self._change(status=RefundStatus.FAILED, failure=failure, attention=None)

    def flag(self, why: Attention) -> None:
        """A person must look."""
        self._change(attention=why)

    def refuses_resolution(self, decision: Resolution) -> str | None:
        """Why the decision cannot be taken."""
        if not self.pending or self.refund.attention is None:
            return "Nothing to resolve: the refund needs no operator."
        if decision.action is ResolveAction.ACCEPT and self.refund.attention in _NOT_THIS_MONEY:
            return (
                "What went back is not what this refund is of, and accepting would book it as if"
                " it were: correct it in the provider's console, then close the refund or"
                " ask_again."
            )
        return None

    def resolve(self, decision: Resolution) -> None:
        """A person's decision."""
        self.resolution = self.doubt = None
        self.decided = True
        self._change(attention=None)
        if decision.action is not ResolveAction.ASK_AGAIN:
            self._drop_the_claim()
        if decision.action is ResolveAction.ACCEPT:
            self._change(status=RefundStatus.SUCCEEDED, raw_status="accepted by an operator")
        if decision.action is ResolveAction.CLOSE:
            self.fail(Failure(code="closed_by_operator", message=decision.note))

    def reserve(self, stored: Refund) -> None:
        """Our books have set the money aside, and may have set aside less than was ordered.

        A word that came before was judged by the order: the provider will be asked.
        """
        self.refund = stored
        self.doubt = None

    def resume(self) -> None:
        """An earlier execution was lost: what it called an operator for is still to be decided."""
        if self.refund.attention not in GOES_ON:
            self.doubt = self.refund.attention

    def settle(self, stored: Refund) -> None:
        """Our books have the end. A task that was lost may have written another one down."""
        if stored.status is not self.refund.status:
            self.contradiction = Attention.CONTRADICTION
        self.refund = stored
        self.resolution = None
        self.settled = True
        if self.claimed is None or not self._contradicted_by(self.claimed):
            self._drop_the_claim()

    def take_claim(self) -> RefundReport | None:
        """Return the claim that contradicts the end, which is then dealt with."""
        claimed = self.claimed
        if claimed is not None and self.settled:
            self._drop_the_claim()
            return claimed
        return None

    def _drop_the_claim(self) -> None:
        self.claimed = None
        self.to_confirm = False

    def _contradicted_by(self, report: RefundReport) -> Attention | None:
        said = FINAL_STATUS.get(report.outcome)
        return Attention.CONTRADICTION if said not in (None, self.refund.status) else None

    def _change(self, **changes: object) -> None:
        self.refund = self.refund.model_copy(update=changes)
