"""What a store says after the sale: renewals, refunds, expiry. Applied once, then told."""

from temporalio import workflow
from temporalio.exceptions import FailureError

from activities.entitlements import EntitlementActivities
from activities.payments import Flag, PaymentActivities
from domain.frozen import Frozen
from domain.payment import Payment
from domain.report import Attention
from domain.store_change import StoreWord
from workflows import details
from workflows.attention import Calls
from workflows.policies import StorePolicy, store_policy
from workflows.steps import WaitAlarm, in_our_books, tell_merchant


class EntitlementOrder(Frozen):
    """What an entitlement workflow is started with; always together with a `hear` signal.

    `payment` is the one that bought the chain of purchases.
    """

    payment: Payment
    original_transaction_id: str
    policy: StorePolicy = store_policy()


@workflow.defn
class EntitlementWorkflow:
    """Deals with a store's words on one chain of purchases, for as long as there are any.

    Words come in any order: our books decide by the time of each which of them counts.
    """

    @workflow.init
    def __init__(self, order: EntitlementOrder) -> None:
        self._policy = order.policy
        self._calls = Calls(order.policy)
        self._inbox: list[StoreWord] = []
        self._heard: set[str] = set()
        self._overdue: set[str] = set()

    @workflow.run
    async def run(self, order: EntitlementOrder) -> list[str]:
        """The ids of the words that were dealt with, once the merchant knows of them."""
        while self._inbox or not self._calls.done:
            await workflow.wait_condition(lambda: bool(self._inbox) or self._calls.done)
            batch, self._inbox = self._inbox, []
            for word in batch:
                # Beside each other: one that waits for its payment must not hold up a refund.
                self._calls.beside(self._deal_with(word))
        await self._calls.answered()
        return sorted(self._heard)

    @workflow.signal(description="A store's word, verified by the API")
    def hear(self, word: StoreWord) -> None:
        """Keep the word; the store's retry of it changes nothing."""
        if word.word_id not in self._heard:
            self._heard.add(word.word_id)
            self._inbox.append(word)

    async def _deal_with(self, word: StoreWord) -> None:
        workflow.set_current_details(details.store_now(word.change))
        try:
            changed = await in_our_books(
                self._policy,
                EntitlementActivities.apply_change,
                word,
                word.change.raw_type,
                alarm=self._alarm_of(word),
            )
        except FailureError:
            await self._calls.about_payment(
                word.payment_id,
                Attention.CONTRADICTION,
                f"our books refuse the store's word {word.change.raw_type}",
                subject=word.word_id,
            )
            return
        finally:
            await self._no_longer_waits(word)
        for event_id in changed.event_ids:
            self._calls.beside(tell_merchant(self._policy, event_id))

    def _alarm_of(self, word: StoreWord) -> WaitAlarm | None:
        if self._policy.alarm_after is None:
            return None

        async def call() -> None:
            self._overdue.add(word.word_id)
            await self._calls.about_payment(
                word.payment_id,
                Attention.OUTCOME_UNKNOWN,
                f"the store's {word.change.raw_type} waits for the payment",
                subject=word.word_id,
            )

        return WaitAlarm(self._policy.alarm_after, call)

    async def _no_longer_waits(self, word: StoreWord) -> None:
        """Clear the flag with the last change that waited for the payment."""
        if word.word_id not in self._overdue:
            return
        self._overdue.remove(word.word_id)
        if not self._overdue:
            flag = Flag(
                payment_id=word.payment_id, attention=Attention.OUTCOME_UNKNOWN, detail="applied"
            )
            await in_our_books(self._policy, PaymentActivities.clear_flag, flag, "clear the flag")
