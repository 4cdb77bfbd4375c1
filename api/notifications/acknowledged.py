"""Messages that were acknowledged a moment ago: an exact copy is acknowledged unread.

Whoever has one genuine message can send it again and again. Each time it would be verified, looked
up and counted, five milliseconds of the event loop, and lead to nothing.
"""

import time
from collections import OrderedDict
from collections.abc import Mapping
from hashlib import sha256

SECONDS = 300.0
MOST = 10_000
# Headers that providers sign by, or that say how the body is read.
_COUNTED = ("content-type", "wechatpay-")
_SEPARATOR = b"\x00"


class Acknowledged:
    """What this process has acknowledged within `SECONDS`, at most `MOST` of it."""

    def __init__(self) -> None:
        self._until: OrderedDict[bytes, float] = OrderedDict()

    def add(self, digest: bytes) -> None:
        """Remember a message whose content is durable, or of no consequence."""
        self._until[digest] = time.monotonic() + SECONDS
        self._until.move_to_end(digest)
        while len(self._until) > MOST:
            self._until.popitem(last=False)

    def __contains__(self, digest: bytes) -> bool:
        return self._until.get(digest, 0.0) > time.monotonic()


def digest_of(provider: str, account: str, headers: Mapping[str, str], body: bytes) -> bytes:
    """Return what is the same for exact copies of a message at one account alone."""
    counted = sorted(f"{n}: {v}" for n, v in headers.items() if n.startswith(_COUNTED))
    parts = (provider, account, *counted)
    return sha256(_SEPARATOR.join([*(part.encode() for part in parts), body])).digest()
