from sandbox.apple_iap.catalogue import PRODUCTS
from sandbox.scenarios import FALSE, ChaosCases, DemoPayment


def _sold(name: str, course: str = "paid") -> DemoPayment:
    product = PRODUCTS[f"com.paysaga.tea.{name}"]
    return DemoPayment(
        account="main", channel="iap", amount=product.amount, product=product.id, course=course
    )


# Each of another type.
DEMO = (
    _sold("coins"),
    _sold("season", "proved"),
    _sold("recipes", "restored"),
    _sold("monthly", "taken_back"),
)

_TEA = "com.paysaga.tea"
CHAOS = ChaosCases(
    accounts=("main",),
    channels=("iap",),
    sells={
        PRODUCTS[f"{_TEA}.{name}"].id: PRODUCTS[f"{_TEA}.{name}"].amount
        for name in ("coins", "recipes", "monthly", "season")
    },
    countable=f"{_TEA}.coins",
    # A store's amount is its own affair, and what it said yesterday is as true as today's.
    forgeries=(
        *FALSE,
        "foreign_app",
        "foreign_ca",
        "expired_certificate",
        "unsigned",
        "bad_signature",
        "alg_hs256",
        "two_certificates",
        "nested_foreign_ca",
        "leaf_without_oid",
        "intermediate_without_oid",
    ),
)
