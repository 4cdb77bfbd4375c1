"""What a scenario orders: by a key of its own, or from a store."""

from dataclasses import dataclass
from http import HTTPStatus
from uuid import UUID

from domain.identity import store_workflow_id
from tests.stack.shop import JSON, Order, has_lost_its_checkout
from tests.stack.waiting import eventually
from verification.crash.conductor import Conductor

PRODUCT, PRICE = "com.paysaga.tea.coins", 600
# Made, made before, or refused by the provider for good.
_ANSWERED = (HTTPStatus.CREATED, HTTPStatus.OK, HTTPStatus.UNPROCESSABLE_ENTITY)


@dataclass
class KeyedOrder(Order):
    """An order with a key of its own, so that one order number may have two payments."""

    key: str | None = None
    expires_in: int | None = None

    @property
    def id(self) -> UUID:
        """Our id."""
        return self.shop.identity.payment_id(self.shop.merchant, self.key or self.order_no)

    @property
    def body(self) -> JSON:
        """The request."""
        body = super().body
        return body | {"expires_in": self.expires_in} if self.expires_in else body

    async def create(self) -> JSON:
        """Make the payment."""
        headers = {"Idempotency-Key": self.key} if self.key else {}

        async def ask() -> JSON:
            answer = await self.shop.api.post("/v1/payments", json=self.body, headers=headers)
            found: JSON = answer.json()
            if answer.status_code not in _ANSWERED and not has_lost_its_checkout(found):
                raise AssertionError(answer.text)
            return found

        return await eventually(ask)


@dataclass
class SoldOrder(KeyedOrder):
    """One piece of a product that a store sells; it is bought once, and nobody tells us of it."""

    channel: str = "iap"
    account: str | None = "main"
    transaction_id: str = ""
    signed: str = ""

    @property
    def body(self) -> JSON:
        """The request: the price is the catalogue's, and a parent has a day to agree."""
        unsaid = {"amount", "subject", "expires_in"}
        body = {name: value for name, value in super().body.items() if name not in unsaid}
        return body | {"product": PRODUCT}

    @property
    def store_run(self) -> str:
        """The id of the workflow that hears of the purchase."""
        return store_workflow_id(self.provider, str(self.account), self.transaction_id)

    async def buy(self, conductor: Conductor) -> None:
        """The buyer confirms on the device, and the store's notification is lost."""
        wanted = {"product_id": PRODUCT, "app_account_token": str(self.id), "notify": False}
        bought = await self.shop.control("apple_iap/buy", **wanted)
        self.transaction_id, self.signed = bought["transaction_id"], bought["signed_transaction"]
        conductor.also(self.reference, self.transaction_id, "store")

    async def verify(self, *answers: HTTPStatus) -> None:
        """The app brings the proof until it is taken."""
        taken = answers or (HTTPStatus.OK, HTTPStatus.ACCEPTED)

        async def ask() -> None:
            answer = await self.shop.api.post(
                f"/v1/payments/{self.id}/verify", json={"signed_transaction": self.signed}
            )
            if answer.status_code not in taken:
                raise AssertionError(answer.text)

        await eventually(ask)

    async def refund_by_store(self) -> None:
        """The store gives all of it back, and says so until it is heard."""
        wanted = {"transaction_id": self.transaction_id, "notify": False}
        await self.shop.control("apple_iap/refund", **wanted)

        async def say() -> None:
            about = {"kind": "refund", "refund_reference": self.transaction_id}
            said = await self.notify(**about)
            if not said["accepted"]:
                raise AssertionError(str(said))

        await eventually(say)
