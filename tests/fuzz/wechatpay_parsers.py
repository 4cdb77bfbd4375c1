"""WeChat Pay's parsers under fuzz."""

from collections.abc import Awaitable, Callable
from functools import cache, partial
from typing import Any

import httpx

from domain.errors import InvalidSignature, OutcomeUnknown
from domain.payment import Channel
from providers.wechatpay.checkouts import Checkouts
from providers.wechatpay.client import WechatpayClient
from providers.wechatpay.config import WechatpayConfig
from providers.wechatpay.keys import PlatformKeys
from providers.wechatpay.provider import WechatpayProvider
from providers.wechatpay.signing import BadSignature, MerchantSigner
from tests.fuzz.mangling import Message
from tests.fuzz.under_fuzz import CALL, Parser, as_json, payment_at, refund_at
from tests.providers.alipay.test_notification import FIELDS
from tests.providers.wechatpay import wechat
from tests.providers.wechatpay.wechat import FakeWechat, Key, TurnableClock


@cache
def wechat_side() -> FakeWechat:
    certificate = wechat.certificate("old", "0A11111111111111111111111111111111111111")
    public = Key(wechat.PUBLIC_KEY_ID, wechat.rsa_key("public"))
    return FakeWechat(TurnableClock(), signer=public, certificates=[certificate])


@cache
def wechat_account() -> WechatpayConfig:
    account = {
        "name": "main",
        "mchid": wechat.MCHID,
        "appid": wechat.APPID,
        "api_v3_key": wechat.API_V3_KEY,
        "merchant_serial": wechat.MERCHANT_SERIAL,
        "merchant_private_key": wechat.private_pem("merchant"),
        "public_key_id": wechat.PUBLIC_KEY_ID,
        "public_key": wechat.public_pem("public"),
        "platform_certificates": True,
    }
    return WechatpayConfig.model_validate(account)


@cache
def wechat_provider() -> WechatpayProvider:
    side, config = wechat_side(), wechat_account()
    signer = MerchantSigner(mchid="m", serial="s", private_key=config.private_key)
    return WechatpayProvider(
        config,
        client=WechatpayClient(config, signer=signer, http=side.http(), clock=side.clock),
        checkouts=Checkouts(config, signer),
        clock=side.clock,
        notify_url="https://shop.test/n",
    )


def wechat_sealed(body: bytes) -> Message:
    return Message(body, wechat_side().seal(body))


def wechat_notice(event: str, plaintext: bytes) -> Message:
    """The plaintext encrypted, and the envelope around it signed."""
    resource = wechat.sealed(plaintext)
    return wechat_sealed(as_json({"id": "EV-1", "event_type": event, "resource": resource}))


async def wechat_notification(message: Message) -> object:
    return await wechat_provider().parse_notification(message.headers, message.body)


TRANSACTION = {
    "appid": wechat.APPID,
    "mchid": wechat.MCHID,
    "out_trade_no": FIELDS["out_trade_no"],
    "transaction_id": "4200002026112200000000001",
    "trade_state": "SUCCESS",
    "trade_state_desc": "支付成功",
    "success_time": "2026-11-22T16:00:30+08:00",
    "amount": {"total": 1999, "payer_total": 1899, "currency": "CNY"},
}
REFUND_NOTICE = {
    "mchid": wechat.MCHID,
    "out_trade_no": FIELDS["out_trade_no"],
    "out_refund_no": "9" * 32,
    "refund_id": "50300000002026112200001",
    "refund_status": "SUCCESS",
    "success_time": "2026-11-22T16:11:00+08:00",
    "amount": {"total": 1999, "refund": 700},
}
REFUND_ANSWER = REFUND_NOTICE | {"status": "PROCESSING"}


def wechat_notice_parser(seal: Callable[[bytes], Message], content: bytes) -> Parser:
    return Parser(wechat_notification, [content], seal, (InvalidSignature,), InvalidSignature)


def wechat_answer(call: Callable[[Any], Awaitable[object]], answer: Any) -> Parser:
    async def read(message: Message) -> object:
        respond = httpx.Response(200, content=message.body, headers=message.raw_headers)
        wechat_side().script[:] = [lambda _: respond] * 3
        return await call(wechat_provider())

    return Parser(read, [as_json(answer)], wechat_sealed, refusals=CALL, distrust=OutcomeUnknown)


def wechat_refusal(status: int) -> Parser:
    """A refusal, which WeChat Pay often does not sign: any answer but a crash will do."""

    async def read(message: Message) -> object:
        respond = httpx.Response(status, content=message.body)
        wechat_side().script[:] = [lambda _: respond] * 3
        return await wechat_provider().refund(refund_at("wechatpay"), payment_at("wechatpay"))

    return Parser(read, [as_json({"code": "SYSTEM_ERROR", "message": "为什么"})], refusals=CALL)


def wechat_download(
    seal: Callable[[bytes], bytes] = bytes, content: Callable[[], bytes] | None = None
) -> Parser:
    """The list of certificates, met while a message names one that is not known yet."""
    side = wechat_side()
    certificate = side.certificates[0]
    seal_of_message = side.seal(b"{}", certificate)

    async def read(message: Message) -> object:
        async def download() -> httpx.Response:
            return httpx.Response(200, content=message.body, headers=message.raw_headers)

        try:
            # New each time: it remembers what it downloaded.
            await PlatformKeys(wechat_account(), side.clock, download).verify(
                seal_of_message, b"{}"
            )
        except BadSignature as error:
            raise InvalidSignature(str(error), provider="wechatpay") from error
        return "verified"

    def signed(inner: bytes) -> Message:
        body = seal(inner)
        return Message(body, side.seal(body, certificate))

    genuine = content or (
        lambda: side.good_download(httpx.Request("GET", "https://w.test")).content
    )
    return Parser(read, [genuine()], signed, (InvalidSignature,), InvalidSignature)


def wechat_certificate() -> Parser:
    """The certificate inside the list."""
    certificate = wechat_side().certificates[0]

    def seal(pem: bytes) -> bytes:
        sealed = wechat.sealed(pem, "certificate")
        return as_json({"data": [{"serial_no": certificate.serial, "encrypt_certificate": sealed}]})

    return wechat_download(seal, certificate.pem.encode)


def wechatpay_parsers() -> dict[str, Callable[[], Parser]]:
    payment, refund = payment_at("wechatpay"), refund_at("wechatpay")
    app = payment_at("wechatpay", Channel.APP)
    till = payment_at("wechatpay", Channel.BARCODE)
    paid = partial(wechat_notice, "TRANSACTION.SUCCESS")
    refunded = partial(wechat_notice, "REFUND.SUCCESS")
    return {
        "wechatpay notification": lambda: wechat_notice_parser(
            wechat_sealed, paid(as_json(TRANSACTION)).body
        ),
        "wechatpay notification, inside": lambda: wechat_notice_parser(paid, as_json(TRANSACTION)),
        "wechatpay refund notification, inside": lambda: wechat_notice_parser(
            refunded, as_json(REFUND_NOTICE)
        ),
        "wechatpay answer to create": lambda: wechat_answer(
            lambda provider: provider.create(payment), {"code_url": "weixin://wxpay/bizpayurl?pr=1"}
        ),
        "wechatpay answer at the till": lambda: wechat_answer(
            lambda provider: provider.create(till), TRANSACTION
        ),
        "wechatpay answer to query": lambda: wechat_answer(
            lambda provider: provider.query(payment), TRANSACTION
        ),
        "wechatpay answer to refund": lambda: wechat_answer(
            lambda provider: provider.refund(refund, payment), REFUND_ANSWER
        ),
        "wechatpay refusal 400": lambda: wechat_refusal(400),
        "wechatpay refusal 500": lambda: wechat_refusal(500),
        "wechatpay certificates": wechat_download,
        "wechatpay certificate, inside": wechat_certificate,
        "wechatpay app order": lambda: wechat_answer(
            lambda provider: provider.create(app), {"prepay_id": "wx1"}
        ),
    }
