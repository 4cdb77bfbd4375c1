"""The compose file's stack as processes on 127.0.0.1: same commands, same variables, same servers.

Only ports, folders and names differ: a container's name becomes 127.0.0.1, a secret its file.
Several API processes stand behind the example proxy, as in front of a cluster.
"""

import os
import signal
import sys
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
from temporalio.client import Client
from temporalio.envconfig import ClientConfigProfile, ClientConfigTLS

from cli.embedded.ports import HOST, assign_ports
from cli.embedded.postgres_programs import BINARIES
from crypto.key_ring import KeyRing
from engine.client import connect
from verification.rehearsal.base_servers import start_postgres, start_temporal
from verification.rehearsal.compose import ROOT, Compose
from verification.rehearsal.process import Probe, Service, quietly, run
from verification.rehearsal.toolchain import Servers, find

APIS, WORKERS = 2, 2
_PORTS = (
    *("postgres", "temporal", "temporal-http", "temporal-metrics", "proxy", "sandbox"),
    *("history", "matching", "system-worker"),
    *("frontend-members", "history-members", "matching-members", "system-worker-members"),
    *(f"api-{number}" for number in range(1, 6)),
    *(f"api-metrics-{number}" for number in range(1, 6)),
    *(f"worker-metrics-{number}" for number in range(1, 6)),
)
# Each process serves one of them.
_METRICS = ("PAYSAGA_METRICS_ADDRESS", "PAYSAGA_API_METRICS_ADDRESS")
# The load is one merchant's: nothing is left to be shared fairly.
_NO_LIMITS = {
    f"PAYSAGA_{kind}_{what}": "10000"
    for kind in ("CREATE", "COMMAND", "READ", "PEER")
    for what in ("RATE", "CONCURRENCY")
}


class Shape:
    """Every service, by name: `postgres`, `temporal`, `sandbox`, `proxy`, `api-1`, `worker-1`."""

    def __init__(
        self, folder: Path, servers: Servers, *, apis: int = APIS, workers: int = WORKERS
    ) -> None:
        self.folder = folder
        self.servers = servers
        self._apis, self._workers = apis, workers
        # Of a range that fits Temporal's table of members, where a port has fifteen bits.
        self.ports = assign_ports(_PORTS, {}, folder / "ports.json")
        self.secrets = folder / "secrets"
        self.accounts = folder / "accounts"
        self.compose = Compose(self._variables(), self._places(), self.secrets)
        self.services: dict[str, Service] = {}

    @property
    def api_url(self) -> str:
        """Our API: behind the proxy where there is more than one."""
        return f"http://{HOST}:{self.ports['proxy' if self._apis > 1 else 'api-1']}"

    @property
    def sandbox_url(self) -> str:
        """The providers."""
        return f"http://{HOST}:{self.ports['sandbox']}"

    @property
    def database_url(self) -> str:
        """Our database as API and workers reach it."""
        password = (self.secrets / "paysaga_database_password").read_text().strip()
        return f"postgresql+asyncpg://paysaga:{password}@{HOST}:{self.ports['postgres']}/paysaga"

    @property
    def superuser(self) -> dict[str, str]:
        """Variables for PostgreSQL's programs, as its superuser."""
        return self.environment(
            {
                "POSTGRES_USER": "postgres",
                "PGHOST": HOST,
                "PGPORT": str(self.ports["postgres"]),
                "PGPASSWORD": (self.secrets / "postgres_password").read_text(),
                "SECRETS": str(self.secrets),
            }
        )

    @property
    def keys(self) -> KeyRing:
        """The payload keys."""
        return KeyRing.from_file(self.secrets / "payload_keys.toml")

    async def temporal_client(self) -> Client:
        """A client with the certificate and the keys."""
        tls = ClientConfigTLS(
            server_name="temporal",
            server_root_ca_cert=self.secrets / "temporal_ca.crt",
            client_cert=self.secrets / "temporal_client.crt",
            client_private_key=self.secrets / "temporal_client.key",
        )
        address = f"{HOST}:{self.ports['temporal']}"
        profile = ClientConfigProfile(address=address, namespace="paysaga", tls=tls)
        return await connect(self.keys, target=profile.to_client_connect_config())

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Start everything in compose's order; stop it in the end."""
        try:
            await self._start()
            yield
        finally:
            for service in reversed(list(self.services.values())):
                await service.stop()

    def api(self, number: int, sources: Path = ROOT, build: str = "one") -> Service:
        """One API process of a build, not started yet."""
        name = f"api-{number}"
        port = self.ports[name]
        words = self._python(self.compose.command("api"))
        changed = {"--host=0.0.0.0": f"--host={HOST}", "--port=8000": f"--port={port}"}
        metrics = f"{HOST}:{self.ports[f'api-metrics-{number}']}"
        more = dict.fromkeys(_METRICS, metrics) | {"PAYSAGA_BUILD_ID": build}
        return self.add(
            name,
            [changed.get(word, word) for word in words],
            self.compose.environment("api") | more,
            folder=sources,
            url=f"http://{HOST}:{port}/healthz",
            stop_seconds=self.compose.stop_seconds("api"),
        )

    def worker(self, number: int, sources: Path = ROOT, build: str = "one") -> Service:
        """One worker process of a build, not started yet; ready when it polls."""
        metrics = f"{HOST}:{self.ports[f'worker-metrics-{number}']}"
        more = dict.fromkeys(_METRICS, metrics) | {"PAYSAGA_BUILD_ID": build}
        return self.add(
            f"worker-{number}",
            self._python(self.compose.command("worker")),
            self.compose.environment("worker") | more,
            folder=sources,
            url=f"http://{metrics}/metrics",
            metric="temporal_num_pollers",
            stop_seconds=self.compose.stop_seconds("worker"),
        )

    async def job(self, service: str, *command: str, more: dict[str, str] | None = None) -> str:
        """Run a job of compose, or another command in the place of one; returns its output."""
        words = list(command) or self.compose.command(service)
        environment = self.environment(self.compose.environment(service) | (more or {}))
        return await run(self._python(words), environment, ROOT)

    async def _start(self) -> None:
        self.accounts.mkdir(parents=True)
        await run([str(ROOT / "deploy/make-secrets.sh"), str(self.secrets)], os.environ, ROOT)
        await start_postgres(self)
        await self.job("temporal-schema", more={"TEMPORAL_SCHEMAS": str(self.servers.schemas)})
        await start_temporal(self)
        await self.job("temporal-namespace")
        await self.job("temporal-indexes")
        await self.job("migrate")
        sandbox = self._python(self.compose.command("sandbox"))
        url = f"{self.sandbox_url}/healthz"
        await self.add("sandbox", sandbox, {}, folder=ROOT, url=url).start()
        await self.job("sandbox-accounts")
        for number in range(1, self._workers + 1):
            await self.worker(number).start()
        await self.job("promote", more={"PAYSAGA_BUILD_ID": "one"})
        for number in range(1, self._apis + 1):
            await self.api(number).start()
        if self._apis > 1:
            await self._start_proxy()

    async def _start_proxy(self) -> None:
        proxy = [find("haproxy"), "-db", "-f", str(ROOT / "deploy/haproxy.cfg")]
        places = {
            "PAYSAGA_PROXY": f"{HOST}:{self.ports['proxy']}",
            "PAYSAGA_API_1": f"{HOST}:{self.ports['api-1']}",
            "PAYSAGA_API_2": f"{HOST}:{self.ports['api-2']}",
        }
        await self.add("proxy", proxy, places, folder=ROOT, url=f"{self.api_url}/v1/").start()

    def add(  # noqa: PLR0913 - a service has as many traits
        self,
        name: str,
        command: Sequence[str],
        environment: dict[str, str],
        *,
        folder: Path,
        url: str | None = None,
        metric: str | None = None,
        stop_seconds: float = 10.0,
        stop_signal: signal.Signals = signal.SIGTERM,
        user: str | None = None,
    ) -> Service:
        """A service that is not started yet; with no `url` it is PostgreSQL. Traits: `Service`."""
        probe = _answers(url, metric) if url else self.postgres_answers
        service = Service(
            name,
            command,
            self.environment(environment),
            folder=folder,
            log=self.log(name),
            ready=probe,
            stop_seconds=stop_seconds,
            stop_signal=stop_signal,
            user=user,
        )
        self.services[name] = service
        return service

    def log(self, name: str) -> Path:
        """The service's log file."""
        logs = self.folder / "logs"
        logs.mkdir(exist_ok=True)
        return logs / f"{name}.log"

    async def postgres_answers(self) -> bool:
        """Whether the database server takes connections."""
        probe = [str(BINARIES / "pg_isready"), "-q", "-h", HOST, "-p", str(self.ports["postgres"])]
        return await quietly([*probe, "-U", "postgres"], self.environment({})) == 0

    def environment(self, given: dict[str, str]) -> dict[str, str]:
        """The variables of a process: the given ones, and what every container's image has."""
        path = [self.servers.temporal, Path(sys.executable).parent, BINARIES]
        return {
            "PATH": os.pathsep.join([*map(str, path), "/usr/local/bin", "/usr/bin", "/bin"]),
            "LANG": "C.UTF-8",
            "HOME": str(self.folder),
            "PYTHONUNBUFFERED": "1",
            # The certificate is for the container's name.
            "TEMPORAL_TLS_SERVER_NAME": "temporal",
        } | given

    def _python(self, command: Sequence[str]) -> list[str]:
        return [sys.executable if word == "python" else word for word in command]

    def _variables(self) -> dict[str, str]:
        return _NO_LIMITS | {
            "PAYSAGA_MODE": "sandbox",
            "PAYSAGA_PUBLIC_URL": self.api_url,
            "PAYSAGA_PRODUCTS_FILE": "/accounts/products.toml",
            "PAYSAGA_PEER_HEADER": "X-Forwarded-For",
            "PAYSAGA_TRUSTED_PROXIES": "127.0.0.0/8",
        }

    def _places(self) -> dict[str, str]:
        postgres, sandbox = self.ports["postgres"], self.ports["sandbox"]
        return {
            # Whole values.
            "postgres": HOST,
            "5432": str(postgres),
            # Parts of values.
            "@postgres:5432": f"@{HOST}:{postgres}",
            "temporal:7233": f"{HOST}:{self.ports['temporal']}",
            "--host=sandbox": f"--host={HOST}",
            "--port=8090": f"--port={sandbox}",
            "http://sandbox:8090": f"http://{HOST}:{sandbox}",
            "--data=/accounts": f"--data={self.accounts}",
            "/accounts/": f"{self.accounts}/",
        }


def _answers(url: str, metric: str | None) -> Probe:
    async def probe() -> bool:
        async with httpx.AsyncClient(trust_env=False, timeout=2.0) as http:
            try:
                answer = await http.get(url)
            except httpx.HTTPError:
                return False
        if metric is None:
            # The proxy answers 401 for the API: whoever answers is there.
            return answer.status_code < httpx.codes.INTERNAL_SERVER_ERROR
        return any(
            line.startswith(metric) and float(line.rsplit(" ", 1)[1]) > 0
            for line in answer.text.splitlines()
        )

    return probe
