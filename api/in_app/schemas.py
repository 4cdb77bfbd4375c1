"""What merchants send and get about what a store sells. Times RFC 3339 in UTC."""

from datetime import datetime
from typing import Annotated, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field

from api.http.problems import Answer
from api.http.text import Text
from domain.entitlement import Entitlement, EntitlementStatus
from domain.product import ProductType
from domain.purchase import Ownership

# A transaction with its three certificates has some 5 KB; the body of a request ends at 64 KB.
SignedTransaction = Annotated[str, Field(min_length=1, max_length=16_384, pattern=r"^[!-~]+$")]
TransactionId = Annotated[Text, Field(min_length=1, max_length=64)]


class ProductFields(BaseModel):
    """A product of the catalogue. Show the store's own price: it knows the buyer's currency."""

    model_config = ConfigDict(from_attributes=True)

    id: str = Field(description="The store's product id.")
    type: ProductType
    title: str
    grants: str = Field(description="What a buyer gets.")
    amount: int = Field(description="List price of one, in minor units.")
    currency: str


class ProductList(Answer):
    """The whole catalogue."""

    data: list[ProductFields]


class EntitlementFields(BaseModel):
    """What a purchase entitles its buyer to now, by the store's last report."""

    original_transaction_id: str = Field(description="Names the purchase and all its renewals.")
    transaction_id: str = Field(description="The newest period.")
    payment_id: UUID
    product_id: str
    product_type: ProductType
    status: EntitlementStatus
    has_access: bool
    purchased_at: datetime
    expires_at: datetime | None
    grace_until: datetime | None
    auto_renews: bool | None = Field(description="Null where the store has not said.")
    test: bool = Field(description="Bought in the store's sandbox: no money moved.")

    @classmethod
    def of(cls, entitlement: Entitlement, moment: datetime) -> Self:
        """The entitlement as it stands at `moment`."""
        found = entitlement.at(moment).model_dump(include=set(cls.model_fields))
        return cls(**found, has_access=entitlement.has_access_at(moment))


class UnclaimedFields(BaseModel):
    """A purchase that your customer has proved and that belongs to no payment."""

    model_config = ConfigDict(from_attributes=True)

    transaction_id: str
    original_transaction_id: str
    product_id: str
    product_type: ProductType
    ownership: Ownership
    purchased_at: datetime
    expires_at: datetime | None
    revoked_at: datetime | None


class RestoreAnswer(Answer):
    """What the buyer is entitled to. Consumables are never in it: they are granted once."""

    data: list[EntitlementFields]
    unclaimed: list[UnclaimedFields] = Field(
        description="Make a payment for the product and verify the purchase against it."
    )
