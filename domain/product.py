"""Product: what our catalogue sells through a store that keeps the till itself."""

from enum import StrEnum

from pydantic import Field

from domain.frozen import Frozen
from domain.money import Amount, Currency


class ProductType(StrEnum):
    """How long a purchase of the product lasts."""

    CONSUMABLE = "consumable"
    NON_CONSUMABLE = "non_consumable"
    SUBSCRIPTION = "subscription"
    NON_RENEWING = "non_renewing"


class Product(Frozen):
    """One product of the catalogue; `id` is the store's product id.

    `grants` is the merchant's description of what a buyer gets; `amount` is the list price of one,
    in minor units: the store sells at its own price, in the buyer's currency.
    """

    id: str = Field(min_length=1, max_length=255)
    type: ProductType
    title: str = Field(min_length=1, max_length=127)
    grants: str = ""
    amount: Amount
    currency: Currency = "CNY"
