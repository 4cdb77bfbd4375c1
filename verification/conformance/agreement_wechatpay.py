"""Paysaga's WeChat Pay code and wechatpayv3: the same keys and texts, the same signatures."""

import base64
import json
import re
import secrets
from collections.abc import Awaitable, Callable
from typing import Any

import httpx
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from domain.checkout import Checkout
from domain.errors import InvalidSignature, OutcomeUnknown
from domain.payment import Channel
from domain.report import Outcome
from providers.wechatpay.provider import WechatpayProvider, build
from verification.conformance.harness.oracle import holds, same
from verification.conformance.peer import Peer
from verification.conformance.result import Results
from verification.conformance.samples import (
    NOTIFY_URL,
    NOW,
    SUBJECT,
    KeyPair,
    Wire,
    clock,
    payment,
    refund,
)

ORACLE = "our WeChat Pay code and wechatpayv3"
MCHID, APPID, SERIAL = (
    "1900000001",
    "wx8888888888888888",
    "5157F09EFDC096DE15EBE81A47057A7232F1B8E1",
)
API_V3_KEY, PUBLIC_KEY_ID = "0123456789abcdef0123456789abcdef", "PUB_KEY_ID_0119000000012026"
_FIELD = re.compile(r'(\w+)="([^"]*)"')


class Side:
    """Our provider of one account, and the keys on both ends."""

    def __init__(self) -> None:
        self.merchant, self.platform, self.wire = KeyPair(), KeyPair(), Wire()
        account = {
            "name": "main",
            "mchid": MCHID,
            "appid": APPID,
            "api_v3_key": API_V3_KEY,
            "merchant_serial": SERIAL,
            "merchant_private_key": self.merchant.private,
            "public_key_id": PUBLIC_KEY_ID,
            "public_key": self.platform.public,
        }
        self.provider: WechatpayProvider = build(
            account, http=self.wire.client(), clock=clock, notify_url=NOTIFY_URL
        )

    def sealed(self, peer: Peer, body: str) -> dict[str, str]:
        """Headers with the SDK's signature in WeChat Pay's place."""
        timestamp, nonce = str(int(NOW.timestamp())), secrets.token_hex(16)
        key = self.platform.private
        seal = peer.ask("seal", private_key=key, timestamp=timestamp, nonce=nonce, body=body)
        return {
            "wechatpay-timestamp": timestamp,
            "wechatpay-nonce": nonce,
            "wechatpay-serial": PUBLIC_KEY_ID,
            "wechatpay-signature-type": "WECHATPAY2-SHA256-RSA2048",
            "wechatpay-signature": seal,
        }

    def answers(self, peer: Peer, content: dict[str, Any]) -> None:
        """The next answer, signed by the SDK."""
        body = json.dumps(content, ensure_ascii=False)
        headers = self.sealed(peer, body) | {"content-type": "application/json"}
        self.wire.answer = httpx.Response(200, text=body, headers=headers)


async def compare(results: Results) -> None:
    """Add every comparison to the results."""
    side = Side()
    with Peer("wechatpayv3") as peer:
        await compare_requests(results, side, peer)
        await compare_invocations(results, side, peer)
        await compare_answers(results, side, peer)
        await compare_notifications(results, side, peer)


async def compare_requests(results: Results, side: Side, peer: Peer) -> None:
    """The `Authorization` header of every kind of call."""
    provider = side.provider
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "native order": lambda: provider.create(payment(Channel.QR)),
        "jsapi order": lambda: provider.create(payment(Channel.JSAPI)),
        "query": lambda: provider.query(payment(Channel.QR)),
        "close": lambda: provider.close(payment(Channel.QR)),
        "refund": lambda: provider.refund(refund(), payment(Channel.QR)),
        "refund query": lambda: provider.query_refund(refund(), payment(Channel.QR)),
    }
    side.wire.answer = httpx.Response(200, text="{}")
    for name, call in calls.items():
        with results.check(ORACLE, f"the {name} call has the SDK's Authorization"):
            try:
                await call()
            except OutcomeUnknown:
                same(*authorizations(side, peer))
            else:
                raise AssertionError("an unsigned answer was believed")


def authorizations(side: Side, peer: Peer) -> tuple[dict[str, str], dict[str, str]]:
    """The last request's header and the SDK's for the same request, as fields."""
    request = side.wire.request
    ours = request.headers["authorization"]
    fields = dict(_FIELD.findall(ours))
    theirs = peer.ask(
        "authorization",
        private_key=side.merchant.private,
        at=int(fields["timestamp"]),
        path=request.url.raw_path.decode(),
        method=request.method,
        mchid=MCHID,
        serial_no=SERIAL,
        data=request.content.decode(),
        nonce_str=fields["nonce_str"],
    )
    same(ours.partition(" ")[0], theirs.partition(" ")[0])
    return fields, dict(_FIELD.findall(theirs))


async def compare_invocations(results: Results, side: Side, peer: Peer) -> None:
    """What the payer's device is given is signed as the SDK signs it."""
    side.answers(peer, {"prepay_id": "wx221630001234567890abcdef"})
    keys = {"private_key": side.merchant.private, "public_key": side.platform.public}
    for channel, names, sign in (
        (Channel.JSAPI, ("appId", "timeStamp", "nonceStr", "package"), "paySign"),
        (Channel.APP, ("appid", "timestamp", "noncestr", "prepayid"), "sign"),
    ):
        with results.check(ORACLE, f"the {channel} checkout has the SDK's signature"):
            created = await side.provider.create(payment(channel))
            given = parameters(created.checkout)
            lines = [given[name] for name in names]
            same(given[sign], peer.ask("invocation", lines=lines, **keys))


def parameters(checkout: Checkout) -> dict[str, str]:
    """The checkout's parameters, which must be there."""
    if checkout.parameters is None:
        raise AssertionError(f"{checkout} has no parameters")
    return checkout.parameters


def transaction() -> dict[str, Any]:
    """A paid order in WeChat Pay's words."""
    return {
        "appid": APPID,
        "mchid": MCHID,
        "out_trade_no": payment(Channel.QR).reference,
        "transaction_id": "4200002026112200000000000001",
        "trade_type": "NATIVE",
        "trade_state": "SUCCESS",
        "trade_state_desc": SUBJECT,
        "success_time": "2026-11-22T16:29:35+08:00",
        "payer": {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
        "amount": {"total": 8888, "payer_total": 8888, "currency": "CNY", "payer_currency": "CNY"},
    }


async def compare_answers(results: Results, side: Side, peer: Peer) -> None:
    """The SDK in WeChat Pay's place: signs an answer, which we believe unless it was altered."""
    with results.check(ORACLE, "an answer that the SDK signed is believed"):
        side.answers(peer, transaction())
        report = await side.provider.query(payment(Channel.QR))
        same((report.outcome, report.amount), (Outcome.PAID, 8888))
    with results.check(ORACLE, "the same answer with one character changed is an unknown outcome"):
        side.answers(peer, transaction())
        body = side.wire.answer.text.replace("8888", "8889", 1)
        headers = dict(side.wire.answer.headers)
        headers.pop("content-length")
        side.wire.answer = httpx.Response(200, text=body, headers=headers)
        try:
            report = await side.provider.query(payment(Channel.QR))
        except OutcomeUnknown:
            return
        raise AssertionError(f"{report} was believed")


async def compare_notifications(results: Results, side: Side, peer: Peer) -> None:
    """A notification sealed by the SDK opens here, and its inner text opens alike on both sides."""
    nonce, kind = "0123456789ab", "transaction"
    plain = json.dumps(transaction(), ensure_ascii=False)
    sealed = AESGCM(API_V3_KEY.encode()).encrypt(nonce.encode(), plain.encode(), kind.encode())
    ciphertext = base64.b64encode(sealed).decode()
    resource = {"nonce": nonce, "associated_data": kind, "ciphertext": ciphertext}
    body = json.dumps(
        {
            "id": "7f0c4a3e-1b8e-5f3e-9d5e-2a6f1c9b8d7e",
            "create_time": "2026-11-22T16:29:36+08:00",
            "resource_type": "encrypt-resource",
            "event_type": "TRANSACTION.SUCCESS",
            "summary": "支付成功",
            "resource": resource | {"original_type": kind, "algorithm": "AEAD_AES_256_GCM"},
        },
        ensure_ascii=False,
    )
    headers = side.sealed(peer, body)
    with results.check(ORACLE, "the SDK opens what is sealed in a notification"):
        same(peer.ask("open_resource", key=API_V3_KEY, **resource), plain)
    with results.check(ORACLE, "a notification that the SDK signed is believed"):
        found = await side.provider.parse_notification(headers, body.encode())
        holds(found.payment, found)
        same((found.reference, found.mismatch), (payment(Channel.QR).reference, None))
    for name, changed in {
        "body": (headers, body + " "),
        "timestamp": (headers | {"wechatpay-timestamp": str(int(NOW.timestamp()) + 1)}, body),
        "nonce": (headers | {"wechatpay-nonce": "f" * 32}, body),
    }.items():
        with results.check(ORACLE, f"the same notification with another {name} is refused"):
            try:
                await side.provider.parse_notification(changed[0], changed[1].encode())
            except InvalidSignature:
                continue
            raise AssertionError("it was believed")
