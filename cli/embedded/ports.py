"""Ports that stay the same from one start to the next, so that links and callbacks survive."""

import json
import random
import socket
from collections.abc import Iterable, Mapping
from contextlib import ExitStack
from pathlib import Path

from cli.embedded.errors import PortTakenError

HOST = "127.0.0.1"
# Below those that the kernel assigns by itself (Linux: from 32768), so that
# nobody is given ours between our choice and the server's start.
_OURS = range(15_000, 32_000)


def assign_ports(
    names: Iterable[str], requested: Mapping[str, int], memory: Path
) -> dict[str, int]:
    """Choose a port for each name: the requested one, the remembered one if free, or any free one.

    Args:
        names: who needs a port.
        requested: ports that must be used, by name.
        memory: JSON file with the last choice; written again.

    Raises:
        PortTakenError: a requested port is in use.
    """
    remembered: dict[str, int] = json.loads(memory.read_text()) if memory.exists() else {}
    chosen: dict[str, int] = {}
    with ExitStack() as held:  # Held open together, so that no two get the same.
        for name in names:
            listener = held.enter_context(socket.socket())
            # As the servers do: a port whose old connections linger is free.
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            _bind(listener, name, requested.get(name), remembered.get(name))
            listener.listen()
            chosen[name] = listener.getsockname()[1]
    memory.write_text(json.dumps(remembered | chosen, indent=2))
    return chosen


def _bind(
    listener: socket.socket, name: str, requested: int | None, remembered: int | None
) -> None:
    wanted = requested or remembered
    while True:
        try:
            listener.bind((HOST, wanted or random.choice(_OURS)))  # noqa: S311 - no secret
        except OSError as error:
            if requested:
                raise PortTakenError(f"port {requested} for {name} is in use") from error
            wanted = None
        else:
            return


def taken(memory: Path) -> dict[str, int]:
    """The remembered ports that some program uses now, by name."""
    remembered: dict[str, int] = json.loads(memory.read_text()) if memory.exists() else {}
    return {name: port for name, port in remembered.items() if not _is_free(port)}


def _is_free(port: int) -> bool:
    with socket.socket() as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return False
    return True
