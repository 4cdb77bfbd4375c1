import json
from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from domain.checkout import Checkout
from domain.payment import Channel, Payer
from providers.wechatpay.provider import WechatpayProvider
from tests.payer_codes import new_code
from tests.providers.harness import ANOTHER_SUM


class WechatpayHarness:
    """The sandbox's merchants: `cert` downloads certificates, `pubkey` has a public key."""

    name = "wechatpay"
    modes = ("cert", "pubkey")
    channels = WechatpayProvider.channels
    channel = Channel.QR
    order: Mapping[str, Any] = MappingProxyType({})
    disagreement = ANOTHER_SUM

    def notify_urls(self, public_url: str) -> dict[str, str]:  # noqa: ARG002
        """Every order says where."""
        return {}

    def payer(self, channel: Channel) -> Payer:
        if channel is Channel.BARCODE:
            return Payer(auth_code=new_code("wechatpay"))
        if channel is Channel.JSAPI:
            return Payer(open_id="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")
        return Payer(client_ip="203.0.113.7" if channel is Channel.WAP else None)

    def checkout(self, checkout: Checkout) -> str | None:
        """The link, or the SDK's parameters as JSON: the sandbox checks their signature."""
        return json.dumps(checkout.parameters) if checkout.parameters else checkout.value


HARNESS = WechatpayHarness()
