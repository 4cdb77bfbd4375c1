"""The deployment's encryption keys: the newest encrypts, every older one still decrypts."""

import base64
import dataclasses
import secrets
import tomllib
from collections.abc import Mapping
from pathlib import Path
from typing import Self

KEY_BYTES = 32


class KeyRingError(ValueError):
    """The key file can't be used: empty, malformed, or a key of the wrong size."""


@dataclasses.dataclass(frozen=True)
class KeyRing:
    """The encryption keys: the newest encrypts, any decrypts.

    Attributes:
        newest: the id of the key that encrypts.
        keys: key id to 32 secret bytes.
    """

    newest: str
    keys: Mapping[str, bytes] = dataclasses.field(repr=False)

    def __post_init__(self) -> None:
        if self.newest not in self.keys:
            raise KeyRingError(f"payload key {self.newest!r} is not in the ring")
        for key_id, key in self.keys.items():
            if len(key) != KEY_BYTES:
                raise KeyRingError(f"payload key {key_id!r} has {len(key)} bytes, not {KEY_BYTES}")

    @classmethod
    def parse(cls, text: str) -> Self:
        """Read TOML: `current = "k1"` and `[keys]` with one `k1 = "<base64 of 32 bytes>"` each.

        Raises:
            KeyRingError: the text isn't that; its message never quotes a key.
        """
        try:
            document = tomllib.loads(text)
            newest, encoded = str(document["current"]), document["keys"]
            keys = {name: base64.b64decode(key, validate=True) for name, key in encoded.items()}
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            form = 'current = "k1" and [keys] k1 = "<base64>"'
            raise KeyRingError(f"payload keys: want {form}") from error
        return cls(newest=newest, keys=keys)

    @classmethod
    def from_file(cls, path: Path) -> Self:
        """Read the ring from a file as `parse` describes it."""
        return cls.parse(path.read_text())


def new_key_file() -> str:
    """Return the text of a key file with one fresh key."""
    key = base64.b64encode(secrets.token_bytes(KEY_BYTES)).decode()
    return f'current = "k1"\n\n[keys]\nk1 = "{key}"\n'
