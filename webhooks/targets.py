"""Where a webhook may go: to the open internet, and not to anything that only we can reach.

The host is resolved once, every address is checked, and the connection goes to a checked address:
a name that answers differently a moment later (DNS rebinding) changes nothing.
"""

import asyncio
import socket
from collections.abc import Awaitable, Callable
from ipaddress import IPv4Address, IPv6Address, ip_address, ip_network
from urllib.parse import urlsplit

import httpx

from domain.errors import PaymentError
from domain.frozen import Frozen

Address = IPv4Address | IPv6Address
Resolver = Callable[[str, int], Awaitable[list[str]]]

RESOLVE_SECONDS = 5.0
LONGEST_URL = 2048
# A dead first address should not hide a living second one; more would only stretch the attempt.
MOST_ADDRESSES = 3
_PORTS = {"https": 443, "http": 80}
_LAST_PORT = 65_535
_PRIVATE = tuple(
    ip_network(network)
    for network in (
        "127.0.0.0/8", "10.0.0.0/8", "172.16.0.0/12", "192.168.0.0/16", "::1/128", "fc00::/7",
    )
)  # fmt: skip
# Names that no public resolver answers (RFC 6761, 6762, 8375; ICANN's `internal`), and usual
# ones of local networks.
_LOCAL_DOMAINS = (
    "localhost", "localdomain", "local", "internal", "intranet", "lan", "home.arpa",
    "test", "example", "invalid",
)  # fmt: skip
_NAT64 = ip_network("64:ff9b::/96")
# Reachable from inside a cloud only, though the registries count them as ordinary addresses:
# Azure's platform address, and the IETF's block with Oracle's metadata service.
_METADATA = (ip_network("168.63.129.16/32"), ip_network("192.0.0.0/24"))


class TargetRefused(PaymentError):  # noqa: N818 - the name says what it is
    """The merchant's URL is not one that we call."""

    code = "webhook_target_refused"


class Target(Frozen):
    """A checked URL: the request says `host` and `authority`, and goes to one of `addresses`."""

    url: str
    host: str
    authority: str
    addresses: list[str]

    def pinned(self, address: str) -> httpx.URL:
        """The URL with the address in the host's place."""
        return httpx.URL(self.url).copy_with(host=address)


def addresses_of(host: str, port: int) -> list[str]:
    """Return the host's addresses, best first, by the system's resolver, which blocks. OSError."""
    found = socket.getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(entry[4][0]) for entry in found))


async def resolve(host: str, port: int) -> list[str]:
    """The same in one of asyncio's threads."""
    return await asyncio.to_thread(addresses_of, host, port)


async def check(url: str, *, allow_private: bool, resolver: Resolver = resolve) -> Target:
    """The URL with its addresses, all of them lawful. TargetRefused otherwise.

    `allow_private` (sandbox mode) also takes plain http, loopback and private networks; link-local,
    metadata, multicast and unspecified addresses stay rejected.
    """
    parts = parse(url, allow_private=allow_private)
    host = parts.raw_host.decode("ascii")
    port = parts.port or _PORTS[parts.scheme]
    try:
        async with asyncio.timeout(RESOLVE_SECONDS):
            addresses = await resolver(host, port)
    except (OSError, UnicodeError) as error:  # TimeoutError is an OSError
        raise TargetRefused(f"The host {host} cannot be resolved.") from error
    if not addresses:
        raise TargetRefused(f"The host {host} has no address.")
    for address in addresses:
        if not is_lawful(ip_address(address), allow_private=allow_private):
            raise TargetRefused(f"The host {host} is not on the open internet.")
    return Target(
        url=str(parts),
        host=host,
        authority=parts.netloc.decode("ascii"),
        addresses=addresses[:MOST_ADDRESSES],
    )


async def check_new(url: str, *, allow_private: bool, resolver: Resolver = resolve) -> None:
    """Raise TargetRefused unless a merchant may set this webhook URL.

    Stricter than `check`, which every attempt passes: what is stored already goes on working. In
    sandbox mode a name is not resolved, because the machine may be offline.
    """
    if len(url) > LONGEST_URL or any(not " " < character <= "~" for character in url):
        raise TargetRefused(
            f"The webhook URL has at most {LONGEST_URL} characters of ASCII and no blanks; write"
            " other letters percent-encoded, and a name of such letters in its xn-- form."
        )
    parts = parse(url, allow_private=allow_private)
    if parts.fragment or "#" in url:
        raise TargetRefused("The webhook URL must not carry a fragment: nobody would receive it.")
    if "@" in urlsplit(url).netloc or "\\" in url:
        raise TargetRefused("The webhook URL must not carry a user, a password or a backslash.")
    if not allow_private and not may_be_public(parts.host):
        raise TargetRefused(f"The host {parts.host} is not on the open internet.")
    if not allow_private or _is_address(parts.host):
        await check(url, allow_private=allow_private, resolver=resolver)


def parse(url: str, *, allow_private: bool) -> httpx.URL:
    """The URL, if its form is one that we call; for where a merchant sets it."""
    try:
        parts = httpx.URL(url)
    except httpx.InvalidURL as error:
        raise TargetRefused("The webhook URL is not a URL.") from error
    if parts.scheme != "https" and not (allow_private and parts.scheme == "http"):
        raise TargetRefused("The webhook URL must begin with https://.")
    if not parts.host:
        raise TargetRefused("The webhook URL names no host.")
    if parts.port is not None and not 0 < parts.port <= _LAST_PORT:
        raise TargetRefused("The webhook URL names a port that does not exist.")
    if parts.userinfo:
        raise TargetRefused("The webhook URL must not carry a user or password.")
    return parts


def is_lawful(address: Address, *, allow_private: bool) -> bool:
    """True where a webhook may go to this address."""
    address = _unwrapped(address)
    if address.is_unspecified or address.is_multicast or address.is_link_local:
        return False
    if any(address in network for network in _METADATA):
        return False
    if any(address in network for network in _PRIVATE):
        return allow_private
    # `is_global` leaves out private, loopback, documentation and carrier-grade NAT ranges.
    site_local = isinstance(address, IPv6Address) and address.is_site_local
    return address.is_global and not address.is_reserved and not site_local


def may_be_public(host: str) -> bool:
    """Return whether a URL's host can be on the open internet, as far as its text shows.

    An address is judged as `is_lawful` does. A name must have a domain, and none that is local by
    definition. `127.1` and `0x7f000001` are addresses to some resolvers, and rejected.
    """
    name = host.strip("[]").rstrip(".").lower()
    try:
        return is_lawful(ip_address(name), allow_private=False)
    except ValueError:
        labels = name.split(".")
    if len(labels) == 1 or not all(labels) or labels[-1][0].isdigit():
        return False
    return not any(f".{name}".endswith(f".{domain}") for domain in _LOCAL_DOMAINS)


def _is_address(host: str) -> bool:
    try:
        ip_address(host)
    except ValueError:
        return False
    return True


def _unwrapped(address: Address) -> Address:
    """The IPv4 address that an IPv6 address stands for, where it stands for one."""
    if isinstance(address, IPv4Address):
        return address
    if address in _NAT64:
        return IPv4Address(int(address) & 0xFFFFFFFF)
    # A Teredo address names its relay and its client; the client is where packets end.
    teredo = address.teredo
    return address.ipv4_mapped or address.sixtofour or (teredo[1] if teredo else None) or address
