"""Purchase: a store's signed statement of one transaction of a buyer."""

from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

from pydantic import model_validator

from domain.frozen import Frozen
from domain.money import minor_units
from domain.product import ProductType
from domain.text import Words

# `revoked_share` of a purchase that was given back in full.
WHOLE_SHARE = 100_000


class Ownership(StrEnum):
    """Whether the account bought the product or shares a family member's."""

    PURCHASED = "purchased"
    FAMILY_SHARED = "family_shared"


class Offer(StrEnum):
    """Why the store sold below its usual price."""

    INTRODUCTORY = "introductory"
    PROMOTIONAL = "promotional"
    CODE = "code"
    WIN_BACK = "win_back"
    # One that the store documented later.
    OTHER = "other"


class Purchase(Frozen):
    """A store's signed statement of one transaction, as it was at `signed_at`.

    `app` is the store's own name of where it was sold: the app and the environment. With
    `transaction_id` it identifies the transaction, whatever the operator calls the account.
    `token` is our payment's id where the app handed it over. `revoked_share` counts thousandths of
    a percent (100000: all). `price` is what the store charged, in thousandths of `currency`, and is
    informational. `renewal` is true where the store itself charged a further period, `upgraded`
    where another subscription took this one's place, `test` where no real money moved. Of these,
    `test_in_production` is one that was made at an account that sells for real: it counts as no
    money. At an account of the store's sandbox the sandbox's money counts, as at other providers.
    """

    provider: str
    account: str
    app: Words
    transaction_id: Words
    original_transaction_id: Words
    product_id: Words
    product_type: ProductType
    token: UUID | None = None
    quantity: int = 1
    ownership: Ownership = Ownership.PURCHASED
    purchased_at: datetime
    signed_at: datetime
    expires_at: datetime | None = None
    revoked_at: datetime | None = None
    revoked_share: int | None = None
    upgraded: bool = False
    renewal: bool = False
    test: bool = False
    test_in_production: bool = False
    offer: Offer | None = None
    price: int | None = None
    currency: Words | None = None
    storefront: Words | None = None

    @model_validator(mode="before")
    @classmethod
    def _name_the_app(cls, data: Any) -> Any:
        # Purchases in the histories of older workflows name the account alone.
        if isinstance(data, dict) and "app" not in data:
            return data | {"app": data.get("account")}
        return data

    def charged(self, list_price: int, currency: str, quantity: int) -> int:
        """What the buyer was charged, in minor units of `currency`.

        The list price stands in for a full price that we cannot say exactly: in another currency,
        not told, or of several units, where Apple does not document whether `price` is of one or
        of all. It never stands in for the price of an offer, which is lower.
        """
        if self.test_in_production or self.price == 0:
            return 0
        comparable = self.price is not None and self.currency == currency
        if comparable and (quantity == 1 or self.offer is not None):
            return minor_units(self.price or 0, currency)
        return 0 if self.offer is not None else list_price
