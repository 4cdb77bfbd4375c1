"""Manual review of a pending payment: what the provider reports, and what an operator resolves."""

from collections.abc import Callable
from contextlib import suppress

from temporalio import workflow
from temporalio.exceptions import FailureError

from domain.report import Attention, PaymentReport
from workflows.attention import PaymentFlag
from workflows.conversation import Conversation
from workflows.payment_state import PaymentState

# Executions of an earlier build that were resumed went on by polling.
KEEPS_DECISION = "a resumed payment keeps what an operator must decide"


class Review:
    """Calls an operator and waits, until a report of money or a resolution ends the review."""

    def __init__(
        self,
        state: PaymentState,
        provider: Conversation,
        flag: PaymentFlag,
        show: Callable[[str], None],
    ) -> None:
        """`show` sets what operators see of the workflow."""
        self._state = state
        self._provider = provider
        self._flag = flag
        self._show = show

    async def settle_dispute(self, disputed: PaymentReport) -> None:
        """Query once about a report that does not fit the payment, then wait for an operator."""
        await self._flag.up(self._state.payment.mismatch(disputed) or Attention.CONTRADICTION)
        self._state.to_confirm = False
        with suppress(FailureError):
            found = await self._provider.ask("ask the provider about the mismatch")
            if self._state.dispel(disputed, found):
                return
        await self._wait_for_operator()

    async def review_held(self, why: Attention) -> None:
        """Query once about what a lost execution had called an operator for, then wait for them."""
        await self._flag.take_over(why)
        with suppress(FailureError):
            self._state.review_held(await self._provider.ask("query what an operator must decide"))
        if self._state.held is not None:
            await self._wait_for_operator()

    async def park(self) -> None:
        """Wait for an operator: another payment holds the same provider's number."""
        self._state.reopen()
        await self._flag.up(Attention.CONTRADICTION)
        await self._wait_for_operator()

    async def _wait_for_operator(self) -> None:
        self._show("An operator must decide")
        await workflow.wait_condition(
            lambda: (
                self._state.resolution is not None
                or self._state.to_confirm
                or not self._state.pending
            )
        )
