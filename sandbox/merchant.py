import asyncio
import json
from typing import Any

from fastapi import APIRouter, Request
from fastapi.responses import JSONResponse, PlainTextResponse, Response

from sandbox.clock import Clock
from sandbox.database import Database


class MerchantInbox:
    """Pretend merchants: they record every webhook and answer as scripted."""

    def __init__(self, database: Database, clock: Clock) -> None:
        self._db = database
        self._clock = clock

    def script(self, name: str, answer: dict[str, Any], times: int) -> None:
        """Answer the next `times` webhooks like this (-1: until scripted anew)."""
        if times < 0:
            self._db.execute("DELETE FROM scripts WHERE name=?", name)
        self._db.execute(
            "INSERT INTO scripts (name, times, document) VALUES (?,?,?)",
            name,
            times,
            json.dumps(answer),
        )

    def receive(self, name: str, headers: dict[str, str], body: bytes) -> dict[str, Any]:
        """Record one webhook and return the scripted answer.

        It may hold `status`, `body` (JSON) or `text`, and `delay_seconds`.
        """
        answer = self._next_answer(name)
        self._db.execute(
            "INSERT INTO received (name, at, headers, body, status) VALUES (?,?,?,?,?)",
            name,
            self._clock.now().isoformat(),
            json.dumps(headers),
            body.decode("utf-8", "replace"),
            answer.get("status", 200),
        )
        return answer

    def received(self, name: str) -> list[dict[str, Any]]:
        """What arrived, oldest first; `body` is the raw text, `status` what was answered."""
        rows = self._db.rows("SELECT * FROM received WHERE name=? ORDER BY id", name)
        return [row | {"headers": json.loads(row["headers"])} for row in rows]

    def forget(self, name: str) -> None:
        """Empty the inbox and its script."""
        self._db.execute("DELETE FROM received WHERE name=?", name)
        self._db.execute("DELETE FROM scripts WHERE name=?", name)

    def _next_answer(self, name: str) -> dict[str, Any]:
        # Counted scripts go before the standing one, so a failure can be slipped in.
        rows = self._db.rows(
            "SELECT * FROM scripts WHERE name=? ORDER BY times < 0, id LIMIT 1", name
        )
        if not rows:
            return {}
        row = rows[0]
        if row["times"] == 1:
            self._db.execute("DELETE FROM scripts WHERE id=?", row["id"])
        elif row["times"] > 1:
            self._db.execute("UPDATE scripts SET times=times-1 WHERE id=?", row["id"])
        answer: dict[str, Any] = json.loads(row["document"])
        return answer


def merchant_router(inbox: MerchantInbox) -> APIRouter:
    """The pretend merchants' webhook address."""
    router = APIRouter(tags=["merchant"])

    @router.post("/merchant/{name}/webhooks")
    async def webhook(name: str, request: Request) -> Response:
        answer = inbox.receive(name, dict(request.headers), await request.body())
        await asyncio.sleep(float(answer.get("delay_seconds", 0)))
        status = int(answer.get("status", 200))
        if "text" in answer:
            return PlainTextResponse(answer["text"], status)
        return JSONResponse(answer.get("body", {}), status)

    return router
