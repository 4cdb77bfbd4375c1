"""Failed authentication: a metric for each, and a log line for some."""

import logging
import re

from api.http.metrics import Metrics
from api.http.peers import network_of
from api.http.rates import Buckets
from storage.keys import visible_prefix

_log = logging.getLogger(__name__)

# Lines a second: one in ten seconds about a peer, one a second in all.
_PEER_LINES = 0.1
_LINES = 1.0
_BURST = 5
_OURS = re.compile(r"psk_[\w-]{20,}", re.ASCII)


class FailedAuthentication:
    """Notes each failure; a flood of them makes few lines, which count the rest."""

    def __init__(self, metrics: Metrics) -> None:
        self._metrics = metrics
        self._of_peer = Buckets(_PEER_LINES, 1)
        self._of_all = Buckets(_LINES, _BURST)
        self._unlogged = 0

    async def note(self, peer: str, credential: str, presented: str) -> None:
        """Count it; `presented` is free of secrets."""
        self._metrics.failed_authentication(credential)
        if await self._of_peer.take(network_of(peer)) and await self._of_all.take(""):
            message = "failed authentication from %s: %s; %d more since the last such line"
            _log.warning(message, peer, presented, self._unlogged)
            self._unlogged = 0
        else:
            self._unlogged += 1


def described(key: str | None) -> str:
    """Say what was presented as an API key: of one of ours its public prefix, of others nothing."""
    if key is None:
        return "no API key"
    if not _OURS.fullmatch(key):
        return "not an API key of ours"
    return f"unknown or revoked API key {visible_prefix(key)}…"
