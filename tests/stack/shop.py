"""A merchant and its payers, over HTTP only; `Order` is one payment of theirs."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any
from uuid import UUID, uuid4

import httpx

from cli.embedded.stack import Stack
from domain.identity import IdentityKey, automatic_refund_id, payment_workflow_id
from domain.merchant import Merchant
from domain.payment import Payment
from domain.resolution import Resolution, ResolveAction
from storage.database import Database
from storage.keys import ApiKeyStore
from storage.merchants import MerchantStore
from tests.payer_codes import PREFIXES, new_code
from tests.stack.waiting import PATIENCE_SECONDS, eventually
from webhooks.signing import new_secret
from webhooks.stored_secrets import StoredSecrets

JSON = dict[str, Any]
# WeChat Pay's other merchant is for the tests that rotate keys.
ACCOUNTS = {"alipay": "main", "wechatpay": "pubkey", "unionpay": "main"}
PROVIDERS = list(ACCOUNTS)
# UnionPay has no close: only its time ends an order there.
CLOSABLE = ["alipay", "wechatpay"]
# The sandbox's time runs faster than ours: an order must live long enough there.
LONG, AT_THE_TILL = 7200, 600


@dataclass(frozen=True)
class Place:
    """Where a stack is that another process runs."""

    api_url: str
    sandbox_url: str
    database_url: str
    identity: IdentityKey
    stored_secrets: StoredSecrets


class Shop:
    """One merchant: its API key, its inbox at the sandbox, and the sandbox's controls."""

    def __init__(self, place: Stack | Place, merchant: str, key: str) -> None:
        self.merchant = merchant
        self.identity = place.identity
        headers = {"Authorization": f"Bearer {key}"}
        self.api = httpx.AsyncClient(headers=headers, timeout=60, trust_env=False)
        self.sandbox = httpx.AsyncClient(timeout=60, trust_env=False)
        self.move(place)

    def move(self, place: Stack | Place) -> None:
        """Go on where the stack is now."""
        self.api.base_url = httpx.URL(place.api_url)
        self.sandbox.base_url = httpx.URL(place.sandbox_url)
        self.database_url = place.database_url

    def order(self, provider: str, channel: str = "qr", **more: Any) -> "Order":
        """A payment to be made."""
        return Order(self, provider, channel, **more)

    async def control(self, path: str, **content: Any) -> Any:
        """A call of the sandbox's control API that must succeed."""
        answer = await self.sandbox.post(f"/_sandbox/{path}", json=content)
        assert answer.is_success, answer.text
        return answer.json()

    async def look(self, path: str, **query: str) -> Any:
        """What the sandbox's control API shows."""
        answer = await self.sandbox.get(f"/_sandbox/{path}", params=query)
        assert answer.is_success, answer.text
        return answer.json()

    async def answer_webhooks(self, status: int, body: JSON | None = None, times: int = -1) -> None:
        """How the merchant answers the next webhooks."""
        script = {"status": status, "body": body or {}, "times": times}
        await self.control(f"merchant/{self.merchant}", **script)

    async def inbox(self) -> list[JSON]:
        """What the merchant was told, oldest first; `id` is the event's, `status` its answer."""
        return [
            {"id": row["headers"]["webhook-id"], "status": row["status"], **json.loads(row["body"])}
            for row in await self.look(f"merchant/{self.merchant}")
        ]


@dataclass
class Order:
    """One payment; amounts in fen. Its id is known before it is made, so that faults can wait."""

    shop: Shop
    provider: str
    channel: str = "qr"
    amount: int = 1000
    account: str | None = None
    subject: str = "龙井茶"
    code: str = "9999"
    order_no: str = field(default_factory=lambda: f"o-{uuid4().hex[:12]}")
    auth_code: str = ""

    def __post_init__(self) -> None:
        if self.provider in PREFIXES and not self.auth_code:
            self.auth_code = new_code(self.provider, self.code)

    @property
    def id(self) -> UUID:
        """Our id."""
        return self.shop.identity.payment_id(self.shop.merchant, self.order_no)

    @property
    def reference(self) -> str:
        """The provider's name for it."""
        return self.id.hex

    @property
    def body(self) -> JSON:
        """The request."""
        payer = {"client_ip": "203.0.113.7"}
        if self.channel == "barcode":
            payer["auth_code"] = self.auth_code
        return {
            "order_no": self.order_no,
            "provider": self.provider,
            "account": self.account or ACCOUNTS[self.provider],
            "channel": self.channel,
            "amount": self.amount,
            "subject": self.subject,
            "payer": payer,
            "expires_in": AT_THE_TILL if self.channel == "barcode" else LONG,
        }

    async def create(self) -> JSON:
        """Make the payment, asking again while the stack is down or the provider silent."""
        return await self._insist("/v1/payments", self.body)

    async def refund(self, amount: int, key: str = "r1") -> JSON:
        """Give money back, asking again likewise."""
        path = f"/v1/payments/{self.id}/refunds"
        return await self._insist(path, {"amount": amount}, {"Idempotency-Key": key})

    def refund_reference(self, key: str = "r1") -> str:
        """The provider's name for that refund."""
        return self.refund_id(key).hex

    def refund_id(self, key: str) -> UUID:
        """Our id of that refund, also of one that was started automatically."""
        if key.startswith("automatic:"):
            return automatic_refund_id(self.id, key)
        return self.shop.identity.refund_id(self.id, key)

    async def read(self) -> JSON:
        """The payment as our books have it."""
        return _good(await self.shop.api.get(f"/v1/payments/{self.id}"))

    async def refunds(self) -> list[JSON]:
        """Its refunds as our books have them."""
        found = _good(await self.shop.api.get(f"/v1/payments/{self.id}/refunds"))
        return list(found["data"])

    async def sync(self) -> JSON:
        """Have the provider asked now."""
        return await self._insist(f"/v1/payments/{self.id}/sync", None)

    async def cancel(self) -> JSON:
        """Close the order."""
        return _good(await self.shop.api.post(f"/v1/payments/{self.id}/cancel"))

    async def resolve(self, stack: Stack, action: ResolveAction) -> None:
        """An operator decides."""
        client = await stack.temporal_client()
        decision = Resolution(action=action, note="the tests, to see what happens")
        handle = client.get_workflow_handle(payment_workflow_id(self.id))
        await handle.execute_update("resolve", decision, result_type=Payment)

    async def pay(self, **options: Any) -> None:
        """The payer pays."""
        await eventually(lambda: self._control("pay", **options))

    async def notify(self, **options: Any) -> JSON:
        """The provider sends one notification now; the answer says whether it was accepted."""
        answer: JSON = await self._control("notify", **options)
        return answer

    async def fault(
        self, operation: str, kind: str, params: JSON | None = None, *, times: int = 1
    ) -> None:
        """Script a fault for this payment, or with operation `refund…` for its refund r1."""
        about_refund = operation.startswith("refund")
        await self.shop.control(
            "faults",
            provider=self.provider,
            operation=operation,
            kind=kind,
            reference=self.refund_reference() if about_refund else self.reference,
            times=times,
            params=params or {},
        )

    async def shows(self, **expected: Any) -> JSON:
        """The payment once it is as expected."""

        async def check() -> JSON:
            payment = await self.read()
            assert {name: payment[name] for name in expected} == expected, payment
            return payment

        return await eventually(check)

    async def refund_shows(self, **expected: Any) -> JSON:
        """Its only refund once it is as expected."""

        async def check() -> JSON:
            [refund] = await self.refunds()
            assert {name: refund[name] for name in expected} == expected, refund
            return refund

        return await eventually(check)

    async def told(self, *types: str, within: float = PATIENCE_SECONDS) -> None:
        """Return once the merchant has accepted exactly these events of the payment, in order."""

        async def check() -> None:
            assert await self.heard() == list(types)

        await eventually(check, within)

    async def heard(self) -> list[str]:
        """The types of the events that the merchant accepted, in the order of arrival."""
        mine = [
            message
            for message in await self.shop.inbox()
            if str(self.id) in (message["data"]["id"], message["data"].get("payment_id"))
        ]
        return list({m["id"]: m["type"] for m in mine if m["status"] == httpx.codes.OK}.values())

    async def moves(self) -> list[tuple[str, int]]:
        """The money that moved at the provider."""
        ledger = await self.shop.look("ledger")
        return [(m["kind"], m["amount"]) for m in ledger if m["reference"] == self.reference]

    async def _control(self, path: str, **options: Any) -> Any:
        return await self.shop.control(
            path, provider=self.provider, reference=self.reference, **options
        )

    async def _insist(self, path: str, body: JSON | None, headers: Any = None) -> JSON:
        async def ask() -> JSON:
            answer = await self.shop.api.post(path, json=body, headers=headers)
            found: JSON = answer.json()
            is_made = answer.status_code in (httpx.codes.OK, httpx.codes.CREATED)
            assert is_made or has_lost_its_checkout(found), answer.text
            return found

        return await eventually(ask)


def has_lost_its_checkout(answer: JSON) -> bool:
    """Whether a payment is made that its payer cannot be shown any more (202).

    UnionPay hands its code out once, in an answer that may be lost.
    """
    return bool(
        answer.get("status") == "pending" and (answer.get("checkout") or {}).get("kind") == "none"
    )


def _good(answer: httpx.Response) -> JSON:
    assert answer.is_success, answer.text
    found: JSON = answer.json()
    return found


@asynccontextmanager
async def open_shop(place: Stack | Place) -> AsyncIterator[Shop]:
    """A new merchant, told at an inbox of its own."""
    name = f"shop-{uuid4().hex[:8]}"
    shop = Shop(place, name, await _register(place, name))
    async with shop.api, shop.sandbox:
        yield shop


async def _register(place: Stack | Place, name: str) -> str:
    database = Database(place.database_url)
    try:
        await MerchantStore(database).create(
            Merchant(
                id=name,
                name=name,
                webhook_url=f"{place.sandbox_url}/merchant/{name}/webhooks",
                webhook_secret=place.stored_secrets.encrypt(name, new_secret()),
            )
        )
        return await ApiKeyStore(database).create(name, "tests")
    finally:
        await database.close()
