"""The certificates between Temporal and its clients."""

import asyncio
import os
import shutil
import socket
import ssl
import subprocess
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.x509.oid import ExtendedKeyUsageOID

from cli.embedded.temporal import BINARY
from crypto.key_ring import KeyRing
from engine.client import configured_target, connect
from tests.deploy.conftest import ROOT

Execute = Callable[..., subprocess.CompletedProcess[str]]
DAY = timedelta(days=1)
# A build of the server of the compose file:
#   go get go.temporal.io/server/cmd/server@v1.32.0 && go build go.temporal.io/server/cmd/server
SERVER = os.environ.get("TEMPORAL_SERVER_PROGRAM")


@pytest.fixture
def secrets(execute: Execute, tmp_path: Path) -> Path:
    folder = tmp_path / "secrets"
    folder.mkdir()
    done = execute("deploy/make-certificates.sh", folder)
    assert done.returncode == 0, done.stderr
    return folder


def certificate(secrets: Path, name: str) -> x509.Certificate:
    return x509.load_pem_x509_certificate((secrets / f"temporal_{name}.crt").read_bytes())


def shake_hands(server: Path, client: Path | None, trusted: Path, name: str = "temporal") -> None:
    """Let a client with these files call a server with those. Raises SSLError or OSError."""
    serving = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH, cafile=server / "temporal_ca.crt")
    serving.verify_mode = ssl.CERT_REQUIRED
    serving.load_cert_chain(server / "temporal_server.crt", server / "temporal_server.key")
    calling = ssl.create_default_context(cafile=trusted / "temporal_ca.crt")
    if client:
        calling.load_cert_chain(client / "temporal_client.crt", client / "temporal_client.key")

    async def shake() -> None:
        async def echo(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            with suppress(OSError):
                writer.write(await reader.readexactly(5))
                await writer.drain()
            writer.close()

        listening = await asyncio.start_server(echo, "127.0.0.1", 0, ssl=serving)
        port = listening.sockets[0].getsockname()[1]
        async with listening:
            reader, writer = await asyncio.open_connection(
                "127.0.0.1", port, ssl=calling, server_hostname=name
            )
            writer.write(b"hello")
            assert await reader.readexactly(5) == b"hello"
            writer.close()

    asyncio.run(asyncio.wait_for(shake(), 20))


def test_client_and_server_know_each_other(secrets: Path) -> None:
    shake_hands(secrets, secrets, secrets)


def test_a_stranger_is_not_served(secrets: Path, execute: Execute, tmp_path: Path) -> None:
    other = tmp_path / "other"
    other.mkdir()
    execute("deploy/make-certificates.sh", other)

    for client in (None, other):
        with pytest.raises((ssl.SSLError, asyncio.IncompleteReadError, ConnectionError)):
            shake_hands(secrets, client, secrets)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(secrets, secrets, other)
    with pytest.raises(ssl.SSLCertVerificationError):
        shake_hands(secrets, secrets, secrets, name="elsewhere")


def test_the_client_can_neither_sign_nor_pass_for_the_server(secrets: Path) -> None:
    client, server = certificate(secrets, "client"), certificate(secrets, "server")
    for each, usages in (
        (client, [ExtendedKeyUsageOID.CLIENT_AUTH]),
        (server, [ExtendedKeyUsageOID.SERVER_AUTH, ExtendedKeyUsageOID.CLIENT_AUTH]),
    ):
        used = each.extensions.get_extension_for_class(x509.ExtendedKeyUsage).value
        assert list(used) == usages
        assert not each.extensions.get_extension_for_class(x509.BasicConstraints).value.ca
    assert client.serial_number != server.serial_number


def test_only_the_authoritys_key_is_closed_to_the_containers(secrets: Path) -> None:
    for file in secrets.iterdir():
        mode = 0o400 if file.name == "temporal_ca.key" else 0o444
        assert file.stat().st_mode & 0o777 == mode, file.name


def test_what_is_there_is_kept_and_renewed_on_request_only(
    secrets: Path, execute: Execute, tmp_path: Path
) -> None:
    before = {file.name: file.read_bytes() for file in secrets.iterdir()}
    execute("deploy/make-certificates.sh", secrets)
    assert {file.name: file.read_bytes() for file in secrets.iterdir()} == before

    old = tmp_path / "old"
    shutil.copytree(secrets, old)
    done = execute("deploy/make-certificates.sh", "--renew", secrets)
    assert done.returncode == 0, done.stderr
    changed = {file.name for file in secrets.iterdir() if file.read_bytes() != before[file.name]}
    assert changed == {
        f"temporal_{name}.{kind}" for name in ("server", "client") for kind in ("crt", "key")
    }
    # While one side has been started again and the other not yet.
    shake_hands(secrets, old, old)
    shake_hands(old, secrets, secrets)


def test_they_last_two_years_and_their_authority_ten(secrets: Path) -> None:
    now = datetime.now(UTC)
    for name, days in (("ca", 3650), ("server", 730), ("client", 730)):
        left = certificate(secrets, name).not_valid_after_utc - now
        assert timedelta(days=days) - DAY < left <= timedelta(days=days), name


def test_an_interrupted_run_is_gone_on_with(secrets: Path, execute: Execute) -> None:
    (secrets / "temporal_client.crt").unlink()
    (secrets / "temporal_server.crt").unlink()
    assert execute("deploy/make-certificates.sh", secrets).returncode == 0
    shake_hands(secrets, secrets, secrets)


def test_without_openssl_it_says_what_to_install(execute: Execute, tmp_path: Path) -> None:
    programs = tmp_path / "bin"
    programs.mkdir()
    for name in ("sh", "dirname"):
        (programs / name).symlink_to(shutil.which(name) or "")
    done = execute("deploy/make-certificates.sh", tmp_path, PATH=str(programs))
    assert done.returncode != 0
    assert "apt-get install openssl" in done.stderr


def free_ports(count: int) -> Iterator[str]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [str(each.getsockname()[1]) for each in held]
    for each in held:
        each.close()
    return iter(ports)


@pytest.fixture
def temporal(
    secrets: Path, tmp_path: Path, compose: dict[str, Any], execute: Execute
) -> Iterator[str]:
    """The real server with the compose file's certificates, on SQLite; its address."""
    if SERVER is None:
        pytest.skip("TEMPORAL_SERVER_PROGRAM names no build of the server")
    environment = {
        key: value
        for key, value in compose["services"]["temporal"]["environment"].items()
        if key.startswith("TEMPORAL_TLS_")
    }
    for key, value in environment.items():
        if value.startswith("/run/secrets/"):
            file = compose["secrets"][value.removeprefix("/run/secrets/")]["file"]
            environment[key] = str(secrets / Path(file).name)
    ports = free_ports(10)
    for name in ("FRONTEND", "HISTORY", "MATCHING", "WORKER"):
        environment[f"{name}_GRPC_PORT"] = next(ports)
        environment[f"{name}_MEMBERSHIP_PORT"] = next(ports)
    metrics = f"127.0.0.1:{next(ports)}"
    environment |= {
        "FRONTEND_HTTP_PORT": next(ports),
        "PROMETHEUS_ENDPOINT": metrics,
        "DB": "sqlite",
        "DBNAME": str(tmp_path / "temporal.db"),
        "VISIBILITY_DBNAME": str(tmp_path / "visibility.db"),
        "BIND_ON_IP": "127.0.0.1",
        "DYNAMIC_CONFIG_FILE_PATH": str(ROOT / "deploy/temporal/dynamic-config.yaml"),
        "LOG_LEVEL": "error",
    }
    with subprocess.Popen([SERVER, "start"], env=environment, cwd=tmp_path) as process:  # noqa: S603
        until = time.monotonic() + 60
        while execute("deploy/temporal/healthy.sh", METRICS_ADDRESS=metrics).returncode:
            assert time.monotonic() < until, "the server is not healthy after a minute"
            time.sleep(0.2)
        yield f"127.0.0.1:{environment['FRONTEND_GRPC_PORT']}"
        process.terminate()


async def test_the_real_server_serves_its_clients_and_nobody_else(
    temporal: str, secrets: Path, execute: Execute, monkeypatch: pytest.MonkeyPatch
) -> None:
    keys = KeyRing(newest="k1", keys={"k1": bytes(32)})
    monkeypatch.setenv("TEMPORAL_ADDRESS", temporal)
    with pytest.raises(RuntimeError):
        await connect(keys, target=configured_target())
    given = {
        "TEMPORAL_ADDRESS": temporal,
        "TEMPORAL_TLS_SERVER_CA_CERT_PATH": str(secrets / "temporal_ca.crt"),
        # The compose file calls it by this name.
        "TEMPORAL_TLS_SERVER_NAME": "temporal",
    }
    mine = given | {
        "TEMPORAL_TLS_CLIENT_CERT_PATH": str(secrets / "temporal_client.crt"),
        "TEMPORAL_TLS_CLIENT_KEY_PATH": str(secrets / "temporal_client.key"),
    }
    health = (BINARY, "operator", "cluster", "health")
    assert execute(*health, **given).returncode != 0
    assert "SERVING" in execute(*health, **mine).stdout
    job = execute(
        "deploy/temporal/namespace.sh",
        **mine,
        PATH=f"{BINARY.parent}:/usr/bin:/bin",
        TEMPORAL_NAMESPACE="paysaga",
        TEMPORAL_RETENTION="90d",
    )
    assert job.returncode == 0, job.stderr
    for key, value in mine.items():
        monkeypatch.setenv(key, value)
    client = await connect(keys, target=configured_target())
    assert await client.service_client.check_health()
