"""A purchase in a store: the buyer's device, the app, and the store itself."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

import httpx

from verification.chaos.clients import JSON, Backend, Sandbox
from verification.chaos.counts import Counts
from verification.chaos.plan import Course, PlannedOrder

# The store's own second try comes after an hour: what it says is said here until it is heard.
SAY_TRIES, SAY_AGAIN_SECONDS = 90, 1.0


@dataclass(frozen=True)
class Sale:
    """One purchase, made on the device, where every step may be repeated."""

    order: PlannedOrder
    id: UUID
    backend: Backend
    sandbox: Sandbox
    counts: Counts

    async def go(self) -> None:
        """The purchase was made: the store says so, or the app proves it.

        What is refunded goes back before the proof comes, or after it.
        """
        course = self.order.course
        if course is Course.SOLD:
            await self._control("payment")
            return
        found = await self._order()
        if found is None:
            self.counts.surprises.append(f"{self.id} could not be bought")
            return
        if course is Course.STORE_REFUND and self.order.synced:
            await self._refund(found)
            await self._prove(found)
            return
        await self._prove(found)
        if course is Course.STORE_REFUND:
            await self._refund(found)

    async def _order(self) -> JSON | None:
        path = f"orders?provider={self.order.provider}&reference={self.id.hex}"
        found: list[JSON] = await self.sandbox.get(path)
        return found[0] if found else None

    async def _prove(self, found: JSON) -> None:
        """As the app does, as often as the plan says."""
        about = {"transaction_id": found["provider_reference"]}
        shown = await self.sandbox.post(f"{self.order.provider}/jws", about)
        signed = shown.json()["signed_transaction"]
        calls = [self.backend.verify(str(self.id), signed) for _ in range(self.order.copies)]
        for answer in await asyncio.gather(*calls):
            if answer.is_error:
                self.counts.surprises.append(f"{self.id} could not be proved: {answer.text}")

    async def _refund(self, found: JSON) -> None:
        """The store gives the money back; asked again, it has done so already."""
        about = {"transaction_id": found["provider_reference"], "notify": False}
        await self.sandbox.post(f"{self.order.provider}/refund", about)
        await self._control("refund", refund_reference=found["provider_reference"])

    async def _control(self, kind: str, **more: str) -> None:
        about = {"provider": self.order.provider, "reference": self.id.hex, "kind": kind} | more
        heard = 0
        for _ in range(SAY_TRIES):
            answer = await self.sandbox.post("notify", about)
            heard += bool(answer.is_success and answer.json()["accepted"])
            if heard >= self.order.copies:
                return
            if answer.status_code == httpx.codes.CONFLICT:
                break
            await asyncio.sleep(0 if heard else SAY_AGAIN_SECONDS)
        self.counts.surprises.append(f"{self.id}: nobody hears the store's {kind}")
