"""A merchant's backend and its customers, for the demo: only HTTP, nothing of our own code."""

import asyncio
import json
import time
from collections.abc import Awaitable, Callable
from typing import Any
from uuid import uuid4

import httpx

from cli.demo_lines import Course, Line, Step

# The provider's shortest order is one minute; the close and the webhook come after it.
SHORTEST_LIFE = 60
PATIENCE = {Course.EXPIRED: 120.0, Course.LOST: 90.0}
USUAL_PATIENCE = 45.0
# All lines together stay below what one merchant may read in a second.
LOOK_EVERY = 0.6


class DemoError(Exception):
    """A step of the demo did not go as it must; the message says which."""


class Shop:
    """Buys and pays: the API is the merchant's, the sandbox's control the payer's hand."""

    def __init__(self, api: httpx.AsyncClient, sandbox: httpx.AsyncClient, inbox: str) -> None:
        """`api` carries the merchant's key; `inbox` is the merchant's name at the sandbox."""
        self._api = api
        self._sandbox = sandbox
        self._inbox = inbox
        self._start = time.monotonic()

    async def take(self, line: Line) -> None:
        """Take one payment all the way; what goes wrong is left in `line.problem`."""
        try:
            async with asyncio.timeout(PATIENCE.get(line.course, USUAL_PATIENCE)):
                await self._go(line)
        except TimeoutError:
            line.problem = f"still {line.status or 'not created'} after the demo's patience"
        except (DemoError, httpx.HTTPError) as error:
            line.problem = str(error) or type(error).__name__

    async def _go(self, line: Line) -> None:
        payment = await self._create(line)
        if line.course is not Course.EXPIRED:
            await self._pay(line, payment)
        if line.course is Course.PROVED:
            await self._prove(line)
        await self._until(lambda: self._ended(line))
        if not line.silent:
            await self._until(lambda: self._notified(line))
        if line.course is Course.REFUNDED:
            await self._refund_in_two_parts(line)
        if line.course is Course.RESTORED:
            await self._restore(line)
        if line.course is Course.TAKEN_BACK:
            await self._take_back(line)
        await self._until(lambda: self._told(line))
        await self._check(line)

    async def _create(self, line: Line) -> dict[str, Any]:
        body: dict[str, Any] = {
            "order_no": f"demo-{uuid4().hex[:12]}",
            "provider": line.provider,
            "account": line.account,
            "channel": line.channel,
            "payer": line.payer,
        }
        # What a product is called and costs stands in the catalogue.
        body |= (
            {"product": line.product}
            if line.product
            else {"amount": line.amount, "subject": "Longjing tea"}
        )
        if line.course is Course.EXPIRED:
            body["expires_in"] = SHORTEST_LIFE
        answer = await self._call("POST", "/v1/payments", json=body)
        payment: dict[str, Any] = self._good(answer)
        line.payment_id = payment["id"]
        self._reach(line, Step.CREATED)
        checkout = payment["checkout"] or await self._late_checkout(line)
        line.checkout = str(checkout["kind"])
        self._reach(line, Step.CHECKOUT)
        return payment | {"checkout": checkout}

    async def _late_checkout(self, line: Line) -> dict[str, Any]:
        """The provider's first answer was slow (202): the checkout comes with the payment."""
        found: dict[str, Any] = {}

        async def there() -> bool:
            found.update(await self._payment(line))
            return found["checkout"] is not None

        await self._until(there)
        checkout: dict[str, Any] = found["checkout"]
        return checkout

    async def _pay(self, line: Line, payment: dict[str, Any]) -> None:
        if line.channel != "barcode":
            checkout = payment["checkout"]
            shown = _shown(checkout)
            answer = await self._sandbox.post(
                "/_sandbox/pay",
                json={
                    "provider": line.provider,
                    "checkout": shown,
                    "notify": line.course not in (Course.LOST, Course.PROVED),
                },
            )
            line.transaction_id = self._good(answer)["provider_reference"] or ""
        self._reach(line, Step.PAID)

    async def _refund_in_two_parts(self, line: Line) -> None:
        first = line.amount // 3
        for part in (first, line.amount - first):
            answer = await self._call(
                "POST",
                f"/v1/payments/{line.payment_id}/refunds",
                json={"amount": part, "reason": "one of two"},
                headers={"Idempotency-Key": uuid4().hex},
            )
            self._good(answer)

    async def _prove(self, line: Line) -> None:
        """The app brings what the store gave it; nobody else tells of the purchase."""
        held = await self._sandbox.post(
            f"/_sandbox/{line.provider}/jws", json={"transaction_id": line.transaction_id}
        )
        signed = {"signed_transaction": self._good(held)["signed_transaction"]}
        self._good(await self._call("POST", f"/v1/payments/{line.payment_id}/verify", json=signed))

    async def _restore(self, line: Line) -> None:
        """A new phone knows a number of the buyer's, and gets what was bought back."""
        wanted = {"provider": line.provider, "transaction_id": line.transaction_id}
        found = self._good(await self._call("POST", "/v1/restore", json=wanted))["data"]
        owned = [(item["payment_id"], item["product_id"], item["has_access"]) for item in found]
        if owned != [(line.payment_id, line.product, True)]:
            raise DemoError(f"restored {owned}")

    async def _take_back(self, line: Line) -> None:
        """The store gives the money back; nobody asked us."""
        answer = await self._sandbox.post(
            f"/_sandbox/{line.provider}/refund", json={"transaction_id": line.transaction_id}
        )
        self._good(answer)

    async def _ended(self, line: Line) -> bool:
        payment = await self._payment(line)
        line.status = payment["status"]
        if line.status == "pending":
            return False
        self._reach(line, Step.FINAL)
        return True

    async def _notified(self, line: Line) -> bool:
        found = self._good(await self._sandbox.get("/_sandbox/notifications"))
        reference = line.payment_id.replace("-", "")
        if any(a["reference"] == reference and a["accepted"] for a in found["attempts"]):
            self._reach(line, Step.NOTIFIED)
            return True
        return False

    async def _told(self, line: Line) -> bool:
        if await self._events(line) != line.expected_events:
            return False
        self._reach(line, Step.DELIVERED)
        return True

    async def _check(self, line: Line) -> None:
        """The three books agree: ours, the provider's, and what the merchant was told."""
        payment = await self._payment(line)
        line.refunded = payment["refunded"]
        orders = self._good(
            await self._sandbox.get(
                "/_sandbox/orders",
                params={"provider": line.provider, "reference": line.payment_id.replace("-", "")},
            )
        )
        given_back = sum(order["refunded"] for order in orders)
        if line.status != line.expected_status:
            raise DemoError(f"ended {line.status}, expected {line.expected_status}")
        if not line.refunded == given_back == line.expected_refunds:
            raise DemoError(f"refunded {line.refunded} here and {given_back} at the provider")

    async def _call(self, method: str, path: str, **content: Any) -> httpx.Response:
        """Call the API, again where a limit of this merchant's says to wait."""
        while True:
            answer = await self._api.request(method, path, **content)
            if answer.status_code != httpx.codes.TOO_MANY_REQUESTS:
                return answer
            await asyncio.sleep(float(answer.headers["Retry-After"]))

    async def _payment(self, line: Line) -> dict[str, Any]:
        found: dict[str, Any] = self._good(
            await self._call("GET", f"/v1/payments/{line.payment_id}")
        )
        return found

    async def _events(self, line: Line) -> list[str]:
        received = self._good(await self._sandbox.get(f"/_sandbox/merchant/{self._inbox}"))
        bodies = [json.loads(message["body"]) for message in received]
        return [
            body["type"]
            for body in bodies
            if line.payment_id in (body["data"].get("id"), body["data"].get("payment_id"))
        ]

    async def _until(self, condition: Callable[[], Awaitable[bool]]) -> None:
        while not await condition():  # noqa: ASYNC110 - the other side is another process
            await asyncio.sleep(LOOK_EVERY)

    def _reach(self, line: Line, step: Step) -> None:
        line.reached.setdefault(step, time.monotonic() - self._start)

    @staticmethod
    def _good(answer: httpx.Response) -> Any:
        if answer.is_error:
            raise DemoError(
                f"{answer.request.url.path} answered {answer.status_code}: {answer.text}"
            )
        return answer.json()


def _shown(checkout: dict[str, Any]) -> str:
    """The checkout as the payer's device gets it from the shop."""
    if checkout["kind"] == "form":
        return json.dumps({"url": checkout["value"], "fields": checkout["parameters"]})
    return checkout["value"] or json.dumps(checkout["parameters"])
