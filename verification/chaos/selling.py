"""A purchase in a store: the buyer's device, the app, and the store itself."""

import asyncio
from dataclasses import dataclass
from uuid import UUID

import httpx

from verification.chaos.clients import JSON, Backend, Sandbox
from verification.chaos.plan import Course, Trip
from verification.chaos.tally import Tally

# The store's own second try comes after an hour: what it says is said here until it is heard.
SAY_TRIES, SAY_AGAIN_SECONDS = 90, 1.0


@dataclass(frozen=True)
class Sale:
    """One purchase, made on the device, where every step may be repeated."""

    trip: Trip
    id: UUID
    backend: Backend
    sandbox: Sandbox
    tally: Tally

    async def go(self) -> None:
        """The purchase was made: the store says so, or the app proves it.

        What is refunded goes back before the proof comes, or after it.
        """
        course = self.trip.course
        if course is Course.SOLD:
            await self._say("payment")
            return
        found = await self._order()
        if found is None:
            self.tally.surprises.append(f"{self.id} could not be bought")
            return
        if course is Course.STORE_REFUND and self.trip.synced:
            await self._refund(found)
            await self._prove(found)
            return
        await self._prove(found)
        if course is Course.STORE_REFUND:
            await self._refund(found)

    async def _order(self) -> JSON | None:
        path = f"orders?provider={self.trip.provider}&reference={self.id.hex}"
        found: list[JSON] = await self.sandbox.get(path)
        return found[0] if found else None

    async def _prove(self, found: JSON) -> None:
        """As the app does, as often as the plan says."""
        about = {"transaction_id": found["provider_reference"]}
        shown = await self.sandbox.post(f"{self.trip.provider}/jws", about)
        signed = shown.json()["signed_transaction"]
        calls = [self.backend.verify(str(self.id), signed) for _ in range(self.trip.copies)]
        for answer in await asyncio.gather(*calls):
            if answer.is_error:
                self.tally.surprises.append(f"{self.id} could not be proved: {answer.text}")

    async def _refund(self, found: JSON) -> None:
        """The store gives the money back; asked again, it has done so already."""
        about = {"transaction_id": found["provider_reference"], "notify": False}
        await self.sandbox.post(f"{self.trip.provider}/refund", about)
        await self._say("refund", refund_reference=found["provider_reference"])

    async def _say(self, kind: str, **more: str) -> None:
        about = {"provider": self.trip.provider, "reference": self.id.hex, "kind": kind} | more
        heard = 0
        for _ in range(SAY_TRIES):
            answer = await self.sandbox.post("notify", about)
            heard += bool(answer.is_success and answer.json()["accepted"])
            if heard >= self.trip.copies:
                return
            if answer.status_code == httpx.codes.CONFLICT:
                break
            await asyncio.sleep(0 if heard else SAY_AGAIN_SECONDS)
        self.tally.surprises.append(f"{self.id}: nobody hears the store's {kind}")
