import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from domain.checkout import Checkout, CheckoutKind
from domain.payment import Channel, Payer
from providers.unionpay.provider import UnionpayProvider
from tests.payer_codes import new_code
from tests.providers.harness import ANOTHER_SUM


class UnionpayHarness:
    """The sandbox's merchants: `old` has an old PFX under an SHA-1 chain, two have a secure key."""

    name = "unionpay"
    modes = ("main", "old", "sha256", "sm3")
    channels = UnionpayProvider.channels
    channel = Channel.QR
    order: Mapping[str, Any] = MappingProxyType({})
    disagreement = ANOTHER_SUM

    def notify_urls(self, public_url: str) -> dict[str, str]:  # noqa: ARG002
        """Every order says where."""
        return {}

    def payer(self, channel: Channel) -> Payer:
        return Payer(auth_code=new_code("unionpay") if channel is Channel.BARCODE else None)

    def checkout(self, checkout: Checkout) -> str | None:
        """What the payer's SDK, browser or camera gets."""
        if checkout.kind is CheckoutKind.FORM:
            return json.dumps({"url": checkout.value, "fields": checkout.parameters})
        return json.dumps(checkout.parameters) if checkout.parameters else checkout.value


HARNESS = UnionpayHarness()
