from collections.abc import Mapping
from pathlib import Path
from types import MappingProxyType
from typing import Any

from domain.checkout import Checkout
from domain.payment import Channel, Payer
from providers.alipay.provider import AlipayProvider
from tests.payer_codes import new_code
from tests.providers.harness import ANOTHER_SUM

_TEXTS = ("app_private_key", "alipay_public_key", "app_cert", "alipay_cert", "alipay_root_cert")


class AlipayHarness:
    name = "alipay"
    modes = ("main", "cert", "aes")
    channels = AlipayProvider.channels
    channel = Channel.QR
    order: Mapping[str, Any] = MappingProxyType({})
    disagreement = ANOTHER_SUM

    def account(self, manifest: dict[str, Any], mode: str) -> dict[str, Any]:
        app = manifest["alipay"]["apps"][mode]
        files = {key: app.get(f"{key}_file") for key in _TEXTS}
        texts = {key: Path(file).read_text() for key, file in files.items() if file}
        account = {
            "name": mode,
            "app_id": app["app_id"],
            "seller_id": manifest["alipay"]["seller_id"],
            "gateway_url": manifest["alipay"]["gateway_url"],
            **texts,
        }
        return account | ({"aes_key": app["aes_key"]} if app["aes_key"] else {})

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
