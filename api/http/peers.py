"""Which address a request comes from, and which addresses count as one peer."""

from collections.abc import Sequence
from ipaddress import IPv4Network, IPv6Address, IPv6Network, ip_address, ip_network

from starlette.datastructures import Headers
from starlette.types import Scope

Network = IPv4Network | IPv6Network

UNKNOWN = "unknown"
# The smallest network that a subscriber gets; its addresses cost nothing.
_SUBSCRIBER_PREFIX = 64


class PeerRule:
    """The rule by which a reverse proxy is believed.

    With no header the peer is who connected. With one, a connection from a trusted proxy is
    answered by the last address in that header that is no trusted proxy's: what stands before it
    was written by the client. Fits `X-Forwarded-For` and headers with one address.
    """

    def __init__(self, header: str | None = None, trusted: Sequence[Network] = ()) -> None:
        self._header = header
        self._trusted = tuple(trusted)

    def address(self, scope: Scope) -> str:
        """Return the peer's address of an ASGI scope; `unknown` where there is none."""
        client = scope.get("client")
        peer: str = client[0] if client else UNKNOWN
        if self._header is None or not self._trusts(peer):
            return peer
        values = Headers(scope=scope).getlist(self._header)
        hops = [hop.strip() for value in values for hop in value.split(",")]
        for hop in reversed(hops):
            try:
                peer = str(ip_address(hop))
            except ValueError:
                break
            if not self._trusts(peer):
                break
        return peer

    def _trusts(self, peer: str) -> bool:
        try:
            address = ip_address(peer)
        except ValueError:
            return False
        return any(address in network for network in self._trusted)


def network_of(peer: str) -> str:
    """Return what is limited as one peer: an IPv4 address, or the /64 network of an IPv6 one."""
    try:
        address = ip_address(peer)
    except ValueError:
        return peer
    if not isinstance(address, IPv6Address):
        return peer
    if address.ipv4_mapped is not None:
        return str(address.ipv4_mapped)
    return str(ip_network((int(address), _SUBSCRIBER_PREFIX), strict=False))
