from collections.abc import Mapping
from types import MappingProxyType
from typing import Any

from domain.checkout import Checkout
from domain.payment import Channel, Payer
from providers.alipay.provider import AlipayProvider
from tests.payer_codes import new_code
from tests.providers.harness import ANOTHER_SUM


class AlipayHarness:
    name = "alipay"
    modes = ("main", "cert", "aes")
    channels = AlipayProvider.channels
    channel = Channel.QR
    order: Mapping[str, Any] = MappingProxyType({})
    disagreement = ANOTHER_SUM

    def notify_urls(self, public_url: str) -> dict[str, str]:  # noqa: ARG002
        """Every order says where."""
        return {}

    def payer(self, channel: Channel) -> Payer:
        if channel is Channel.BARCODE:
            return Payer(auth_code=new_code("alipay"))
        return Payer(
            open_id="061P6NAblcWDWJoDRxSVvOYz-ufp-3wQaA4E" if channel is Channel.JSAPI else None
        )

    def checkout(self, checkout: Checkout) -> str | None:
        return checkout.value


HARNESS = AlipayHarness()
