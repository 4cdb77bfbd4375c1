"""What a stack is made of, and which parts of it one start wants."""

import dataclasses
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path


class Service(StrEnum):
    """A process of the stack; also its name in logs and links."""

    POSTGRES = "postgres"
    TEMPORAL = "temporal"
    SANDBOX = "sandbox"
    API = "api"
    WORKER = "worker"


UI_PORT = "temporal-ui"
EVERYTHING = frozenset(Service)
# For a stack whose one merchant is the whole load: nothing is left to be shared fairly.
ONE_MERCHANT = {
    f"PAYSAGA_{name}": "10000"
    for kind in ("CREATE", "COMMAND", "READ", "PEER")
    for name in (f"{kind}_RATE", f"{kind}_CONCURRENCY")
}


@dataclasses.dataclass(frozen=True)
class StackConfig:
    """What to start and where its state is.

    Attributes:
        state_dir: everything that survives, and the logs.
        services: which processes; a server given from outside isn't started.
        ports: ports to use, by service or `temporal-ui`; others are remembered or found free.
        database_url: a database of the user's own instead of ours.
        database_owner_url: the role that migrates it; None: the same role does both.
        external_temporal: use the cluster that the TEMPORAL_* variables or profile name.
        sandbox_time_scale: how many seconds pass in the sandbox in one of ours.
        set_temporal_aside: keep the old Temporal folder and begin with a new one.
        variables: more of the environment of the API and the worker, such as their limits.
    """

    state_dir: Path
    services: frozenset[Service] = EVERYTHING
    ports: Mapping[str, int] = dataclasses.field(default_factory=dict)
    database_url: str | None = None
    database_owner_url: str | None = None
    external_temporal: bool = False
    sandbox_time_scale: float = 1
    set_temporal_aside: bool = False
    variables: Mapping[str, str] = dataclasses.field(default_factory=dict)

    def starts(self, service: Service) -> bool:
        """True where this stack runs that process itself."""
        external = {
            Service.POSTGRES: self.database_url is not None,
            Service.TEMPORAL: self.external_temporal,
        }
        return service in self.services and not external.get(service, False)
