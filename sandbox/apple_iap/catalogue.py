# What the developer has entered in App Store Connect. Prices are fen.
from dataclasses import asdict, dataclass
from typing import Any

CONSUMABLE = "Consumable"
NON_CONSUMABLE = "Non-Consumable"
SUBSCRIPTION = "Auto-Renewable Subscription"
NON_RENEWING = "Non-Renewing Subscription"
# Query parameters and the manifest have words of their own for the four types.
QUERY_TYPES = {
    "CONSUMABLE": CONSUMABLE,
    "NON_CONSUMABLE": NON_CONSUMABLE,
    "AUTO_RENEWABLE": SUBSCRIPTION,
    "NON_RENEWABLE": NON_RENEWING,
}
MANIFEST_TYPES = {
    CONSUMABLE: "consumable",
    NON_CONSUMABLE: "non_consumable",
    SUBSCRIPTION: "subscription",
    NON_RENEWING: "non_renewing",
}


@dataclass(frozen=True, kw_only=True)
class Product:
    """One product. `amount` is fen; `days` is a subscription's period, `level` its rank."""

    id: str
    type: str
    title: str
    grants: str
    amount: int
    currency: str = "CNY"
    group: str | None = None
    days: int | None = None
    level: int = 1
    family: bool = False

    def manifest(self) -> dict[str, Any]:
        """What a merchant's own list of products says too."""
        known = asdict(self)
        shown = {key: known[key] for key in ("id", "title", "grants", "amount", "currency")}
        return shown | {"type": MANIFEST_TYPES[self.type]}


CLUB = "21560001"
_ALL = (
    Product(
        id="com.paysaga.tea.coins",
        type=CONSUMABLE,
        title="60 tea coins",
        grants="60 coins",
        amount=600,
    ),
    Product(
        id="com.paysaga.tea.recipes",
        type=NON_CONSUMABLE,
        title="The recipe book",
        grants="every recipe, for ever",
        amount=3000,
        family=True,
    ),
    Product(
        id="com.paysaga.tea.monthly",
        type=SUBSCRIPTION,
        title="Tea club, monthly",
        grants="the club for a month",
        amount=1800,
        group=CLUB,
        days=30,
        level=2,
        family=True,
    ),
    Product(
        id="com.paysaga.tea.yearly",
        type=SUBSCRIPTION,
        title="Tea club, yearly",
        grants="the club for a year",
        amount=16800,
        group=CLUB,
        days=365,
        level=1,
        family=True,
    ),
    Product(
        id="com.paysaga.tea.season",
        type=NON_RENEWING,
        title="A season of first flush",
        grants="three months of first flush",
        amount=4500,
    ),
)
PRODUCTS = {product.id: product for product in _ALL}
