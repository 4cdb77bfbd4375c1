import asyncio
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import httpx

from tests.sandbox.receiver import Receiver


class Rig:
    """A running sandbox, its control API, and the seller's address."""

    def __init__(self, client: httpx.AsyncClient, folder: Path, receiver: Receiver) -> None:
        self.client = client
        self.folder = folder
        self.receiver = receiver
        self.manifest: dict[str, Any] = json.loads((folder / "sandbox.json").read_text())

    async def control(self, path: str, **content: Any) -> Any:
        """POST to the control API; the answer must be good."""
        response = await self.client.post(f"/_sandbox/{path}", json=content)
        assert response.is_success, response.text
        return response.json()

    async def look(self, path: str, **query: str) -> Any:
        """GET from the control API."""
        response = await self.client.get(f"/_sandbox/{path}", params=query)
        assert response.is_success, response.text
        return response.json()

    async def until(self, path: str, holds: Callable[[Any], bool]) -> Any:
        """Look again until it holds."""
        async with asyncio.timeout(10):
            while not holds(seen := await self.look(path)):  # noqa: ASYNC110 - seen over HTTP
                await asyncio.sleep(0.02)
        return seen

    async def moved(self, provider: str, reference: str) -> dict[str, list[int]]:
        """What the ledger holds for one order, by kind, in fen."""
        found: dict[str, list[int]] = {}
        for move in await self.look("ledger", provider=provider, reference=reference):
            if move["reference"] == reference:
                found.setdefault(move["kind"], []).append(move["amount"])
        return found
