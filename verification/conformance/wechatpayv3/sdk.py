"""How wechatpayv3 is made to reach the sandbox: by its gateway attribute, and nothing else."""

from pathlib import Path
from typing import Any

from oracle import Sandbox
from wechatpayv3 import WeChatPay, WeChatPayType
from wechatpayv3.core import Core


def build(sandbox: Sandbox, name: str, notify_url: str, **changes: Any) -> WeChatPay:
    """The SDK's client of one merchant; platform certificates are downloaded by the SDK itself."""
    wechatpay = sandbox.manifest["wechatpay"]
    merchant = wechatpay["merchants"][name]
    _lead(wechatpay["base_url"])
    settings = {
        "wechatpay_type": WeChatPayType.NATIVE,
        "mchid": merchant["mchid"],
        "private_key": Path(merchant["merchant_private_key_file"]).read_text(),
        "cert_serial_no": merchant["merchant_serial"],
        "appid": wechatpay["appid"],
        "apiv3_key": merchant["api_v3_key"],
        "notify_url": notify_url,
    }
    if "public_key_id" in merchant:
        settings["public_key"] = Path(merchant["public_key_file"]).read_text()
        settings["public_key_id"] = merchant["public_key_id"]
    return WeChatPay(**(settings | changes))


def _lead(origin: str) -> None:
    """Give every new client our gateway before it asks for certificates, and after."""

    class Led(Core):
        # The constructor of the SDK writes its own address here and then downloads from it.
        @property
        def _gate_way(self) -> str:
            return origin

        @_gate_way.setter
        def _gate_way(self, value: str) -> None:
            """Keep ours."""

    import wechatpayv3.core  # noqa: PLC0415 - replaced where the SDK will look for it

    wechatpayv3.core.Core = Led
