"""What a provider sandbox executed, and what its merchants' inboxes received."""

import json
from collections.abc import Iterable
from datetime import UTC, datetime
from typing import Any

import httpx

from domain.merchant import Merchant
from reconciliation.audit.records import Attempt, Message, Move, ProviderOrder, ProviderRecords

# A trade that its payer has not opened yet; the sandbox's own status.
_SHOWN = "SHOWN"
_OPEN = {
    "alipay": (_SHOWN, "WAIT_BUYER_PAY"),
    "wechatpay": ("NOTPAY", "USERPAYING"),
    "unionpay": ("CREATED", "OPENED"),
}
_TIMEOUT_SECONDS = 30.0


class SandboxReader:
    """Reads over the control API of `url` (an origin); httpx.HTTPError where it doesn't answer."""

    def __init__(self, url: str) -> None:
        self._url = url.rstrip("/")

    async def read(self) -> ProviderRecords:
        """Orders, moves of money and notifications."""
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_SECONDS) as http:
            # An empty change of the clock tells how it stands.
            clock = (await http.post(f"{self._url}/_sandbox/clock", json={})).json()
            orders = await self._get(http, "orders")
            ledger = await self._get(http, "ledger")
            notifications = await self._get(http, "notifications")
        return ProviderRecords(
            orders=[_order(row, float(clock["scale"])) for row in orders],
            moves=[_move(row) for row in ledger],
            attempts=[_attempt(row) for row in notifications["attempts"]],
        )

    async def read_inbox(self, merchants: Iterable[Merchant]) -> list[Message]:
        """What the merchants' inboxes at the sandbox received."""
        messages = []
        async with httpx.AsyncClient(trust_env=False, timeout=_TIMEOUT_SECONDS) as http:
            for merchant in merchants:
                name = self._inbox(merchant)
                if name is not None:
                    rows = await self._get(http, f"merchant/{name}")
                    messages += [_message(merchant.id, row) for row in rows]
        return messages

    def has_inbox_of(self, merchant: Merchant) -> bool:
        """Whether the merchant's webhooks go to the sandbox's inbox."""
        return self._inbox(merchant) is not None

    def _inbox(self, merchant: Merchant) -> str | None:
        before, _, name = (merchant.webhook_url or "").partition(f"{self._url}/merchant/")
        return name.removesuffix("/webhooks") if name and not before else None

    async def _get(self, http: httpx.AsyncClient, path: str) -> Any:
        answer = await http.get(f"{self._url}/_sandbox/{path}")
        answer.raise_for_status()
        return answer.json()


def _order(row: dict[str, Any], scale: float) -> ProviderOrder:
    provider, status = row["provider"], row["status"]
    return ProviderOrder(
        provider=provider,
        merchant=row["merchant"],
        reference=row["reference"],
        amount=row["amount"],
        status=status,
        payable=status in _OPEN.get(provider, ()) and not _expired(row, scale),
        begun=status != _SHOWN,
    )


def _expired(row: dict[str, Any], scale: float) -> bool:
    """Waiting passes `scale` times faster at the sandbox; its timestamps are real."""
    if row["expires_at"] is None:
        return False
    created = datetime.fromisoformat(row["created_at"])
    life = (datetime.fromisoformat(row["expires_at"]) - created).total_seconds()
    return (datetime.now(UTC) - created).total_seconds() * scale >= life


def _move(row: dict[str, Any]) -> Move:
    return Move(
        provider=row["provider"],
        merchant=row["merchant"],
        reference=row["reference"],
        amount=row["amount"],
        refund_reference=row["refund_reference"],
        at=datetime.fromisoformat(row["at"]),
    )


def _attempt(row: dict[str, Any]) -> Attempt:
    return Attempt(
        provider=row["provider"],
        reference=row["reference"],
        fault=row["fault"],
        accepted=bool(row["accepted"]),
        at=datetime.fromisoformat(row["at"]),
    )


def _message(merchant: str, row: dict[str, Any]) -> Message:
    body = json.loads(row["body"])
    return Message(
        place=row["id"],
        merchant=merchant,
        event_id=row["headers"].get("webhook-id", ""),
        type=body["type"],
        status=row["status"],
        subject=(body["data"].get("id") or body["data"]["payment_id"]).replace("-", ""),
        amount=body["data"].get("amount"),
    )
