"""UnionPay's parsers under fuzz."""

import base64
import hashlib
from collections.abc import Awaitable, Callable
from functools import cache
from urllib.parse import quote_from_bytes, unquote_to_bytes, urlencode

from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding

from domain.errors import InvalidSignature, OutcomeUnknown
from domain.payment import Channel, Payment
from domain.refund import Refund
from providers.unionpay.provider import UnionpayProvider
from tests.fuzz.mangling import Message
from tests.fuzz.under_fuzz import CALL, Parser, payment_at, refund_at
from tests.providers.alipay.test_notification import FIELDS
from tests.providers.unionpay import gateway
from tests.providers.unionpay.gateway import FakeGateway, make_keys

# When our payment and our refund were made, as UnionPay writes it.
MADE_AT = "20261122160000"
SECURE_KEY = "a key that both sides know"
TOLD = gateway.PAID | {
    "merId": gateway.MER_ID,
    "orderId": FIELDS["out_trade_no"],
    "encoding": "UTF-8",
    "txnType": "01",
    "txnTime": "20260301120506",
    "settleAmt": "1",
    "respMsg": "成功[0000000]",
}
TOLD_REFUND = TOLD | {"txnType": "04", "orderId": "9" * 32, "reqReserved": FIELDS["out_trade_no"]}

Fields = dict[bytes, bytes]
Read = Callable[[Message], Awaitable[object]]


@cache
def unionpay() -> FakeGateway:
    return FakeGateway(make_keys())


@cache
def certified() -> UnionpayProvider:
    keys = unionpay().keys
    account = {
        "name": "main",
        "base_url": "https://unionpay.test/gateway/api",
        "mer_id": gateway.MER_ID,
        "pfx": keys.pfx,
        "pfx_password": gateway.PASSWORD,
        "root_certificate": keys.root_pem,
        "middle_certificate": keys.middle_pem,
    }
    return unionpay().provider(account)


@cache
def keyed() -> UnionpayProvider:
    """An account that signs with one key for both sides."""
    account = {
        "name": "keyed",
        "base_url": "https://unionpay.test/gateway/api",
        "mer_id": gateway.MER_ID,
        "sign_method": "11",
        "secure_key": SECURE_KEY,
    }
    return unionpay().provider(account)


def canonical(fields: Fields) -> bytes:
    kept = sorted((name, value) for name, value in fields.items() if value and name != b"signature")
    return b"&".join(name + b"=" + value for name, value in kept)


def signature_of(fields: Fields) -> bytes:
    digest = hashlib.sha256(canonical(fields)).hexdigest().encode()
    signed = unionpay().keys.gateway.sign(digest, padding.PKCS1v15(), hashes.SHA256())
    return base64.b64encode(signed)


def digest_of(fields: Fields) -> bytes:
    key = hashlib.sha256(SECURE_KEY.encode()).hexdigest().encode()
    return hashlib.sha256(canonical(fields) + b"&" + key).hexdigest().encode()


def pairs(content: bytes) -> Fields:
    parts = (part.partition(b"=") for part in content.split(b"&"))
    return {name: value for name, _, value in parts}


def form(content: bytes) -> Message:
    """Sign the fields of a form, whatever they are, as UnionPay's notification signs them."""
    own = {b"signMethod": b"01", b"signPubKeyCert": unionpay().keys.leaf.encode()}
    return _form(content, own, signature_of)


def keyed_form(content: bytes) -> Message:
    return _form(content, {b"signMethod": b"11"}, digest_of)


def _form(content: bytes, own: Fields, sign: Callable[[Fields], bytes]) -> Message:
    told = {
        unquote_to_bytes(name): unquote_to_bytes(value) for name, value in pairs(content).items()
    }
    own |= {b"signature": sign(told | own)}
    added = b"&".join(name + b"=" + quote_from_bytes(value).encode() for name, value in own.items())
    return Message(content + b"&" + added)


def certificate_form(pem: bytes) -> Message:
    """A genuine form but for the certificate in it."""
    fields = {name.encode(): value.encode() for name, value in TOLD.items()}
    fields |= {b"signMethod": b"01", b"signPubKeyCert": pem}
    return Message(urlencode(fields | {b"signature": signature_of(fields)}).encode())


def answer(content: bytes) -> Message:
    """A synchronous answer, which is not percent-encoded. What signs comes first: a bracket that
    is left open would swallow it."""
    own = {b"signMethod": b"01", b"signPubKeyCert": unionpay().keys.leaf.encode()}
    own |= {b"signature": signature_of(pairs(content) | own)}
    return Message(b"&".join(name + b"=" + value for name, value in own.items()) + b"&" + content)


async def notification(message: Message) -> object:
    return await certified().parse_notification(message.headers, message.body)


async def keyed_notification(message: Message) -> object:
    return await keyed().parse_notification(message.headers, message.body)


async def posted_return(message: Message) -> object:
    return certified().parse_return(message.body.decode("latin-1"))


async def asked_return(message: Message) -> object:
    return certified().parse_return(message.body.decode(errors="replace"))


def form_parser(read: Read, seal: Callable[[bytes], Message] = form) -> Parser:
    in_gbk = urlencode(TOLD | {"encoding": "GBK"}, encoding="gb18030")
    contents = [urlencode(fields) for fields in (TOLD, TOLD_REFUND)]
    return Parser(
        read=read,
        contents=[content.encode() for content in (*contents, in_gbk)],
        seal=seal,
        refusals=(InvalidSignature,),
        distrust=InvalidSignature,
    )


def certificate_parser() -> Parser:
    return Parser(
        read=notification,
        contents=[unionpay().keys.leaf.encode()],
        seal=certificate_form,
        refusals=(InvalidSignature,),
        distrust=InvalidSignature,
    )


def answer_parser(
    call: Callable[[UnionpayProvider], Awaitable[object]],
    about: Payment | Refund,
    said: dict[str, str],
) -> Parser:
    """The same answer to every call that the verb makes."""

    async def read(message: Message) -> object:
        unionpay().replies.clear()
        for _ in range(4):
            unionpay().then_raw(message.body)
        return await call(certified())

    fields = {
        "merId": gateway.MER_ID,
        "orderId": about.reference,
        "txnTime": MADE_AT,
        "encoding": "UTF-8",
        "respMsg": "成功[0000000]",
    }
    content = "&".join(f"{name}={value}" for name, value in (fields | said).items()).encode()
    return Parser(read, [content], answer, refusals=CALL, distrust=OutcomeUnknown)


def unionpay_parsers() -> dict[str, Callable[[], Parser]]:
    payment, app = payment_at("unionpay"), payment_at("unionpay", Channel.APP)
    till = payment_at("unionpay", Channel.BARCODE)
    refund, paid = refund_at("unionpay"), payment.model_copy(update={"provider_reference": "78260"})
    return {
        "unionpay notification": lambda: form_parser(notification),
        "unionpay notification, keyed": lambda: form_parser(keyed_notification, keyed_form),
        "unionpay return, posted": lambda: form_parser(posted_return),
        "unionpay return, asked": lambda: form_parser(asked_return),
        "unionpay certificate, inside": certificate_parser,
        "unionpay answer to create": lambda: answer_parser(
            lambda provider: provider.create(payment),
            payment,
            {"respCode": "00", "qrCode": "https://qr.95516.com/00010000/1"},
        ),
        "unionpay app order": lambda: answer_parser(
            lambda provider: provider.create(app), app, {"respCode": "00", "tn": "8426112216000001"}
        ),
        "unionpay answer at the till": lambda: answer_parser(
            lambda provider: provider.create(till), till, gateway.PAID
        ),
        "unionpay answer to query": lambda: answer_parser(
            lambda provider: provider.query(payment), payment, gateway.PAID
        ),
        "unionpay answer to refund": lambda: answer_parser(
            lambda provider: provider.refund(refund, paid), refund, {"respCode": "00"}
        ),
        "unionpay answer to refund query": lambda: answer_parser(
            lambda provider: provider.query_refund(refund, payment), refund, gateway.PAID
        ),
    }
