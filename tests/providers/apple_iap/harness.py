import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from domain.checkout import Checkout
from domain.payment import Channel, Payer
from domain.report import Attention
from providers.apple_iap.provider import AppleIapProvider
from tests.providers.harness import Disagreement

_PRODUCT = "com.paysaga.tea.coins"


class AppleIapHarness:
    """The sandbox's one app, whose coins can be bought again and again."""

    name = "apple_iap"
    modes = ("main",)
    channels = AppleIapProvider.channels
    channel = Channel.IAP
    order: Mapping[str, Any] = MappingProxyType({"product_id": _PRODUCT, "amount": 600})
    disagreement = Disagreement(
        fault="wrong_product",
        params={"product_id": "com.paysaga.tea.season"},
        sheet={"productId": "com.paysaga.tea.season"},
        attention=Attention.PRODUCT_MISMATCH,
    )

    def notify_urls(self, public_url: str) -> dict[str, str]:
        """Apple has the address from App Store Connect, one for an app."""
        paths = {mode: f"/notify/{self.name}/{mode}" for mode in self.modes}
        return {
            f"/_sandbox/{self.name}/apps/{mode}": f"{public_url}{path}"
            for mode, path in paths.items()
        }

    def payer(self, channel: Channel) -> Payer:  # noqa: ARG002 - Apple knows its buyers
        return Payer()

    def checkout(self, checkout: Checkout) -> str | None:
        """What the app hands to StoreKit, which takes the quantity as a number."""
        parameters = checkout.parameters or {}
        return json.dumps({**parameters, "quantity": int(parameters["quantity"])})


HARNESS = AppleIapHarness()
