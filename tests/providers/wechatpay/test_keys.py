import json
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from typing import Any

import httpx
import pytest

from domain.errors import ProviderUnavailable
from domain.payment import Payment
from domain.report import Outcome
from providers.wechatpay.keys import PlatformCertificate, open_certificates
from providers.wechatpay.provider import WechatpayProvider
from providers.wechatpay.signing import comparable_serial
from providers.wechatpay.wire import Malformed
from tests.providers.wechatpay import wechat as side
from tests.providers.wechatpay.wechat import FakeWechat, Key, TurnableClock

API_V3_KEY = side.API_V3_KEY.encode()


def test_a_published_download_opens(vectors: dict[str, dict[str, Any]]) -> None:
    vector = vectors["go-certificates"]
    opened = open_certificates(vector["body"].encode(), vector["apiv3_key"].encode())
    assert list(opened) == [comparable_serial(vector["expect_serial"])]


def opened_with(change: dict[str, Any], key: Key) -> dict[str, PlatformCertificate]:
    entry = {"serial_no": key.serial, "encrypt_certificate": side.sealed(key.pem.encode())}
    return open_certificates(json.dumps({"data": [entry | change]}).encode(), API_V3_KEY)


@pytest.mark.parametrize(
    "change",
    [
        {"encrypt_certificate": side.sealed(b"no certificate")},
        {"encrypt_certificate": side.sealed(b"") | {"algorithm": "AEAD_SM4_GCM"}},
        {"encrypt_certificate": side.sealed(b"") | {"ciphertext": "AAAA"}},
        {"serial_no": "0A22222222222222222222222222222222222222"},
    ],
)
def test_an_entry_that_cannot_be_used_is_left_out(
    change: dict[str, Any], old_certificate: Key
) -> None:
    assert opened_with({}, old_certificate)
    assert opened_with(change, old_certificate) == {}


async def test_a_serial_counts_without_case_and_leading_zeros(
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    old_certificate: Key,
) -> None:
    assert old_certificate.serial.startswith("0")
    for serial in (old_certificate.serial.lstrip("0"), old_certificate.serial.lower()):
        assert opened_with({"serial_no": serial}, old_certificate)
        wechat.signer = replace(old_certificate, serial=serial)
        wechat.then(200, transaction)
        assert (await certificate_provider.query(payment)).outcome is Outcome.PAID
    assert len(wechat.downloads) == 1


def test_a_certificate_that_is_not_rsa_is_left_out(old_certificate: Key) -> None:
    pem = side.elliptic_certificate(old_certificate.serial)
    assert opened_with({"encrypt_certificate": side.sealed(pem)}, old_certificate) == {}


@pytest.mark.parametrize("body", [b"", b"{}", b'{"data":{}}', b'{"data":[{"serial_no":"1"}]}'])
def test_a_download_that_is_no_list_of_certificates_is_malformed(body: bytes) -> None:
    with pytest.raises(Malformed):
        open_certificates(body, API_V3_KEY)


async def test_the_first_download_is_signed_by_a_certificate_in_it(
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
) -> None:
    for _ in range(3):
        wechat.then(200, transaction)
        assert (await certificate_provider.query(payment)).outcome is Outcome.PAID
    assert len(wechat.downloads) == 1


async def test_nothing_is_sent_before_a_certificate_is_there(
    certificate_provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.download = side.refusing(500, {})
    with pytest.raises(ProviderUnavailable):
        await certificate_provider.create(payment)
    assert wechat.requests == []


def signed_by_nobody_inside(wechat: FakeWechat, _: Key) -> None:
    wechat.signer = side.certificate("other", "0C33333333333333333333333333333333333333")


def signed_by_a_forger(wechat: FakeWechat, old: Key) -> None:
    wechat.signer = Key(old.serial, side.rsa_key("forger"))


def not_signed(wechat: FakeWechat, _: Key) -> None:
    genuine = wechat.good_download
    wechat.download = lambda request: httpx.Response(200, content=genuine(request).content)


def garbled(wechat: FakeWechat, _: Key) -> None:
    wechat.download = lambda _: httpx.Response(200, content=b"{", headers=wechat.seal(b"{"))


def stale(wechat: FakeWechat, _: Key) -> None:
    def replay(request: httpx.Request) -> httpx.Response:
        body = wechat.good_download(request).content
        return httpx.Response(200, content=body, headers=wechat.seal(body, age=600))

    wechat.download = replay


def unreachable(wechat: FakeWechat, _: Key) -> None:
    def refuse(_: httpx.Request) -> httpx.Response:
        raise httpx.ConnectError("refused")

    wechat.download = refuse


def empty(wechat: FakeWechat, _: Key) -> None:
    wechat.download = side.refusing(404, side.NO_CERTIFICATES)


def expired(wechat: FakeWechat, old: Key) -> None:
    wechat.signer = side.certificate("old", old.serial, end=side.NOW)
    wechat.certificates = [wechat.signer]


def not_yet_valid(wechat: FakeWechat, old: Key) -> None:
    wechat.signer = side.certificate("old", old.serial, start=side.NOW + timedelta(seconds=1))
    wechat.certificates = [wechat.signer]


SPOILT = [
    signed_by_nobody_inside,
    signed_by_a_forger,
    not_signed,
    garbled,
    stale,
    unreachable,
    empty,
    expired,
    not_yet_valid,
]


@pytest.mark.parametrize("spoil", SPOILT)
async def test_a_download_that_cannot_be_trusted_gives_no_key(
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    old_certificate: Key,
    spoil: Callable[[FakeWechat, Key], None],
) -> None:
    spoil(wechat, old_certificate)
    with pytest.raises(ProviderUnavailable, match="certificates"):
        await certificate_provider.query(payment)


async def test_a_failed_first_download_is_tried_again_by_the_next_call(
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
) -> None:
    wechat.download = side.refusing(503, {})
    with pytest.raises(ProviderUnavailable):
        await certificate_provider.query(payment)
    wechat.download = None
    wechat.then(200, transaction)
    assert (await certificate_provider.query(payment)).outcome is Outcome.PAID


async def test_certificates_are_fetched_again_before_twelve_hours_are_over(
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    clock: TurnableClock,
) -> None:
    for hours, downloads in ((0, 1), (10, 1), (1, 2), (10, 2), (1, 3)):
        clock.advance(hours=hours)
        wechat.then(200, transaction)
        await certificate_provider.query(payment)
        assert len(wechat.downloads) == downloads


async def test_a_failed_refresh_keeps_the_keys_and_is_not_repeated_at_every_call(
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    clock: TurnableClock,
) -> None:
    wechat.then(200, transaction)
    await certificate_provider.query(payment)
    wechat.download = side.refusing(500, {})
    clock.advance(hours=12)
    for seconds, downloads in ((0, 2), (29, 2), (1, 3)):
        clock.advance(seconds=seconds)
        wechat.then(200, transaction)
        assert (await certificate_provider.query(payment)).outcome is Outcome.PAID
        assert len(wechat.downloads) == downloads
