"""What the registry and mode production must know of WeChat Pay."""

from providers.kit.registration import Registration
from providers.wechatpay.config import WechatpayConfig
from providers.wechatpay.provider import build

REGISTRATION = Registration(
    build=build,
    configuration=WechatpayConfig,
    # A merchant may have several apps.
    identity=("mchid", "appid"),
    endpoints=("base_url",),
)
