"""Call a person: flag the record, show it to operators, and let the merchant know."""

import asyncio
from uuid import UUID

from temporalio import workflow

from activities.payments import Flag, PaymentActivities
from activities.refunds import RefundActivities, RefundFlag
from activities.webhooks import Told
from domain.report import Attention
from workflows import search_attributes
from workflows.policies import Policy
from workflows.steps import in_our_books, tell_merchant


class Calls:
    """The calls of one run. The merchant is told beside the run, which must not wait for it."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._telling: list[asyncio.Task[Told | None]] = []

    async def about_payment(self, payment_id: UUID, why: Attention, detail: str) -> None:
        """Flag the payment."""
        flag = Flag(payment_id=payment_id, attention=why, detail=detail)
        workflow.upsert_search_attributes([search_attributes.attention_update(why)])
        self._tell(
            await in_our_books(
                self._policy, PaymentActivities.flag_payment, flag, f"call a person: {why}"
            )
        )

    async def about_refund(self, refund_id: UUID, why: Attention, detail: str) -> None:
        """Flag the refund."""
        flag = RefundFlag(refund_id=refund_id, attention=why, detail=detail)
        workflow.upsert_search_attributes([search_attributes.attention_update(why)])
        self._tell(
            await in_our_books(
                self._policy, RefundActivities.flag_refund, flag, f"call a person: {why}"
            )
        )

    async def answered(self) -> None:
        """Every event of these calls was delivered or given up."""
        await asyncio.gather(*self._telling)

    def _tell(self, event_id: UUID) -> None:
        self._telling.append(asyncio.create_task(tell_merchant(self._policy, event_id)))
