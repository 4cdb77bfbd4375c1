from dataclasses import dataclass
from pathlib import Path

from sandbox.books import Books
from sandbox.clock import Clock
from sandbox.faults import FaultBook
from sandbox.notifier import Notifier
from sandbox.strictness import Strictness


@dataclass(kw_only=True)
class Context:
    """What every part of the sandbox works with.

    `base_url` is the origin without a trailing slash, `production_url` the same app on the port
    where the App Store is in production; keys live in `data_dir / "keys"`.
    """

    data_dir: Path
    base_url: str
    production_url: str
    clock: Clock
    books: Books
    faults: FaultBook
    notifier: Notifier
    strictness: Strictness

    @property
    def keys_dir(self) -> Path:
        """The folder of private keys and certificates, made on first use."""
        folder = self.data_dir / "keys"
        folder.mkdir(parents=True, exist_ok=True)
        return folder
