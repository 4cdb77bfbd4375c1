"""The images' trees, made as the Dockerfile makes them, running the compose file's own commands.

What a machine without an engine can rehearse: only the locked production dependencies, only the
files that are copied, a plain user where we are root, and every process healthy by its own check.
The API and the workers run from a tree that holds nothing of the sandbox which they pay at.
"""

import asyncio
import os
import re
import socket
import subprocess
from collections.abc import AsyncIterator, Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import httpx
import pytest
from sqlalchemy import make_url

from cli.embedded.config import Service, StackConfig
from cli.embedded.postgres import RUNTIME
from cli.embedded.stack import Stack
from cli.embedded.temporal import BINARY
from deploy import install
from tests.deploy.conftest import ROOT, load_compose, read_env
from tests.deploy.image import chain, copy_image
from tests.deploy.test_dockerfile import target_of

pytestmark = pytest.mark.stack

Execute = Callable[..., subprocess.CompletedProcess[str]]

HEALTHY_SECONDS = 60


class Image:
    """Folders that stand for the images, and places that stand for their mounts and names."""

    def __init__(self, folder: Path, places: Mapping[str, str]) -> None:
        self._folder = folder / "images"
        self._places = places
        self._services: dict[str, Any] = load_compose(read_env(ROOT / "deploy/sandbox.env"))[
            "services"
        ]

    def build(self) -> None:
        """Copy what is copied and install what is installed."""
        self._folder.mkdir()
        for target in ("build", "production", "sandbox"):
            copy_image(target, self._folder / target)
        (build,) = chain("build")
        groups = re.search(r"uv sync --locked (.*?) --python", "\n".join(build.lines))
        assert groups is not None
        uv = install.install_uv(ROOT / ".uv")
        install.create_environment(uv, self.packages)
        # Not by `uv sync` as in the image, which knows nothing of this machine's mirror.
        requirements = install.locked_requirements(uv, self._folder / "build", groups[1].split())
        install.install(uv, self.packages, requirements)

    @property
    def packages(self) -> Path:
        """The environment that both images have from the same stage."""
        return self._folder / "build/.venv"

    def app(self, service: str) -> Path:
        """The folder of the image that the service is of."""
        target = target_of(self._services[service])
        assert target is not None, service
        return self._folder / target

    def run(self, service: str) -> None:
        """A job: it must end well."""
        with self.started(service) as process:
            assert process.wait(HEALTHY_SECONDS) == 0, service

    @contextmanager
    def started(self, service: str) -> Iterator[subprocess.Popen[bytes]]:
        """The service's command with its environment; stopped as a container is."""
        found = self._services[service]
        process = subprocess.Popen(  # noqa: S603 - the compose file's own command
            self._command(found["command"]), cwd=self.app(service), env=self._environment(found)
        )
        try:
            yield process
        finally:
            process.terminate()
            assert process.wait(HEALTHY_SECONDS) in (0, -15, 143), service

    def execute(self, service: str, *command: str) -> str:
        """What `docker compose exec` prints of a command."""
        done = subprocess.run(  # noqa: S603 - our own commands
            self._command(["python", "-m", *command]),
            cwd=self.app(service),
            env=self._environment(self._services[service]),
            capture_output=True,
            text=True,
            check=True,
        )
        return done.stdout.strip()

    def url(self, service: str) -> str:
        """Where the service is for those outside."""
        return self._placed({"api": "http://api:8000", "sandbox": "http://sandbox:8090"}[service])

    async def healthy(self, service: str) -> None:
        """Wait for the service's own health check."""
        found = self._services[service]
        command = self._command(found["healthcheck"]["test"][1:])
        async with asyncio.timeout(HEALTHY_SECONDS):
            while await self._exit_status(command, self.app(service)) != 0:  # noqa: ASYNC110 - seen from outside
                await asyncio.sleep(0.2)

    async def _exit_status(self, command: list[str], folder: Path) -> int:
        process = await asyncio.create_subprocess_exec(*command, cwd=folder)
        return await process.wait()

    def _command(self, words: list[str]) -> list[str]:
        python = str(self.packages / "bin/python")
        return [python if word == "python" else self._placed(word) for word in words]

    def _environment(self, service: Mapping[str, Any]) -> dict[str, str]:
        given = {
            key: self._placed(value)
            for key, value in service.get("environment", {}).items()
            # The development server knows no TLS: test_certificates.py.
            if not key.startswith("TEMPORAL_TLS_")
        }
        if "PAYSAGA_DATABASE_RUNTIME_ROLE" in given:
            given["PAYSAGA_DATABASE_RUNTIME_ROLE"] = RUNTIME
        return {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"} | given

    def _placed(self, word: str) -> str:
        for inside, outside in self._places.items():
            word = word.replace(inside, outside, 1)
        return word


def free_port() -> int:
    with socket.create_server(("127.0.0.1", 0)) as listener:
        port: int = listener.getsockname()[1]
    return port


@pytest.fixture
async def servers(tmp_path: Path) -> AsyncIterator[Stack]:
    services = frozenset({Service.POSTGRES, Service.TEMPORAL})
    async with Stack(StackConfig(tmp_path / "state", services=services)) as running:
        yield running


@pytest.fixture
def image(servers: Stack, tmp_path: Path) -> Image:
    secrets, accounts = tmp_path / "secrets", tmp_path / "accounts"
    subprocess.run([ROOT / "deploy/make-secrets.sh", secrets], check=True, capture_output=True)  # noqa: S603
    accounts.mkdir()
    (secrets / "payload_keys").symlink_to(secrets / "payload_keys.toml")
    runtime, owner = make_url(servers.database_url), make_url(servers.database_owner_url)
    place = f"{runtime.host}:{runtime.port}/{runtime.database}"
    for name, url in (("database", runtime), ("owner", owner)):
        password = secrets / f"paysaga_{name}_password"
        password.unlink()
        password.write_text(str(url.password))
    api, sandbox, metrics = free_port(), free_port(), free_port()
    places = {
        "paysaga_owner@postgres:5432/paysaga": f"{owner.username}@{place}",
        "paysaga@postgres:5432/paysaga": f"{runtime.username}@{place}",
        "temporal:7233": servers.temporal_address,
        "/run/secrets": str(secrets),
        "/accounts": str(accounts),
        "http://api:8000": f"http://127.0.0.1:{api}",
        "127.0.0.1:8000": f"127.0.0.1:{api}",
        "--port=8000": f"--port={api}",
        "http://sandbox:8090": f"http://127.0.0.1:{sandbox}",
        "--host=sandbox": "--host=127.0.0.1",
        "--port=8090": f"--port={sandbox}",
        "9464": str(metrics),
    }
    return Image(tmp_path, places)


async def test_the_image_starts_whole_and_every_health_check_turns_good(
    image: Image, servers: Stack, execute: Execute
) -> None:
    image.build()
    assert not (image.packages / "bin/pytest").exists()
    assert not (image.app("api") / "sandbox").exists()
    namespace = execute(
        "deploy/temporal/namespace.sh",
        PATH=f"{BINARY.parent}:/usr/bin:/bin",
        TEMPORAL_ADDRESS=servers.temporal_address,
        TEMPORAL_NAMESPACE="paysaga",
        TEMPORAL_RETENTION="90d",
    )
    assert namespace.returncode == 0, namespace.stderr
    image.run("migrate")
    with image.started("sandbox"):
        await image.healthy("sandbox")
        image.run("sandbox-accounts")
        with image.started("worker"), image.started("api"):
            await image.healthy("worker")
            await image.healthy("api")
            await check_payment(image)


async def check_payment(image: Image) -> None:
    """A merchant made by the command line takes a payment by QR code."""
    image.execute("api", "cli", "merchants", "create", "shop-1")
    key = image.execute("api", "cli", "keys", "create", "--merchant", "shop-1")
    order = {"provider": "alipay", "channel": "qr", "amount": 8888, "order_no": "o1"}
    async with httpx.AsyncClient(base_url=image.url("api"), timeout=30) as api:
        api.headers["authorization"] = f"Bearer {key.splitlines()[-1]}"
        made = await api.post("/v1/payments", json=order | {"subject": "三体"})
        assert made.status_code == 201, made.text
        paying = {"provider": "alipay", "checkout": made.json()["checkout"]["value"]}
        async with httpx.AsyncClient(base_url=image.url("sandbox")) as payer:
            paid = await payer.post("/_sandbox/pay", json=paying)
            assert paid.status_code == 200, paid.text
        async with asyncio.timeout(HEALTHY_SECONDS):
            while (await status(api, made.json()["id"])) != "succeeded":  # noqa: ASYNC110
                await asyncio.sleep(0.2)


async def status(api: httpx.AsyncClient, payment_id: str) -> str:
    found: str = (await api.get(f"/v1/payments/{payment_id}")).json()["status"]
    return found
