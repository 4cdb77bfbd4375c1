"""What may still come once a payment has ended, and what to do with it, at once."""

from temporalio import workflow
from temporalio.exceptions import FailureError

from domain.merchant import LatePolicy
from domain.payment import PaymentStatus
from domain.report import Attention, PaymentReport
from workflows.attention import Calls, PaymentFlag
from workflows.conversation import Conversation
from workflows.late_money import settle_late_money
from workflows.payment_state import PaymentState
from workflows.policies import RefundPolicy
from workflows.reported_refunds import flag_external_refunds
from workflows.steps import WEIGHED, happens, seconds_until


class AfterTheEnd:
    """Deals with words after the end for as long as the run lives, however long the telling."""

    def __init__(
        self, state: PaymentState, provider: Conversation, calls: Calls, flag: PaymentFlag
    ) -> None:
        self._state = state
        self._provider = provider
        self._calls = calls
        self._flag = flag

    async def settle(self, refund_policy: RefundPolicy, late_policy: LatePolicy) -> None:
        """Return once the merchant knows, every handler is done, and nothing is unsettled."""
        if self._state.unknown_there and self._state.payment.status is PaymentStatus.CLOSED:
            self._calls.beside(self._watch_until_expiry())
        while not self._all_is_said() or self._state.unsettled:
            await workflow.wait_condition(lambda: self._state.unsettled or self._all_is_said())
            if self._state.to_confirm:
                await self._confirm()
            # First: what gives late money back holds all of it, and would explain what is missing.
            if refunded := self._state.take_refunded():
                await self._flag_external_refunds(refunded)
            if self._state.owes_a_settlement and self._state.undone and workflow.patched(WEIGHED):
                self._state.drop_late_money()
            elif self._state.owes_a_settlement:
                await self._settle_late_money(refund_policy, late_policy)
            if self._state.disputed is not None:
                disputed, self._state.disputed = self._state.disputed, None
                if self._is_another_purchase(disputed):
                    continue
                why = self._state.payment.mismatch(disputed) or Attention.CONTRADICTION
                await self._flag.up(why)
        await self._calls.answered()

    async def _watch_until_expiry(self) -> None:
        """Closed before the provider ever saw it: what the payer holds is good until it expires."""
        expires_at = self._state.payment.expires_at
        if workflow.now() >= expires_at or await happens(
            lambda: self._state.payment.late, seconds_until(expires_at), "until it cannot be paid"
        ):
            return
        try:
            self._state.hear(await self._provider.ask_patiently("ask once more after the expiry"))
        except FailureError:
            if not self._state.payment.late:
                await self._flag.up(Attention.OUTCOME_UNKNOWN)

    async def _confirm(self) -> None:
        """Money told of after the end, by a word that is no proof: a query may lag behind it."""
        for wait in (0.0, *self._provider.confirmation_waits):
            if wait:
                await workflow.sleep(wait)
            self._state.to_confirm = False
            try:
                self._state.hear(await self._provider.ask_patiently("confirm the notification"))
            except FailureError:
                await self._flag.up(Attention.OUTCOME_UNKNOWN)
            if self._state.claimed is None:
                return
        self._state.claimed = None
        await self._flag.up(Attention.CONTRADICTION)

    async def _flag_external_refunds(self, refunded: int) -> None:
        if await flag_external_refunds(self._calls, self._state.payment.id, refunded):
            self._state.flag(Attention.EXTERNAL_REFUND)

    async def _settle_late_money(
        self, refund_policy: RefundPolicy, late_policy: LatePolicy
    ) -> None:
        try:
            settled = await settle_late_money(
                self._calls, refund_policy, self._state.payment, late_policy
            )
        except FailureError:
            self._state.refuse_late_money()
        else:
            self._state.settle_late_money(settled)

    def _is_another_purchase(self, disputed: PaymentReport) -> bool:
        # Executions of an earlier build flagged it, and their histories say so.
        is_another = self._state.payment.is_another_purchase(disputed)
        return is_another and workflow.patched("another-purchase-flags-no-paid-payment")

    def _all_is_said(self) -> bool:
        return self._calls.done and workflow.all_handlers_finished()
