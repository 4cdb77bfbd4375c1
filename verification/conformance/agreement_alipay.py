"""Paysaga's Alipay code and two SDKs: the same keys and texts must give the same signatures.

RSA2 (PKCS#1 v1.5) has one signature for a key and a text, so equal signatures mean that both sides
saw the same text to sign.
"""

import json
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any
from urllib.parse import parse_qsl, urlencode

import httpx

from domain.errors import InvalidSignature, OutcomeUnknown
from domain.payment import Channel
from domain.report import Outcome
from providers.alipay import encryption
from providers.alipay.provider import AlipayProvider, build
from verification.conformance.harness.oracle import holds, same
from verification.conformance.peer import Peer
from verification.conformance.result import Results
from verification.conformance.samples import (
    NOTIFY_URL,
    SUBJECT,
    KeyPair,
    Wire,
    clock,
    payment,
    refund,
)

SELLER, APP_ID = "2088123412341234", "2021000000000001"
AES_KEY = "MDEyMzQ1Njc4OWFiY2RlZg=="
Cert = dict[str, str]
OURS = "our Alipay code and "


class Side:
    """Our provider of one account, and the keys on both ends."""

    def __init__(self, app: KeyPair, alipay: KeyPair, **changes: Any) -> None:
        self.app, self.alipay, self.wire = app, alipay, Wire()
        account = {
            "name": "main",
            "app_id": APP_ID,
            "seller_id": SELLER,
            "app_private_key": app.private,
            "alipay_public_key": alipay.public,
        }
        settings = {key: value for key, value in (account | changes).items() if value is not None}
        self.provider: AlipayProvider = build(
            settings, http=self.wire.client(), clock=clock, notify_url=NOTIFY_URL
        )

    def sent(self) -> dict[str, str]:
        """The parameters of the last request, from the address and from the body."""
        request = self.wire.request
        return dict(parse_qsl(request.url.query.decode()) + parse_qsl(request.content.decode()))


class Signer:
    """An SDK as the one who signs."""

    def __init__(self, peer: Peer, *, pkcs1: bool) -> None:
        self._peer, self._pkcs1 = peer, pkcs1

    def _key(self, keys: KeyPair) -> dict[str, str]:
        private = keys.private_pkcs1 if self._pkcs1 else keys.private
        return {"private_key": private, "public_key": keys.public}

    def agrees(self, keys: KeyPair, params: dict[str, str]) -> None:
        """Raise unless the SDK signs these parameters as they are signed."""
        rest = dict(params)
        same(rest.pop("sign"), self._peer.ask("sign", params=rest, **self._key(keys)))

    def sign_text(self, keys: KeyPair, text: str) -> str:
        """The SDK's signature over exactly this text."""
        return str(self._peer.ask("sign_text", text=text, **self._key(keys)))


async def compare(results: Results, certificate: Cert) -> None:
    """Add every comparison with both SDKs to the results."""
    app, alipay = KeyPair(), KeyPair()
    with Peer("python_alipay_sdk") as peer:
        oracle, signer = f"{OURS}python-alipay-sdk", Signer(peer, pkcs1=False)
        await compare_signatures(results, oracle, signer, Side(app, alipay))
        await compare_serial_numbers(results, oracle, peer, certificate)
    with Peer("alipay_sdk_python") as peer:
        oracle, signer = f"{OURS}alipay-sdk-python", Signer(peer, pkcs1=True)
        await compare_signatures(results, oracle, signer, Side(app, alipay))
        side = Side(app, alipay, aes_key=AES_KEY)
        await compare_requests(results, f"{oracle}, content encrypted", signer, side)
        compare_encryption(results, oracle, peer)


async def compare_signatures(results: Results, oracle: str, signer: Signer, side: Side) -> None:
    """What we sign, what we are answered, what we are told."""
    await compare_requests(results, oracle, signer, side)
    await compare_answers(results, oracle, signer, side)
    await compare_notifications(results, oracle, signer, side)


async def compare_requests(results: Results, oracle: str, signer: Signer, side: Side) -> None:
    """Checkouts that are only signed, and calls."""
    for channel in (Channel.APP, Channel.PAGE, Channel.WAP):
        with results.check(oracle, f"the {channel} checkout has the SDK's signature"):
            created = await side.provider.create(payment(channel))
            query = str(created.checkout.value).rpartition("?")[2]
            signer.agrees(side.app, dict(parse_qsl(query)))
    side.wire.answer = httpx.Response(200, text="{}")
    calls: dict[str, Callable[[], Awaitable[object]]] = {
        "create": lambda: side.provider.create(payment(Channel.QR)),
        "query": lambda: side.provider.query(payment(Channel.QR)),
        "close": lambda: side.provider.close(payment(Channel.QR)),
        "refund": lambda: side.provider.refund(refund(), payment(Channel.QR)),
    }
    for name, call in calls.items():
        with results.check(oracle, f"the {name} call has the SDK's signature"):
            try:
                await call()
            except OutcomeUnknown:
                signer.agrees(side.app, side.sent())
            else:
                raise AssertionError("an empty answer was believed")


async def compare_answers(results: Results, oracle: str, signer: Signer, side: Side) -> None:
    """The SDK in Alipay's place: signs an answer, which we believe unless it was altered."""
    asked = payment(Channel.QR)
    fields = {
        "code": "10000",
        "out_trade_no": asked.reference,
        "trade_no": "2026112222001400000000000001",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "88.88",
        "subject": SUBJECT,
    }
    text = json.dumps(fields, ensure_ascii=False)
    sign = signer.sign_text(side.alipay, text)
    with results.check(oracle, "an answer that the SDK signed is believed"):
        side.wire.answer = answer(text, sign)
        report = await side.provider.query(asked)
        same((report.outcome, report.amount), (Outcome.PAID, 8888))
    with results.check(oracle, "the same answer with one character changed is an unknown outcome"):
        side.wire.answer = answer(text.replace("88.88", "88.89"), sign)
        try:
            report = await side.provider.query(asked)
        except OutcomeUnknown:
            return
        raise AssertionError(f"{report} was believed")


def answer(text: str, sign: str) -> httpx.Response:
    """An answer as Alipay's gateway writes it."""
    return httpx.Response(
        200, text=f'{{"alipay_trade_query_response":{text},"sign":{json.dumps(sign)}}}'
    )


async def compare_notifications(results: Results, oracle: str, signer: Signer, side: Side) -> None:
    """The SDK in Alipay's place again: signs a notification."""
    asked = payment(Channel.QR)
    fields = {
        "app_id": APP_ID,
        "seller_id": SELLER,
        "notify_id": "2026112200222000000000000001",
        "notify_type": "trade_status_sync",
        "out_trade_no": asked.reference,
        "trade_no": "2026112222001400000000000001",
        "trade_status": "TRADE_SUCCESS",
        "total_amount": "88.88",
        "subject": SUBJECT,
        "charset": "utf-8",
    }
    text = "&".join(f"{key}={fields[key]}" for key in sorted(fields))
    signed = fields | {"sign_type": "RSA2", "sign": signer.sign_text(side.alipay, text)}
    with results.check(oracle, "a notification that the SDK signed is believed"):
        found = await side.provider.parse_notification({}, urlencode(signed).encode())
        holds(found.payment, found)
        same((found.reference, found.mismatch), (asked.reference, None))
    for field, other in (("total_amount", "0.01"), ("subject", SUBJECT + " "), ("app_id", "2")):
        with results.check(oracle, f"the same notification with another {field} is refused"):
            altered = urlencode(signed | {field: other}).encode()
            try:
                await side.provider.parse_notification({}, altered)
            except InvalidSignature:
                continue
            raise AssertionError("it was believed")


async def compare_serial_numbers(results: Results, oracle: str, peer: Peer, app: Cert) -> None:
    """Certificate mode names its certificates by numbers that both compute alike."""
    end = "-----END CERTIFICATE-----\n"
    # Laid out as Alipay's own file is, with blank lines: the SDK splits there only.
    spaced = app["alipay_root_cert"].replace("\n\n", "\n").replace(end, f"{end}\n").strip() + "\n"
    with results.check(oracle, "the certificates have the SDK's serial numbers"):
        side = Side(KeyPair(), KeyPair(), alipay_public_key=None, **app)
        created = await side.provider.create(payment(Channel.APP))
        params = dict(parse_qsl(str(created.checkout.value)))
        theirs = peer.ask("serial_numbers", app_cert=app["app_cert"], root_cert=spaced)
        same([params["app_cert_sn"], params["alipay_root_cert_sn"]], theirs)


def certificate_account(manifest: Path) -> Cert:
    """The key and the certificates of the sandbox's app in certificate mode."""
    app = json.loads(manifest.read_text())["alipay"]["apps"]["cert"]
    names = ("app_private_key", "app_cert", "alipay_cert", "alipay_root_cert")
    return {name: Path(app[f"{name}_file"]).read_text() for name in names}


def compare_encryption(results: Results, oracle: str, peer: Peer) -> None:
    """The same key and text give the same sealed text, both ways."""
    key, text = encryption.load_aes_key(AES_KEY), json.dumps({"subject": SUBJECT})
    for length in (0, 15, 16, 17):
        with results.check(oracle, f"{length} characters are sealed and opened alike"):
            part = text[:length]
            sealed = encryption.encrypt(key, part.encode())
            same(sealed, peer.ask("encrypt", key=AES_KEY, text=part))
            same(peer.ask("decrypt", key=AES_KEY, sealed=sealed), part)
            same(encryption.decrypt(key, sealed).decode(), part)
