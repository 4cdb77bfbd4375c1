"""The connections of a server: how many there may be, and which goes where they are too many."""

import resource
from typing import Protocol

# File descriptors that connections must leave to the database, Temporal, providers and files.
RESERVED_DESCRIPTORS = 256
# An idle connection has some 10 KB.
MOST_DESCRIPTORS = 16_384


def raise_descriptors() -> None:
    """Let this process open as many files as it may, up to `MOST_DESCRIPTORS`.

    The usual limit of 1,024 is for programs that use `select`, and each connection is a file.
    """
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    most = MOST_DESCRIPTORS if hard == resource.RLIM_INFINITY else min(hard, MOST_DESCRIPTORS)
    if soft != resource.RLIM_INFINITY and soft < most:
        resource.setrlimit(resource.RLIMIT_NOFILE, (most, hard))


def most_connections() -> int:
    """Return how many connections this process may have, by its limit of open files."""
    soft, _ = resource.getrlimit(resource.RLIMIT_NOFILE)
    files = MOST_DESCRIPTORS if soft == resource.RLIM_INFINITY else soft
    return max(files - RESERVED_DESCRIPTORS, RESERVED_DESCRIPTORS)


class Connection(Protocol):
    """What is known of a connection here."""

    @property
    def is_unfinished(self) -> bool:
        """Whether it has begun with a request, or is new, and nothing is being answered."""

    @property
    def idle_since(self) -> float | None:
        """When it was last answered, in seconds of the loop's clock; None in a request."""

    def hang_up(self) -> None:
        """Close it, whatever is under way."""


class Crowd:
    """The connections of a server, by the network that they come from, the oldest first."""

    def __init__(self) -> None:
        self._by_network: dict[str, dict[Connection, None]] = {}

    def join(self, network: str, connection: Connection) -> None:
        """Count a connection."""
        self._by_network.setdefault(network, {})[connection] = None

    def leave(self, network: str, connection: Connection) -> None:
        """Forget a connection."""
        own = self._by_network.get(network, {})
        own.pop(connection, None)
        if not own:
            self._by_network.pop(network, None)

    def dispensable(self, newest: Connection) -> Connection:
        """Return what is to go first: of the network with the most, what is not being answered.

        Whose request has not arrived goes before who is between two requests, and the newest last.
        """
        greatest = max(self._by_network.values(), key=len)
        unfinished = (each for each in greatest if each.is_unfinished and each is not newest)
        idle = [each for each in greatest if each.idle_since is not None]
        # Where each of them is being answered, the oldest goes all the same; the newest of a
        # network with fewer has not had its turn.
        oldest = newest if newest in greatest else next(iter(greatest))
        longest = min(idle, key=lambda each: each.idle_since or 0.0, default=oldest)
        return next(unfinished, longest)
