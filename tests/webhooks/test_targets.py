import socket
from ipaddress import ip_address

import pytest

from webhooks.targets import MOST_ADDRESSES, Resolver, TargetRefused, check, is_lawful, resolve


def answering(*addresses: str) -> Resolver:
    async def resolver(host: str, port: int) -> list[str]:
        return list(addresses)

    return resolver


@pytest.mark.parametrize("address", ["93.184.216.34", "2606:2800:220:1::1946", "64:ff9b::808:808"])
def test_the_open_internet_is_lawful(address: str) -> None:
    assert is_lawful(ip_address(address), allow_private=False)


@pytest.mark.parametrize(
    "address",
    [
        "127.0.0.1",
        "127.8.8.8",
        "10.0.0.1",
        "172.16.0.1",
        "172.31.255.255",
        "192.168.1.1",
        "::1",
        "fd00::1",
        "::ffff:127.0.0.1",
        "::ffff:10.0.0.1",
        "64:ff9b::7f00:1",
        "2002:7f00:1::",
    ],
)
def test_loopback_and_private_networks_are_for_the_sandbox_only(address: str) -> None:
    assert not is_lawful(ip_address(address), allow_private=False)
    assert is_lawful(ip_address(address), allow_private=True)


@pytest.mark.parametrize("allow_private", [True, False])
@pytest.mark.parametrize(
    "address",
    [
        "0.0.0.0",  # noqa: S104 - refused
        "::",
        "169.254.169.254",
        "::ffff:169.254.169.254",
        "64:ff9b::a9fe:a9fe",
        "2002:a9fe:a9fe::",
        "2001:0:4136:e378:8000:63bf:5601:5601",
        "fe80::1",
        "fe80::1%eth0",
        "100.64.0.1",
        "100.100.100.200",
        "168.63.129.16",
        "192.0.0.192",
        "192.0.2.1",
        "198.18.0.1",
        "224.0.0.1",
        "ff02::1",
        "240.0.0.1",
        "255.255.255.255",
        "::7f00:1",
        "64:ff9b:1::1",
        "2001:db8::1",
        "fec0::1",
    ],
)
def test_what_only_we_can_reach_is_rejected_even_in_the_sandbox(
    address: str, *, allow_private: bool
) -> None:
    assert not is_lawful(ip_address(address), allow_private=allow_private)


@pytest.mark.parametrize(
    "url",
    [
        "http://tea.example/",
        "ftp://tea.example/",
        "file:///etc/passwd",
        "tea.example",
        "https://",
        "https:///hooks",
        "https://user@tea.example/",
        "https://user:pass@tea.example/",
        "https://tea.example:99999/",
        "https://\x00/",
        "",
    ],
)
async def test_a_url_of_another_form_is_rejected(url: str) -> None:
    with pytest.raises(TargetRefused):
        await check(url, allow_private=False, resolver=answering("93.184.216.34"))


async def test_plain_http_is_for_the_sandbox_only() -> None:
    target = await check("http://tea.example/", allow_private=True, resolver=answering("127.0.0.1"))

    assert target.addresses == ["127.0.0.1"]


async def test_a_name_with_one_unlawful_address_is_rejected_whole() -> None:
    with pytest.raises(TargetRefused):
        await check(
            "https://tea.example/",
            allow_private=False,
            resolver=answering("93.184.216.34", "127.0.0.1"),
        )


@pytest.mark.parametrize(
    "host", ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "[::1]", "localhost"]
)
async def test_every_spelling_of_this_machine_is_rejected(host: str) -> None:
    with pytest.raises(TargetRefused):
        await check(f"https://{host}/", allow_private=False)


async def test_a_name_without_addresses_is_rejected() -> None:
    with pytest.raises(TargetRefused):
        await check("https://tea.example/", allow_private=False, resolver=answering())


@pytest.mark.parametrize("failure", [socket.gaierror(), TimeoutError(), UnicodeError()])
async def test_a_name_that_does_not_resolve_is_rejected(failure: Exception) -> None:
    async def resolver(host: str, port: int) -> list[str]:
        raise failure

    with pytest.raises(TargetRefused):
        await check("https://tea.example/", allow_private=False, resolver=resolver)


async def test_a_name_with_an_endless_label_is_rejected() -> None:
    with pytest.raises(TargetRefused):
        await check(f"https://{'a' * 300}.example/", allow_private=False)


async def test_the_target_keeps_the_name_and_the_way() -> None:
    many = [f"93.184.216.{last}" for last in range(1, 9)]

    target = await check(
        "https://茶.example:8443/a?b=c", allow_private=False, resolver=answering(*many)
    )

    assert target.addresses == many[:MOST_ADDRESSES]
    assert target.authority == "xn--cl1a.example:8443"
    assert str(target.pinned("93.184.216.1")) == "https://93.184.216.1:8443/a?b=c"
    assert str(target.pinned("2606:2800::1")) == "https://[2606:2800::1]:8443/a?b=c"


async def test_the_systems_resolver_lists_each_address_once() -> None:
    assert await resolve("127.0.0.1", 443) == ["127.0.0.1"]
