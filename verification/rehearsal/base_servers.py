"""The two servers that the product stands on, started as compose starts them."""

import os
import shutil
import signal
from typing import TYPE_CHECKING

from cli.embedded.ports import HOST
from verification.rehearsal.compose import ROOT
from verification.rehearsal.process import Service, other_user, quietly, run

if TYPE_CHECKING:
    from verification.rehearsal.shape import Shape

# The server's parts, and the names of their two ports here: calls, and membership.
_PARTS = {
    "FRONTEND": ("temporal", "frontend-members"),
    "HISTORY": ("history", "history-members"),
    "MATCHING": ("matching", "matching-members"),
    "WORKER": ("system-worker", "system-worker-members"),
}


async def start_postgres(shape: "Shape") -> None:
    """Make the cluster, the roles and the databases, and start the server."""
    data, user = shape.folder / "postgres", other_user()
    data.mkdir()
    password = shape.folder / "superuser"
    shutil.copy(shape.secrets / "postgres_password", password)
    if user is not None:
        for path in (data, password):
            shutil.chown(path, user)
        shape.folder.chmod(0o711)
    given = shape.compose.environment("postgres")["POSTGRES_INITDB_ARGS"].split()
    initdb = [str(shape.servers.postgres / "initdb"), "-D", str(data), "--username=postgres"]
    await run([*initdb, f"--pwfile={password}", *given], os.environ, data, user)
    password.unlink()
    _, *options = shape.compose.command("postgres")
    place = ("-c", f"listen_addresses={HOST}", "-c", f"port={shape.ports['postgres']}")
    server = [str(shape.servers.postgres / "postgres"), "-D", str(data), *options, *place]
    await shape.add(
        "postgres",
        [*server, "-c", "unix_socket_directories="],
        {},
        folder=data,
        stop_seconds=shape.compose.stop_seconds("postgres"),
        # The image's own signal to stop: not until the last client has gone.
        stop_signal=signal.SIGINT,
        user=user,
    ).start()
    script = str(ROOT / "deploy/postgres/databases.sh")
    await run([script], shape.superuser, ROOT)


async def start_temporal(shape: "Shape") -> None:
    """Start the server with its certificates; return when compose's health check is good."""
    ports: dict[str, str] = {}
    for part, (calls, members) in _PARTS.items():
        ports[f"{part}_GRPC_PORT"] = str(shape.ports[calls])
        ports[f"{part}_MEMBERSHIP_PORT"] = str(shape.ports[members])
    metrics = f"{HOST}:{shape.ports['temporal-metrics']}"
    config = ROOT / "deploy/temporal/dynamic-config.yaml"
    more = {
        "BIND_ON_IP": HOST,
        "FRONTEND_HTTP_PORT": str(shape.ports["temporal-http"]),
        "DYNAMIC_CONFIG_FILE_PATH": str(config),
        "PROMETHEUS_ENDPOINT": metrics,
        "TEMPORAL_ENTRYPOINT": str(shape.servers.entrypoint),
    }
    healthy = [str(ROOT / "deploy/temporal/healthy.sh")]
    probing = shape.environment({"METRICS_ADDRESS": metrics})

    async def ready() -> bool:
        process = await quietly(healthy, probing)
        return process == 0

    environment = shape.compose.environment("temporal") | ports | more
    service = Service(
        "temporal",
        shape.compose.command("temporal"),
        shape.environment(environment),
        folder=shape.folder,
        log=shape.log("temporal"),
        ready=ready,
        stop_seconds=shape.compose.stop_seconds("temporal"),
    )
    shape.services["temporal"] = service
    await service.start()
