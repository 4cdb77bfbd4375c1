"""From WeChat Pay's answer to what the payer's device takes. Pure but for the signature's nonce.

A success that the payer's device reports is no proof of payment: only a notification or a query is.
"""

from datetime import datetime, timedelta
from secrets import token_hex
from urllib.parse import quote

from domain.checkout import Checkout, CheckoutKind
from domain.payment import Channel, Payment
from providers.wechatpay.config import WechatpayConfig
from providers.wechatpay.signing import MerchantSigner
from providers.wechatpay.wire import CodeUrl, H5Url, Prepay, read

PREPAY_LIFE = timedelta(hours=2)
H5_LIFE = timedelta(minutes=5)


class Checkouts:
    """Builds the checkout of each channel for one account."""

    def __init__(self, config: WechatpayConfig, signer: MerchantSigner) -> None:
        self._config = config
        self._signer = signer

    def build(self, payment: Payment, body: bytes, now: datetime) -> Checkout:
        """The checkout in the answer's body; raises Malformed."""
        if payment.channel is Channel.QR:
            return Checkout(
                kind=CheckoutKind.QR,
                value=read(CodeUrl, body).code_url,
                expires_at=min(payment.expires_at, now + PREPAY_LIFE),
            )
        if payment.channel is Channel.WAP:
            return Checkout(
                kind=CheckoutKind.REDIRECT,
                value=_returning(read(H5Url, body).h5_url, payment.return_url),
                expires_at=min(payment.expires_at, now + H5_LIFE),
            )
        parameters = self._app if payment.channel is Channel.APP else self._jsapi
        prepay_id = read(Prepay, body).prepay_id
        return Checkout(
            kind=CheckoutKind.SDK,
            parameters=parameters(prepay_id, str(int(now.timestamp())), token_hex(16)),
            expires_at=min(payment.expires_at, now + PREPAY_LIFE),
        )

    def _app(self, prepay_id: str, timestamp: str, nonce: str) -> dict[str, str]:
        return {
            "appid": self._config.appid,
            "partnerid": self._config.mchid,
            "prepayid": prepay_id,
            "package": "Sign=WXPay",
            "noncestr": nonce,
            "timestamp": timestamp,
            "sign": self._signer.sign_lines(self._config.appid, timestamp, nonce, prepay_id),
        }

    def _jsapi(self, prepay_id: str, timestamp: str, nonce: str) -> dict[str, str]:
        package = f"prepay_id={prepay_id}"
        return {
            "appId": self._config.appid,
            "timeStamp": timestamp,
            "nonceStr": nonce,
            "package": package,
            "signType": "RSA",
            "paySign": self._signer.sign_lines(self._config.appid, timestamp, nonce, package),
        }


def _returning(h5_url: str, target: str | None) -> str:
    # Without it WeChat Pay goes back to the page that the payer came from.
    return f"{h5_url}&redirect_url={quote(target, safe='')}" if target else h5_url
