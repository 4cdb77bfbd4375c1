"""Call a person: flag the record, show it to operators, and let the merchant know."""

import asyncio
from collections.abc import Coroutine
from typing import Any
from uuid import UUID

from temporalio import workflow

from activities.payments import Flag, PaymentActivities
from activities.refunds import RefundActivities, RefundFlag
from domain.report import Attention
from workflows import search_attributes
from workflows.payment_state import PaymentState
from workflows.policies import Policy
from workflows.steps import Argument, Result, Step, in_our_books, tell_merchant


class Calls:
    """The calls of one run. The merchant is told beside the run, which must not wait for it."""

    def __init__(self, policy: Policy) -> None:
        self.policy = policy
        self._telling: list[asyncio.Task[Any]] = []

    @property
    def done(self) -> bool:
        """Nothing is going on beside the run: every event was delivered or given up."""
        return all(telling.done() for telling in self._telling)

    async def about_payment(
        self,
        payment_id: UUID,
        why: Attention,
        detail: str,
        *,
        subject: str | None = None,
        refunded: int | None = None,
    ) -> None:
        """Flag the payment; alarms of one kind about several subjects are told one by one."""
        flag = Flag(
            payment_id=payment_id, attention=why, detail=detail, subject=subject, refunded=refunded
        )
        workflow.upsert_search_attributes([search_attributes.attention_update(why)])
        self.notify(await decided_first(self.policy, PaymentActivities.flag_payment, flag, why))

    async def about_refund(self, refund_id: UUID, why: Attention, detail: str) -> None:
        """Flag the refund."""
        flag = RefundFlag(refund_id=refund_id, attention=why, detail=detail)
        workflow.upsert_search_attributes([search_attributes.attention_update(why)])
        self.notify(await decided_first(self.policy, RefundActivities.flag_refund, flag, why))

    def beside(self, telling: Coroutine[Any, Any, Any]) -> None:
        """Do something else beside the run, which does not end before it."""
        self._telling.append(asyncio.create_task(telling))

    def notify(self, *event_ids: UUID | None) -> None:
        """Deliver those events that there are, while the workflow goes on."""
        for event_id in event_ids:
            if event_id is not None:
                self.beside(tell_merchant(self.policy, event_id))

    async def answered(self) -> None:
        """Wait until they are done."""
        await asyncio.gather(*self._telling)


async def decided_first(
    policy: Policy, step: Step[Argument, Result], flag: Argument, why: Attention
) -> Result:
    """Raise the flag by a queued step; returns its event.

    A task that dies is tried again with more signals in hand and may decide otherwise: a flag that
    it had raised from within would leave an event that nobody tells.
    """
    return await workflow.execute_activity_method(
        step, flag, **policy.ledger_slow.activity(f"call a person: {why}")
    )


class PaymentFlag:
    """The flag of one payment: raised once per reason, taken down where the reason is settled."""

    def __init__(self, state: PaymentState, policy: Policy, calls: Calls) -> None:
        self._state = state
        self._policy = policy
        self._calls = calls
        self._raised: Attention | None = None

    @property
    def raised(self) -> bool:
        """This run has called a person at some time."""
        return self._raised is not None

    async def up(self, why: Attention) -> None:
        """Call a person, unless one is called for this already."""
        if self._state.payment.attention is why:
            return
        self._state.flag(why)
        self._raised = why
        await self._calls.about_payment(self._state.payment.id, why, str(why))

    async def take_over(self, why: Attention) -> None:
        """Own the flag that an execution before this one raised, and raise it where it is down."""
        self._raised = why
        await self.up(why)

    async def down(self) -> None:
        """What this run called a person for is settled; a flag that others raised stays up."""
        if self._raised is None or self._state.payment.attention is not self._raised:
            return
        flag = Flag(payment_id=self._state.payment.id, attention=self._raised, detail="settled")
        self._state.flag(None)
        await in_our_books(self._policy, PaymentActivities.clear_flag, flag, "clear the flag")
