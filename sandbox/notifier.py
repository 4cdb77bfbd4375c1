import asyncio
import json
import time
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import httpx

from sandbox.clock import Clock
from sandbox.database import Database
from sandbox.faults import Fault, FaultBook
from sandbox.side import Notice, ProviderSide

TIMEOUT_SECONDS = 10.0
REORDER_SECONDS = 5.0


@dataclass(kw_only=True)
class Delivery:
    """One notification on its way: how often it was tried, and when last."""

    notice: Notice
    created_at: datetime
    attempts: int = 0
    last_at: datetime | None = None


@dataclass(frozen=True)
class Answer:
    """What the receiver said, after how many seconds; `status` 0: it could not be reached.

    `seconds` is from the first byte sent to the last one received.
    """

    status: int
    body: bytes
    accepted: bool
    seconds: float = 0.0


class _Stopwatch:
    """Httpcore's trace of one request: what it takes on the wire, without the client around it."""

    def __init__(self) -> None:
        self._at: dict[str, float] = {}

    async def __call__(self, event: str, _info: dict[str, Any]) -> None:
        self._at[event] = time.perf_counter()

    @property
    def seconds(self) -> float:
        """0 where the request was not made over HTTP."""
        begun = self._at.get("http11.send_request_headers.started", 0.0)
        return self._at.get("http11.receive_response_body.complete", begun) - begun


class Notifier:
    """Delivers notifications on each provider's ladder; nothing is forgotten by a restart."""

    def __init__(
        self,
        database: Database,
        clock: Clock,
        faults: FaultBook,
        transport: httpx.AsyncBaseTransport | None = None,
    ) -> None:
        self._db = database
        self._clock = clock
        self._faults = faults
        self._client = httpx.AsyncClient(
            transport=transport, timeout=TIMEOUT_SECONDS, trust_env=False
        )
        self._sides: dict[str, ProviderSide] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._overtaken: dict[tuple[str, str], asyncio.Event] = {}

    def register(self, side: ProviderSide) -> None:
        """Make a provider's builder, ladder and acceptance rule known."""
        self._sides[side.name] = side

    def schedule(self, notice: Notice | None) -> None:
        """Store the notification and start delivering it; None is no notification."""
        if notice is None:
            return
        delivery = Delivery(notice=notice, created_at=self._clock.now())
        self._store(delivery, "pending")
        self._start(delivery)

    def keep(self, notice: Notice) -> None:
        """Store a notification that nobody gets, as the provider's own history shows it."""
        self._store(Delivery(notice=notice, created_at=self._clock.now(), attempts=1), "lost")
        self._log(notice, Answer(0, b"lost on the way", accepted=False), None)

    def resume(self) -> None:
        """Go on with what an earlier process left."""
        for row in self._db.documents("SELECT document FROM deliveries WHERE state='pending'"):
            self._start(
                Delivery(
                    notice=Notice(**row["notice"]),
                    created_at=datetime.fromisoformat(row["created_at"]),
                    attempts=row["attempts"],
                    last_at=row["last_at"] and datetime.fromisoformat(row["last_at"]),
                )
            )

    async def stop(self) -> None:
        """Stop delivering; the rest is resumed by the next start."""
        await self.forget()
        await self._client.aclose()

    async def forget(self) -> None:
        """Stop the deliveries under way without marking them."""
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def send_now(self, notice: Notice, fault: Fault | None) -> Answer:
        """One attempt outside any ladder, for the control API."""
        return await self._attempt(notice, fault)

    def attempts(self, notice_id: str | None = None) -> list[dict[str, Any]]:
        """Every attempt ever made, or those of one notification, oldest first."""
        where, values = ("WHERE delivery_id=?", [notice_id]) if notice_id else ("", [])
        rows = self._db.rows(f"SELECT * FROM attempts {where} ORDER BY id", *values)  # noqa: S608
        return [row | {"accepted": bool(row["accepted"])} for row in rows]

    def notices(self, provider: str, reference: str | None = None) -> list[Notice]:
        """The provider's notifications, oldest first, narrowed to one order's if it is given."""
        sql = "SELECT document FROM deliveries WHERE provider=? AND ifnull(?, reference)=reference"
        found = self._db.documents(f"{sql} ORDER BY rowid", provider, reference)
        return [Notice(**row["notice"]) for row in found]

    def deliveries(self) -> list[dict[str, Any]]:
        """Every notification with its state: pending, accepted, exhausted or lost."""
        rows = self._db.rows("SELECT id, state, document FROM deliveries ORDER BY rowid")
        return [
            json.loads(row["document"]) | {"id": row["id"], "state": row["state"]} for row in rows
        ]

    def _start(self, delivery: Delivery) -> None:
        task = asyncio.get_running_loop().create_task(self._deliver(delivery))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _deliver(self, delivery: Delivery) -> None:
        ladder = self._sides[delivery.notice.provider].ladder
        while delivery.attempts <= len(ladder):
            if delivery.last_at is not None:
                await self._clock.wait(delivery.last_at, ladder[delivery.attempts - 1])
            accepted = await self._round(delivery.notice)
            delivery.attempts += 1
            delivery.last_at = self._clock.now()
            self._store(delivery, "accepted" if accepted else "pending")
            if accepted:
                return
        self._store(delivery, "exhausted")

    async def _round(self, notice: Notice) -> bool:
        fault = self._faults.take(notice.provider, "notify", notice.reference)
        kind = fault.kind if fault else ""
        params = fault.params if fault else {}
        if kind == "lose":
            self._log(notice, Answer(0, b"lost on the way", accepted=False), fault)
            return False
        if kind == "delay":
            await self._clock.sleep(float(params.get("seconds", 1)))
        if kind == "reorder":
            await self._be_overtaken(notice, float(params.get("seconds", REORDER_SECONDS)))
        copies = int(params.get("times", 2)) if kind == "duplicate" else 1
        answers = await asyncio.gather(*(self._attempt(notice, fault) for _ in range(copies)))
        if event := self._overtaken.pop((notice.provider, notice.reference), None):
            event.set()
        return any(answer.accepted for answer in answers)

    async def _be_overtaken(self, notice: Notice, seconds: float) -> None:
        event = self._overtaken.setdefault((notice.provider, notice.reference), asyncio.Event())
        try:
            await asyncio.wait_for(event.wait(), timeout=seconds)
        except TimeoutError:
            self._overtaken.pop((notice.provider, notice.reference), None)

    async def _attempt(self, notice: Notice, fault: Fault | None) -> Answer:
        side = self._sides[notice.provider]
        message = side.build(notice, fault)
        stopwatch = _Stopwatch()
        try:
            response = await self._client.post(
                notice.url,
                content=message.body,
                headers=message.headers,
                extensions={"trace": stopwatch},
            )
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            answer = Answer(0, repr(error).encode(), accepted=False)
        else:
            accepted = side.accepts(response.status_code, response.content)
            content = response.content
            answer = Answer(response.status_code, content, accepted, stopwatch.seconds)
        self._log(notice, answer, fault)
        return answer

    def _store(self, delivery: Delivery, state: str) -> None:
        notice = delivery.notice
        self._db.execute(
            "INSERT INTO deliveries VALUES (?,?,?,?,?) ON CONFLICT DO UPDATE SET"
            " state=excluded.state, document=excluded.document",
            notice.notice_id,
            notice.provider,
            notice.reference,
            state,
            # Not `asdict`: it copies the whole content first.
            json.dumps(vars(delivery) | {"notice": vars(notice)}, default=datetime.isoformat),
        )

    def _log(self, notice: Notice, answer: Answer, fault: Fault | None) -> None:
        self._db.execute(
            "INSERT INTO attempts (delivery_id, provider, reference, kind, url, at, status, answer,"
            " accepted, fault) VALUES (?,?,?,?,?,?,?,?,?,?)",
            notice.notice_id,
            notice.provider,
            notice.reference,
            notice.kind,
            notice.url,
            self._clock.now().isoformat(),
            answer.status,
            answer.body[:2000].decode("utf-8", "replace"),
            int(answer.accepted),
            fault.kind if fault else None,
        )
