"""Apple's parsers under fuzz: everything is a signed text, and some stand inside of others."""

import base64
import json
from collections.abc import Awaitable, Callable
from datetime import timedelta
from functools import cache
from typing import Any

import httpx
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.asymmetric.utils import decode_dss_signature

from domain.errors import InvalidSignature, OutcomeUnknown
from domain.payment import Channel
from providers.apple_iap.provider import AppleIapProvider
from tests.fuzz.mangling import Message
from tests.fuzz.under_fuzz import CALL, Parser, as_json, payment_at
from tests.providers.apple_iap import appstore
from tests.providers.apple_iap.appstore import FakeAppStore, make_keys, ms, pem, url64

NUMBER = "2000000000000001"
Seal = Callable[[bytes], bytes]


@cache
def side() -> FakeAppStore:
    keys = make_keys()
    return FakeAppStore(keys, keys.signer())


@cache
def account() -> dict[str, Any]:
    return {
        "name": "main",
        "environment": "Sandbox",
        "bundle_id": appstore.BUNDLE,
        "issuer_id": "57246542-96fe-1a63-e053-0824d011072a",
        "key_id": "2X9R4HXF34",
        "private_key": pem(side().keys.api),
        "root_certificate": side().keys.root_text,
        "base_url": appstore.SANDBOX,
    }


@cache
def provider() -> AppleIapProvider:
    return side().provider(account())


def header(*chain: bytes) -> bytes:
    texts = [base64.b64encode(one).decode() for one in chain or side().signer.chain]
    return as_json({"alg": "ES256", "x5c": texts})


def signed(payload: bytes, head: bytes | None = None) -> bytes:
    """Any payload under any header, truly signed."""
    text = f"{url64(header() if head is None else head)}.{url64(payload)}"
    r, s = decode_dss_signature(side().signer.key.sign(text.encode(), ec.ECDSA(hashes.SHA256())))
    return f"{text}.{url64(r.to_bytes(32, 'big') + s.to_bytes(32, 'big'))}".encode()


def forged(payload: bytes, other: bytes) -> bytes:
    """The other payload under this one's signature."""
    return resigned(signed(payload), signed(other))


def resigned(genuine: bytes, other: bytes) -> bytes:
    return other.rpartition(b".")[0] + b"." + genuine.rpartition(b".")[2]


def posted(text: bytes) -> bytes:
    return as_json({"signedPayload": text.decode()})


def transaction(**changes: Any) -> bytes:
    return as_json(side().payload(**changes))


def about(**texts: bytes) -> bytes:
    """A notification about these signed texts."""
    data = {"bundleId": appstore.BUNDLE, "environment": "Sandbox"}
    data |= {name: text.decode() for name, text in texts.items()}
    kind = ("DID_RENEW", "BILLING_RECOVERY") if "signedRenewalInfo" in texts else ("REFUND", None)
    return as_json(side().envelope(*kind, data=data))


def sale() -> bytes:
    """A notification that a payment of ours is paid."""
    data = json.loads(about(signedTransactionInfo=signed(transaction())))["data"]
    return as_json(side().envelope("ONE_TIME_CHARGE", data=data))


def revoked() -> bytes:
    return transaction(revocationDate=ms(appstore.NOW), revocationPercentage=50_000)


def renewal() -> bytes:
    now = ms(appstore.NOW)
    said = {"autoRenewStatus": 1, "gracePeriodExpiresDate": now, "signedDate": now}
    return as_json(said | {"originalTransactionId": NUMBER, "environment": "Sandbox"})


def notice(text: bytes) -> bytes:
    """The signed transaction in a notification that is signed itself."""
    return posted(signed(about(signedTransactionInfo=text)))


def renewed(text: bytes) -> bytes:
    """Likewise for what the subscription does next."""
    bought = signed(transaction(type="Auto-Renewable Subscription", expiresDate=ms(appstore.NOW)))
    return posted(signed(about(signedTransactionInfo=bought, signedRenewalInfo=text)))


def answered(text: bytes) -> bytes:
    return as_json({"signedTransactionInfo": text.decode()})


async def notification(message: Message) -> object:
    return await provider().parse_notification(message.headers, message.body)


async def brought(message: Message) -> object:
    return await provider().verify_purchase(message.body.decode(errors="replace"))


def notification_parser() -> Parser:
    """What is around a signed text that arrives, which nobody signs."""
    return Parser(
        read=notification,
        contents=[posted(signed(sale()))],
        refusals=(InvalidSignature,),
        distrust=InvalidSignature,
    )


def payload_parser(
    read: Callable[[Message], Awaitable[object]], around: Seal, *contents: bytes
) -> Parser:
    """The payload of a signed text, and what is around that text."""
    return Parser(
        read=read,
        contents=contents,
        seal=lambda content: Message(around(signed(content))),
        refusals=(InvalidSignature,),
        distrust=InvalidSignature,
        forge=lambda content, other: Message(around(forged(content, other))),
    )


def header_parser(content: bytes, head: Seal = bytes) -> Parser:
    """The header of a signed text, or a part of it."""

    def forge(genuine: bytes, other: bytes) -> Message:
        texts = (signed(transaction(), head(one)) for one in (genuine, other))
        return Message(resigned(*texts))

    return Parser(
        read=brought,
        contents=[content],
        seal=lambda content: Message(signed(transaction(), head(content))),
        refusals=(InvalidSignature,),
        distrust=InvalidSignature,
        forge=forge,
    )


def answer_parser(
    call: Callable[[AppleIapProvider], Awaitable[object]],
    content: bytes,
    seal: Seal = bytes,
    *,
    rest: bytes = b"{}",
    status: int = 200,
    distrust: type[OutcomeUnknown] | None = None,
) -> Parser:
    """The answer to the first call; `rest` is answered to all that follow."""

    async def read(message: Message) -> object:
        first = httpx.Response(status, content=message.body, headers=message.raw_headers)
        side().replies[:] = [lambda _: first]
        for _ in range(8):
            side().then_raw(rest)
        # New each time: it remembers what it was told.
        return await call(side().provider(account()))

    return Parser(
        read=read,
        contents=[content],
        seal=lambda content: Message(seal(content), {"retry-after": "1772338000000"}),
        refusals=CALL,
        distrust=distrust,
    )


def leaf_parser() -> Parser:
    leaf, *others = side().signer.chain
    return header_parser(leaf, lambda der: header(der, *others))


def middle_parser() -> Parser:
    leaf, middle, root = side().signer.chain
    return header_parser(middle, lambda der: header(leaf, der, root))


def page(text: bytes, *, more: bool = False) -> bytes:
    """One of a history of transactions."""
    return as_json({"signedTransactions": [text.decode()], "hasMore": more, "revision": "r1"})


def page_told(text: bytes, *, more: bool = False) -> bytes:
    """One of the history of notifications."""
    entries = [{"signedPayload": text.decode(), "sendAttempts": []}]
    return as_json({"notificationHistory": entries, "hasMore": more, "paginationToken": "p1"})


def raw_answers() -> dict[str, Callable[[], Parser]]:
    """What is around the signed texts, which nobody signs."""
    payment = payment_at("apple_iap", Channel.IAP)
    since = appstore.NOW - timedelta(hours=1)
    asked = payment.model_copy(update={"id": appstore.TOKEN, "created_at": since})
    refusal = as_json({"errorCode": 4290000, "errorMessage": "Rate limit exceeded."})
    return {
        "apple_iap answer to history": lambda: answer_parser(
            lambda provider: provider.find_purchases(NUMBER),
            page(signed(transaction()), more=True),
            rest=page(signed(transaction())),
        ),
        "apple_iap answer to what was lost": lambda: answer_parser(
            lambda provider: provider.find_lost(since),
            page_told(signed(sale()), more=True),
            rest=page_told(signed(sale())),
        ),
        "apple_iap answer to query": lambda: answer_parser(
            lambda provider: provider.query(asked),
            page_told(signed(sale())),
            rest=answered(signed(transaction())),
        ),
        "apple_iap refusal 429": lambda: answer_parser(
            lambda provider: provider.find_purchases(NUMBER), refusal, status=429
        ),
        "apple_iap refusal 404": lambda: answer_parser(
            lambda provider: provider.query(
                asked.model_copy(update={"provider_reference": NUMBER})
            ),
            refusal,
            status=404,
        ),
    }


def signed_answers() -> dict[str, Callable[[], Parser]]:
    """The payloads of the texts that Apple signs in its answers."""
    since = appstore.NOW - timedelta(hours=1)
    return {
        "apple_iap answer's transaction": lambda: answer_parser(
            lambda provider: provider.ask_purchase(NUMBER),
            transaction(),
            lambda payload: answered(signed(payload)),
            distrust=OutcomeUnknown,
        ),
        "apple_iap lost notification": lambda: answer_parser(
            lambda provider: provider.find_lost(since),
            sale(),
            lambda payload: page_told(signed(payload)),
        ),
    }


def apple_iap_parsers() -> dict[str, Callable[[], Parser]]:
    return {
        "apple_iap notification": notification_parser,
        "apple_iap notification, inside": lambda: payload_parser(notification, posted, sale()),
        "apple_iap notification's transaction": lambda: payload_parser(
            notification, notice, transaction(), revoked()
        ),
        "apple_iap notification's renewal": lambda: payload_parser(
            notification, renewed, renewal()
        ),
        "apple_iap brought transaction": lambda: payload_parser(
            brought, bytes, transaction(), revoked()
        ),
        "apple_iap header": lambda: header_parser(header()),
        "apple_iap leaf certificate": leaf_parser,
        "apple_iap middle certificate": middle_parser,
        **raw_answers(),
        **signed_answers(),
    }
