from sandbox.apple_iap.catalogue import PRODUCTS
from sandbox.scenarios import DemoPayment


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
