"""Paysaga's App Store code and Apple's own library: the same texts, believed or refused alike."""

import base64
import json
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx

from domain.errors import InvalidSignature, OutcomeUnknown
from providers.apple_iap.provider import AppleIapProvider, build
from verification.conformance.harness.oracle import holds, same
from verification.conformance.peer import Peer
from verification.conformance.result import Results
from verification.conformance.samples import Wire

ORACLE = "our App Store code and app-store-server-library"
# Flaws of the sandbox's signatures and of what they stand under; "" is none.
BELIEVED = ("", "missing_token", "foreign_token", "upper_case_token", "quantity", "stale")
REFUSED = (
    "unsigned",
    "alg_hs256",
    "bad_signature",
    "tamper_body",
    "foreign_key",
    "foreign_ca",
    "leaf_without_oid",
    "intermediate_without_oid",
    "two_certificates",
    "expired_certificate",
    "unknown_serial",
    "foreign_app",
    "wrong_environment",
)
_ACCOUNT = ("issuer_id", "key_id", "bundle_id", "app_apple_id", "environment")


class Side:
    """Our provider of the sandbox's app, and what the library is told of the same app."""

    def __init__(self, manifest: Mapping[str, Any], http: httpx.AsyncClient) -> None:
        section = manifest["apple_iap"]
        app = section["apps"]["main"]
        root = base64.b64encode(Path(section["root_certificate_file"]).read_bytes()).decode()
        self.account = {name: app[name] for name in _ACCOUNT}
        self.private_key = Path(app["private_key_file"]).read_text()
        self.app = self.account | {"root": root}
        self.base_url = section["base_url"]
        self.control = f"{manifest['control_url']}/apple_iap"
        self.http = http
        self.provider = self.built(http)

    def built(self, http: httpx.AsyncClient) -> AppleIapProvider:
        """Our provider, which sends by this client."""
        texts = {"root_certificate": self.app["root"], "private_key": self.private_key}
        account = self.account | texts | {"name": "main", "base_url": self.base_url}
        return build(account, http=http, clock=lambda: datetime.now(UTC), notify_url="")

    def token(self, peer: Peer) -> str:
        """The library's token."""
        names = ("issuer_id", "key_id", "bundle_id")
        account = {name: self.account[name] for name in names}
        return str(peer.ask("token", private_key=self.private_key, **account))

    async def do(self, deed: str, **content: object) -> dict[str, Any]:
        """What happens on a device, or the text that the device holds."""
        response = await self.http.post(f"{self.control}/{deed}", json=content)
        response.raise_for_status()
        found: dict[str, Any] = response.json()
        return found

    async def told(self, token: str) -> list[str]:
        """Every notification that the sandbox has, asked for with this token."""
        response = await self.http.post(
            f"{self.base_url}/inApps/v1/notifications/history",
            json={"startDate": _ms(-3600), "endDate": _ms(86400)},
            headers={"Authorization": f"Bearer {token}"},
        )
        response.raise_for_status()
        return [entry["signedPayload"] for entry in response.json()["notificationHistory"]]

    async def believes(self, text: str) -> bool:
        """Whether we take the transaction."""
        try:
            await self.provider.verify_purchase(text)
        except InvalidSignature:
            return False
        return True

    async def hears(self, text: str) -> str | None:
        """The number of the notification, None where we refuse it."""
        try:
            body = json.dumps({"signedPayload": text}).encode()
            return (await self.provider.parse_notification({}, body)).notification_id
        except InvalidSignature:
            return None


async def compare(results: Results, manifest: Mapping[str, Any]) -> None:
    """Add every comparison to the results; the manifest's sandbox is running."""
    async with httpx.AsyncClient(trust_env=False) as http:
        side = Side(manifest, http)
        with Peer("app_store_server_library") as peer:
            await compare_transactions(results, side, peer)
            await compare_notifications(results, side, peer)
            await compare_tokens(results, side, peer)


async def compare_transactions(results: Results, side: Side, peer: Peer) -> None:
    """Genuine and spoilt transactions."""
    sold = await side.do("buy", product_id="com.paysaga.tea.coins", notify=False)
    number = sold["transaction_id"]
    for flaw in (*BELIEVED, *REFUSED):
        with results.check(ORACLE, f"a transaction ({flaw or 'genuine'}) is judged alike"):
            content = {"transaction_id": number, "flaw": flaw}
            text = (await side.do("jws", **content))["signed_transaction"]
            theirs = peer.ask("verify", kind="transaction", text=text, app=side.app)
            ours = await side.believes(text)
            same((ours, theirs["ok"]), (flaw in BELIEVED,) * 2)
    with results.check(ORACLE, "both read the same from a transaction"):
        theirs = peer.ask(
            "verify", kind="transaction", text=sold["signed_transaction"], app=side.app
        )["claims"]
        change = (await side.provider.verify_purchase(sold["signed_transaction"])).change
        found = change and change.purchase
        holds(found, change)
        if found:
            read = (found.transaction_id, found.product_id, found.price, found.storefront)
            names = ("transactionId", "productId", "price", "storefront")
            same(read, tuple(theirs[name] for name in names))


async def compare_notifications(results: Results, side: Side, peer: Peer) -> None:
    """What the history holds of a subscription's life, asked for with the library's token."""
    sold = await side.do("buy", product_id="com.paysaga.tea.monthly", notify=False)
    number = {"transaction_id": sold["transaction_id"], "notify": False}
    for deed in ("renew", "expire", "refund"):
        await side.do(deed, **number)
    texts = await side.told(side.token(peer))
    with results.check(ORACLE, f"{len(texts)} notifications are believed and numbered alike"):
        holds(texts, "none came")
        for text in texts:
            theirs = peer.ask("verify", kind="notification", text=text, app=side.app)
            same(await side.hears(text), theirs["claims"]["notificationUUID"])
    with results.check(ORACLE, "the same notifications with one letter changed are refused alike"):
        for text in texts:
            place = len(text) // 2
            changed = text[:place] + ("A" if text[place] != "A" else "B") + text[place + 1 :]
            theirs = peer.ask("verify", kind="notification", text=changed, app=side.app)
            same((await side.hears(changed), theirs["ok"]), (None, False))


async def compare_tokens(results: Results, side: Side, peer: Peer) -> None:
    """What opens the API: ours says since when, which the library leaves out."""
    wire = Wire()
    with results.check(ORACLE, "our token has the library's header and claims"):
        with suppress(OutcomeUnknown):
            await side.built(wire.client()).ask_purchase("1")
        ours = wire.request.headers["authorization"].removeprefix("Bearer ")
        theirs = side.token(peer)
        same(_part(ours, 0), _part(theirs, 0))
        same(_fixed(_part(ours, 1)), _fixed(_part(theirs, 1)))


def _fixed(claims: dict[str, Any]) -> dict[str, Any]:
    return {name: value for name, value in claims.items() if name not in ("iat", "exp")}


def _part(token: str, place: int) -> dict[str, Any]:
    part = token.split(".")[place]
    found: dict[str, Any] = json.loads(base64.urlsafe_b64decode(part + "=="))
    return found


def _ms(seconds: float) -> int:
    return round((datetime.now(UTC).timestamp() + seconds) * 1000)
