"""Our own processes and the sandbox, as programs."""

import sys
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime
from pathlib import Path

import httpx
from temporalio.client import Client
from temporalio.service import RPCError

from cli.embedded.ports import HOST
from cli.embedded.program import Program
from engine.polling import polled

ROOT = Path(__file__).resolve().parents[2]
PROBE_TIMEOUT_SECONDS = 2.0
# What is under way has 20 seconds in the worker; in the API, after the requests' five.
WORKER_STOP_SECONDS = 25.0
API_STOP_SECONDS = 30.0


def sandbox_program(
    folder: Path, port: int, log: Path, environment: Mapping[str, str], time_scale: float
) -> Program:
    """The providers' side. `time_scale` is how many of its seconds pass in one of ours."""
    arguments = ["--host", HOST, "--port", str(port), "--data", str(folder)]
    return Program(
        name="sandbox",
        command=[sys.executable, "-m", "sandbox", *arguments, "--time-scale", str(time_scale)],
        ready=answers(f"http://{HOST}:{port}/healthz"),
        log=log,
        environment=environment,
        directory=ROOT,
    )


async def tell_notification_urls(settings: Mapping[str, str]) -> None:
    """Enter our addresses at the sandbox's stores, which are told them beforehand."""
    async with httpx.AsyncClient(trust_env=False, timeout=PROBE_TIMEOUT_SECONDS) as http:
        for told_at, notification_url in settings.items():
            answer = await http.post(told_at, json={"notification_url": notification_url})
            answer.raise_for_status()


def api_program(port: int, log: Path, environment: Mapping[str, str]) -> Program:
    """The HTTP API; ready when its database, Temporal and a worker are."""
    server = ["-m", "uvicorn", "--factory", "api.app:create_app", "--no-access-log"]
    # Who is believed about addresses is a setting of ours (`PAYSAGA_TRUSTED_PROXIES`).
    server += ["--no-proxy-headers"]
    server += ["--http", "api.http.connections:PromptProtocol"]
    binding = ["--host", HOST, "--port", str(port), "--timeout-graceful-shutdown", "5"]
    # Longer than a client keeps an idle connection, so that the server is never the first to go.
    binding += ["--timeout-keep-alive", "75"]
    return Program(
        name="api",
        command=[sys.executable, *server, *binding],
        stop_seconds=API_STOP_SECONDS,
        ready=answers(f"http://{HOST}:{port}/readyz"),
        log=log,
        environment=environment,
        directory=ROOT,
    )


def worker_program(
    client: Callable[[], Awaitable[Client]],
    queues: Sequence[str],
    log: Path,
    environment: Mapping[str, str],
) -> Program:
    """The worker; ready when it polls each of its queues."""
    pollers = FreshPollers(client, queues)
    return Program(
        name="worker",
        command=[sys.executable, "worker.py"],
        ready=pollers.seen,
        stop_seconds=WORKER_STOP_SECONDS,
        log=log,
        environment=environment,
        directory=ROOT,
        prepare=pollers.start_afresh,
    )


def answers(url: str) -> Callable[[], Awaitable[bool]]:
    """A probe: does this URL answer 200?"""

    async def probe() -> bool:
        # Loopback: what the environment says of proxies doesn't count.
        async with httpx.AsyncClient(trust_env=False, timeout=PROBE_TIMEOUT_SECONDS) as http:
            try:
                response = await http.get(url)
            except httpx.TransportError:
                return False
        return response.status_code == httpx.codes.OK

    return probe


class FreshPollers:
    """Sees whether the worker that was started last polls its queues.

    Temporal lists a dead worker's pollers for minutes, so only polls since the start count.
    """

    def __init__(self, client: Callable[[], Awaitable[Client]], queues: Sequence[str]) -> None:
        self._connect = client
        self._queues = queues
        self._client: Client | None = None
        self._started = datetime.now(UTC)

    def start_afresh(self) -> None:
        """Forget the pollers seen so far."""
        self._started = datetime.now(UTC)

    async def seen(self) -> bool:
        """True when every queue has been polled since the last start."""
        try:
            if self._client is None:
                self._client = await self._connect()
            for queue in self._queues:
                if not await polled(self._client, queue, self._started):
                    return False
        except (RPCError, RuntimeError):
            return False
        return True
