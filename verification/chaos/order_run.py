"""One order of the plan: merchant, payer and provider do what it says."""

import asyncio
import json
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx

from domain.identity import IdentityKey
from verification.chaos.clients import JSON, Backend, Sandbox
from verification.chaos.counts import Counts
from verification.chaos.in_app import Sale
from verification.chaos.plan import OF_STORES, Course, PlannedOrder, PlannedRefund
from verification.chaos.progress import Progress, Row

# A refund that waits for its payee's bank is rescued after a while, as a merchant would.
RESCUE_SECONDS = 8.0
CHECKOUT_SECONDS = 60.0
CANCEL_TRIES, CANCEL_AGAIN_SECONDS = 12, 4.0


@dataclass(frozen=True)
class Shared:
    """What all orders share.

    `identity` derives the ids that the API will derive; `terminate` is an operator's hand on a
    payment's workflow; a payment that is paid ends within `patience` seconds, whatever was killed
    meanwhile.
    """

    sandbox: Sandbox
    progress: Progress
    counts: Counts
    terminate: Callable[[UUID], Awaitable[None]]
    identity: IdentityKey
    patience: float


class OrderRun:
    """Executes one order of the plan. Nothing here judges: the audit does."""

    def __init__(
        self, order: PlannedOrder, merchant: str, backend: Backend, shared: Shared
    ) -> None:
        self._order = order
        self._merchant = merchant
        self._backend = backend
        self._sandbox = shared.sandbox
        self._progress = shared.progress
        self._counts = shared.counts
        self._terminate = shared.terminate
        self._identity = shared.identity
        self._patience = shared.patience

    async def go(self) -> None:
        """From the order to the last refund."""
        await asyncio.gather(*(self._one_payment(key) for key in self._order.keys))
        self._counts.finished += 1

    async def _one_payment(self, key: str) -> None:
        order, id_ = self._order, self._identity.payment_id(self._merchant, key)
        await self._plant(id_)
        checkout = await self._create(id_, key)
        await asyncio.sleep(order.pay_after)
        await self._act(id_, checkout)
        await self._send_strangers(id_)
        if order.synced:
            await self._backend.sync(str(id_))
        await self._forge(id_)
        ended = await self._progress.until(id_, _has_ended, self._patience)
        if ended is not None and ended.captured and order.refunds:
            await self._refund(id_)

    async def _plant(self, id_: UUID) -> None:
        order = self._order
        for fault in order.faults:
            await self._sandbox.plant(order.provider, id_.hex, fault)
        for asked in order.refunds:
            for fault in asked.faults:
                refund = self._identity.refund_id(id_, asked.key)
                await self._sandbox.plant(order.provider, refund.hex, fault)

    async def _create(self, id_: UUID, key: str) -> JSON | None:
        """The checkout, or None where there is none to be had."""
        body = self._body()
        calls = [self._backend.create(body, key) for _ in range(self._order.copies)]
        answers = [answer for answer in await asyncio.gather(*calls) if answer.is_success]
        if self._order.contradicted:
            other = await self._backend.create(body | {"amount": self._order.amount + 1}, key)
            if other.is_success:
                self._counts.surprises.append(f"{id_} was made again with another amount")
        if not answers:
            return None
        checkout: JSON | None = answers[0].json()["checkout"]
        if checkout is None and self._order.course is not Course.TILL:
            # The provider's answer is still unknown: the payer waits for something to pay with.
            await self._progress.until(id_, lambda row: row.payable, CHECKOUT_SECONDS)
            checkout = (await self._backend.read(str(id_))).get("checkout")
        return checkout

    def _body(self) -> JSON:
        order = self._order
        common = {
            "order_no": order.order_no,
            "provider": order.provider,
            "account": order.account,
            "channel": order.channel,
            "payer": order.payer,
            "expires_in": order.expires_in,
        }
        if order.product:
            return common | {"product": order.product, "quantity": order.quantity}
        return common | {"amount": order.amount, "subject": f"明前龙井 #{order.number}"}

    async def _act(self, id_: UUID, checkout: JSON | None) -> None:
        course = self._order.course
        if course in (Course.TILL, Course.UNPAID):
            return
        if course in (Course.CANCELLED, Course.LATE):
            await self._cancel(id_)
        if course is Course.CANCELLED:
            return
        if course in (Course.ABANDONED, Course.LOST):
            await self._terminate(id_)
        if course is Course.DECLINED:
            await self._at_checkout("decline", id_, checkout)
        other: JSON = {"amount": self._order.amount + 7} if course is Course.OTHER_AMOUNT else {}
        if course is Course.LOST:
            other["notify"] = False
        if course in OF_STORES:
            await self._at_checkout("pay", id_, checkout, notify=False)
            await Sale(self._order, id_, self._backend, self._sandbox, self._counts).go()
            return
        paid = await self._at_checkout("pay", id_, checkout, **other)
        self._counts.payer["paid" if paid else "could not pay"] += 1
        if not paid:
            await self._cancel(id_)

    async def _cancel(self, id_: UUID) -> None:
        """A merchant whose command was not heard (202) repeats it until the payment has ended."""
        for _ in range(CANCEL_TRIES):
            answer = await self._backend.cancel(str(id_))
            if answer.status_code != httpx.codes.ACCEPTED:
                return
            if await self._progress.until(id_, _has_ended, CANCEL_AGAIN_SECONDS):
                return

    async def _at_checkout(self, what: str, id_: UUID, checkout: JSON | None, **more: Any) -> bool:
        """With what the merchant's page shows; where it shows nothing, at the provider's own."""
        named = {"provider": self._order.provider} | more
        shown = _shown(checkout)
        if shown is not None:
            answer = await self._sandbox.post(what, named | {"checkout": shown})
            if answer.is_success:
                return True
        answer = await self._sandbox.post(what, named | {"reference": id_.hex})
        if answer.is_error:
            self._counts.payer[f"{what}: {answer.status_code} {answer.text[:60]}"] += 1
        return answer.is_success

    async def _forge(self, id_: UUID) -> None:
        for fault in self._order.forgeries:
            content = {
                "provider": self._order.provider,
                "reference": id_.hex,
                "fault": fault,
            }
            answer = await self._sandbox.post("notify", content)
            if answer.is_success:
                word = "believed" if answer.json()["accepted"] else "refused"
                self._counts.forgeries[f"{self._order.provider} {fault}: {word}"] += 1

    async def _send_strangers(self, id_: UUID) -> None:
        """Another merchant's genuine notification, replayed; there is none of what is not sold."""
        content = {
            "provider": self._order.provider,
            "reference": id_.hex,
            "fault": "foreign_app",
        }
        for _ in range(self._order.strangers):
            answer = await self._sandbox.post("notify", content)
            if answer.is_success:
                word = "believed" if answer.json()["accepted"] else "refused"
                self._counts.forgeries[f"{self._order.provider} stranger's: {word}"] += 1

    async def _refund(self, id_: UUID) -> None:
        for wave in sorted({asked.wave for asked in self._order.refunds}):
            together = [asked for asked in self._order.refunds if asked.wave == wave]
            await asyncio.gather(*(self._one_refund(id_, asked) for asked in together))

    async def _one_refund(self, id_: UUID, asked: PlannedRefund) -> None:
        calls = [
            self._backend.refund(str(id_), asked.amount, asked.key) for _ in range(asked.copies)
        ]
        await asyncio.gather(*calls)
        thens = [fault.params.get("then") for fault in asked.faults]
        if "ABNORMAL" in thens and self._order.number % 3:
            await self._rescue(self._identity.refund_id(id_, asked.key).hex)

    async def _rescue(self, reference: str) -> None:
        """The merchant gives the bank another account; one time in three nobody does."""
        await asyncio.sleep(RESCUE_SECONDS)
        content = {"provider": self._order.provider, "refund_reference": reference}
        answer = await self._sandbox.post("refunds/complete", content | {"status": "SUCCESS"})
        self._counts.payer["refund rescued" if answer.is_success else "nothing to rescue"] += 1


def _has_ended(row: Row) -> bool:
    return row.status != "pending" or row.attention is not None


def _shown(checkout: JSON | None) -> str | None:
    if checkout is None:
        return None
    parameters = checkout.get("parameters")
    if checkout.get("kind") == "form":
        return json.dumps({"url": checkout["value"], "fields": parameters})
    return checkout.get("value") or (json.dumps(parameters) if parameters else None)
