"""Alipay's parsers under fuzz."""

import base64
from collections.abc import Awaitable, Callable
from functools import cache
from typing import Any
from urllib.parse import unquote_to_bytes

import httpx

from domain.errors import InvalidSignature, OutcomeUnknown
from domain.payment import Channel
from providers.alipay.provider import AlipayProvider
from tests.fuzz.mangling import Message
from tests.fuzz.under_fuzz import CALL, Parser, as_json, payment_at, refund_at
from tests.providers.alipay import nodes
from tests.providers.alipay.fake import FakeAlipay, make_keys, sign
from tests.providers.alipay.test_notification import FIELDS


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
