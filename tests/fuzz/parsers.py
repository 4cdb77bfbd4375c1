"""The parsers under fuzz, as data. A new provider adds entries to `PARSERS` at the end.

`test_parsers.py` does the same to all of them.
"""

import asyncio
import base64
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import cache, partial
from typing import Any
from urllib.parse import unquote_to_bytes
from uuid import UUID

import httpx

from domain.errors import (
    InvalidSignature,
    OutcomeUnknown,
    PaymentError,
    ProviderRejected,
    ProviderUnavailable,
)
from domain.payment import Channel, Payer, Payment
from domain.refund import Refund
from providers.alipay.provider import AlipayProvider
from providers.wechatpay.checkouts import Checkouts
from providers.wechatpay.client import WechatpayClient
from providers.wechatpay.config import WechatpayConfig
from providers.wechatpay.platform_keys import PlatformKeys
from providers.wechatpay.provider import WechatpayProvider
from providers.wechatpay.signing import BadSignature, MerchantSigner
from tests.fuzz.mangling import Message
from tests.providers.alipay import nodes
from tests.providers.alipay.fake import FakeAlipay, make_keys, sign
from tests.providers.alipay.test_notification import FIELDS
from tests.providers.wechatpay import wechat
from tests.providers.wechatpay.wechat import FakeWechat, Key, TurnableClock
from webhooks.answers import read_answer, read_retry_after

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
CALL = (ProviderRejected, ProviderUnavailable, OutcomeUnknown)


@dataclass(frozen=True)
class Parser:
    """One reader of foreign bytes.

    `read` returns what it understood; `refusals` are the only errors that it may raise. `seal`
    puts any content where genuine `contents` stand and signs it as the provider would, so that
    what comes after the signature's check is under fuzz as well. `distrust` is what a message
    with another signature leads to, None where nothing is signed.
    """

    read: Callable[[Message], Awaitable[object]]
    contents: Sequence[bytes]
    seal: Callable[[bytes], Message] = Message
    refusals: tuple[type[PaymentError], ...] = ()
    distrust: type[PaymentError] | None = None


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def payment_at(provider: str, channel: Channel = Channel.QR) -> Payment:
    return Payment(
        id=UUID(FIELDS["out_trade_no"]),
        merchant_id="shop",
        order_no="order-1",
        idempotency_key="key",
        request_hash="hash",
        provider=provider,
        account="main",
        channel=channel,
        amount=1999,
        subject="Tea",
        payer=Payer(open_id="ou_1", auth_code="287654321098760000"),
        created_at=NOW,
        expires_at=datetime(2026, 11, 22, 8, 15, tzinfo=UTC),
    )


def refund_at(provider: str) -> Refund:
    return Refund(
        id=UUID("99999999222233334444555555555555"),
        payment_id=payment_at(provider).id,
        merchant_id="shop",
        idempotency_key="key",
        request_hash="hash",
        provider=provider,
        account="main",
        amount=700,
        reason="cold tea",
        created_at=NOW,
    )


@cache
def alipay() -> FakeAlipay:
    return FakeAlipay(make_keys())


@cache
def alipay_provider() -> AlipayProvider:
    account = {
        "name": "main",
        "app_id": FIELDS["app_id"],
        "seller_id": FIELDS["seller_id"],
        "gateway_url": "https://alipay.test/gateway.do",
        "app_private_key": alipay().keys.app_private,
        "alipay_public_key": alipay().keys.alipay_public,
    }
    return alipay().provider(account)


def alipay_form(content: bytes) -> Message:
    """Sign the fields of a form, whatever they are, as Alipay's notification signs them."""
    pairs = [part.partition(b"=") for part in content.split(b"&")]
    fields = {unquote_to_bytes(key): unquote_to_bytes(value) for key, _, value in pairs}
    signed = (key for key in sorted(fields) if fields[key] and key not in (b"sign", b"sign_type"))
    text = b"&".join(key + b"=" + fields[key] for key in signed)
    signature = sign(alipay().keys.alipay, text).replace("+", "%2B")
    return Message(content + b"&sign=" + signature.encode())


def alipay_form_parser(read: Callable[[Message], Awaitable[object]]) -> Parser:
    base = {"sign_type": "RSA2", "charset": "utf-8", **FIELDS}
    refund = base | {"out_biz_no": "9" * 32, "refund_fee": "7.00", "gmt_refund": "2026-03-01"}
    return Parser(
        read=read,
        contents=[
            "&".join(f"{key}={value}" for key, value in fields.items()).encode()
            for fields in (base, refund)
        ],
        seal=alipay_form,
        refusals=(InvalidSignature,),
        distrust=InvalidSignature,
    )


async def alipay_notification(message: Message) -> object:
    return await alipay_provider().parse_notification(message.headers, message.body)


async def alipay_return(message: Message) -> object:
    return alipay_provider().parse_return(message.body.decode(errors="replace"))


def alipay_answer(
    method: str, call: Callable[[AlipayProvider], Awaitable[object]], *answers: dict[str, Any]
) -> Parser:
    name = f"{method.replace('.', '_')}_response".encode()

    async def read(message: Message) -> object:
        alipay().respond = lambda _: httpx.Response(200, content=message.body)
        return await call(alipay_provider())

    def seal(content: bytes) -> Message:
        signature = sign(alipay().keys.alipay, content).encode()
        return Message(b'{"' + name + b'":' + content + b',"sign":"' + signature + b'"}')

    contents = [as_json(answer) for answer in answers]
    return Parser(read, contents, seal, refusals=CALL, distrust=OutcomeUnknown)


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


async def webhook_answer(message: Message) -> object:
    await asyncio.sleep(0)
    return read_answer(200, message.body)


async def webhook_retry_after(message: Message) -> object:
    await asyncio.sleep(0)
    return read_retry_after(message.body.decode("latin-1"), NOW)


def alipay_parsers() -> dict[str, Callable[[], Parser]]:
    payment, till = payment_at("alipay"), payment_at("alipay", Channel.BARCODE)
    refund = refund_at("alipay")
    content = base64.b64encode(b"-----BEGIN CERTIFICATE-----").decode()
    return {
        "alipay notification": lambda: alipay_form_parser(alipay_notification),
        "alipay return": lambda: alipay_form_parser(alipay_return),
        "alipay answer to create": lambda: alipay_answer(
            nodes.PRECREATE,
            lambda provider: provider.create(payment),
            nodes.OK | {"qr_code": "https://qr.alipay.com/1", "alipay_cert_content": content},
        ),
        "alipay answer at the till": lambda: alipay_answer(
            nodes.PAY, lambda provider: provider.create(till), nodes.PAID
        ),
        "alipay answer to query": lambda: alipay_answer(
            nodes.QUERY, lambda provider: provider.query(payment), nodes.PAID, nodes.REVERSED
        ),
        "alipay answer to close": lambda: alipay_answer(
            nodes.CLOSE, lambda provider: provider.close(payment), nodes.OK
        ),
        "alipay answer to refund": lambda: alipay_answer(
            nodes.REFUND,
            lambda provider: provider.refund(refund, payment),
            nodes.OK | {"fund_change": "Y", "gmt_refund_pay": "2026-03-01 12:05:06"},
        ),
        "alipay answer to refund query": lambda: alipay_answer(
            nodes.REFUND_QUERY, lambda provider: provider.query_refund(refund, payment), nodes.DONE
        ),
    }


def wechat_parsers() -> dict[str, Callable[[], Parser]]:
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


PARSERS: dict[str, Callable[[], Parser]] = {
    **alipay_parsers(),
    **wechat_parsers(),
    "webhook answer": lambda: Parser(
        webhook_answer, [b'{"decision":"refund","reason":"sold out"}', b"ok"]
    ),
    "webhook Retry-After": lambda: Parser(
        webhook_retry_after, [b"Sun, 22 Nov 2026 12:01:00 GMT", b"120"]
    ),
}


@cache
def parser(name: str) -> Parser:
    return PARSERS[name]()


@cache
def genuine_messages(name: str) -> list[Message]:
    """Sealed once: seals have nonces, and hypothesis must meet the same bytes again."""
    return [parser(name).seal(content) for content in parser(name).contents]
