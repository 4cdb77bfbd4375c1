"""The HTTP clients of a chaos test: the merchant's backend, and the sandbox's control API."""

import asyncio
import time
from dataclasses import asdict
from typing import Any

import httpx

from verification.chaos.counts import Counts
from verification.chaos.plan import Fault

JSON = dict[str, Any]
PATIENCE_SECONDS = 150.0
FIRST_WAIT_SECONDS, LONGEST_WAIT_SECONDS = 0.3, 3.0
_AGAIN = frozenset({429, 502, 503, 504})


class ChaosError(Exception):
    """Something answered as it never should; the message says what."""


class Backend:
    """One merchant's backend: it repeats what it got no answer to, with the same key."""

    def __init__(self, http: httpx.AsyncClient, key: str, counts: Counts) -> None:
        self._http = http
        self._headers = {"Authorization": f"Bearer {key}"}
        self._counts = counts

    async def create(self, body: JSON, key: str) -> httpx.Response:
        """POST a payment."""
        return await self._post("create", "/v1/payments", body, key)

    async def refund(self, payment_id: str, amount: int, key: str) -> httpx.Response:
        """POST a refund; `amount` in fen."""
        path = f"/v1/payments/{payment_id}/refunds"
        return await self._post("refund", path, {"amount": amount}, key)

    async def cancel(self, payment_id: str) -> httpx.Response:
        """Close the order."""
        return await self._post("cancel", f"/v1/payments/{payment_id}/cancel")

    async def sync(self, payment_id: str) -> httpx.Response:
        """Have the provider asked."""
        return await self._post("sync", f"/v1/payments/{payment_id}/sync")

    async def verify(self, payment_id: str, signed: str) -> httpx.Response:
        """Prove a purchase."""
        path = f"/v1/payments/{payment_id}/verify"
        return await self._post("verify", path, {"signed_transaction": signed})

    async def read(self, payment_id: str) -> JSON:
        """The payment as our books have it."""
        request = self._http.build_request(
            "GET", f"/v1/payments/{payment_id}", headers=self._headers
        )
        answer = await insist(self._http, request, "read", self._counts)
        found: JSON = answer.json()
        return found

    async def _post(
        self, what: str, path: str, body: JSON | None = None, key: str | None = None
    ) -> httpx.Response:
        headers = self._headers | ({"Idempotency-Key": key} if key else {})
        request = self._http.build_request("POST", path, json=body, headers=headers)
        answer = await insist(self._http, request, what, self._counts)
        if answer.status_code >= httpx.codes.INTERNAL_SERVER_ERROR:
            self._counts.surprises.append(f"{what} answered {answer.status_code}: {answer.text}")
        return answer


class Sandbox:
    """The sandbox's control API: payers, faults, merchants' endpoints."""

    def __init__(self, http: httpx.AsyncClient, counts: Counts) -> None:
        self._http = http
        self._counts = counts

    async def pay(self, content: JSON) -> bool:
        """The payer pays; False where the provider will not have it (too late, closed)."""
        answer = await self.post("pay", content)
        return answer.is_success

    async def plant(self, provider: str, reference: str | None, fault: Fault) -> None:
        """Script a fault."""
        await self.post("faults", asdict(fault) | {"provider": provider, "reference": reference})

    async def post(self, path: str, content: JSON) -> httpx.Response:
        """A control call, repeated until there is an answer."""
        request = self._http.build_request("POST", f"/_sandbox/{path}", json=content)
        return await insist(self._http, request, None, self._counts)

    async def get(self, path: str) -> Any:
        """What the control API shows."""
        request = self._http.build_request("GET", f"/_sandbox/{path}")
        return (await insist(self._http, request, None, self._counts)).json()


async def insist(
    http: httpx.AsyncClient, request: httpx.Request, what: str | None, counts: Counts
) -> httpx.Response:
    """The answer, the same request repeated while the other side is down. ChaosError."""
    deadline, wait = time.monotonic() + PATIENCE_SECONDS, FIRST_WAIT_SECONDS
    while True:
        try:
            answer = await http.send(request)
        except httpx.TransportError as error:
            _count(counts, what, type(error).__name__)
        else:
            _count(counts, what, str(answer.status_code))
            if answer.status_code not in _AGAIN:
                return answer
        if time.monotonic() > deadline:
            raise ChaosError(f"{request.url.path} got no answer for {PATIENCE_SECONDS:.0f} s")
        await asyncio.sleep(wait)
        wait = min(wait * 1.7, LONGEST_WAIT_SECONDS)


def _count(counts: Counts, what: str | None, answer: str) -> None:
    if what is not None:
        counts.answers[f"{what} {answer}"] += 1
