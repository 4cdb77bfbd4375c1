import asyncio
import json
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from domain.errors import InvalidSignature, OutcomeUnknown, ProviderUnavailable
from domain.payment import Payment
from domain.report import Outcome
from providers.wechatpay.platform_keys import PlatformCertificate, open_certificates
from providers.wechatpay.provider import WechatpayProvider
from providers.wechatpay.wire import Malformed
from tests.providers.wechatpay import wechat as side
from tests.providers.wechatpay.wechat import FakeWechat, Key, TurnableClock

API_V3_KEY = side.API_V3_KEY.encode()
NONE = {"code": "RESOURCE_NOT_EXISTS", "message": "无可用的平台证书"}


def refusing(status: int, content: Any) -> Callable[[httpx.Request], httpx.Response]:
    return lambda _: httpx.Response(status, content=json.dumps(content).encode())


@pytest.fixture
def both_kinds(
    build_provider: Callable[..., WechatpayProvider], account: dict[str, Any]
) -> WechatpayProvider:
    """An account on its way from certificates to the public key."""
    return build_provider(account | {"platform_certificates": True})


def test_a_published_download_opens(vectors: dict[str, dict[str, Any]]) -> None:
    vector = vectors["go-certificates"]
    opened = open_certificates(vector["body"].encode(), vector["apiv3_key"].encode())
    assert list(opened) == [vector["expect_serial"]]


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
        {"serial_no": "A11111111111111111111111111111111111111"},
    ],
)
def test_an_entry_that_cannot_be_used_is_left_out(
    change: dict[str, Any], old_certificate: Key
) -> None:
    assert opened_with({}, old_certificate).keys() == {old_certificate.serial}
    assert opened_with(change, old_certificate) == {}


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
    wechat.download = refusing(500, {})
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
    wechat.download = refusing(404, NONE)


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
    wechat.download = refusing(503, {})
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
    certificate_provider: WechatpayProvider, wechat: FakeWechat, payment: Payment,
    transaction: dict[str, Any], clock: TurnableClock,
) -> None:  # fmt: skip
    wechat.then(200, transaction)
    await certificate_provider.query(payment)
    wechat.download = refusing(500, {})
    clock.advance(hours=12)
    for seconds, downloads in ((0, 2), (29, 2), (1, 3)):
        clock.advance(seconds=seconds)
        wechat.then(200, transaction)
        assert (await certificate_provider.query(payment)).outcome is Outcome.PAID
        assert len(wechat.downloads) == downloads


async def test_an_unknown_serial_fetches_the_new_certificate_at_once(
    *,
    certificate_provider: WechatpayProvider, wechat: FakeWechat, payment: Payment,
    transaction: dict[str, Any], old_certificate: Key, new_certificate: Key,
) -> None:  # fmt: skip
    wechat.then(200, transaction)
    await certificate_provider.query(payment)
    wechat.certificates = [old_certificate, new_certificate]
    for signer in (new_certificate, old_certificate, new_certificate):
        wechat.signer = signer
        wechat.then(200, transaction)
        assert (await certificate_provider.query(payment)).outcome is Outcome.PAID
    assert len(wechat.downloads) == 2


async def test_an_unknown_serial_that_stays_unknown_is_searched_once_in_a_while(
    *,
    certificate_provider: WechatpayProvider, wechat: FakeWechat, payment: Payment,
    transaction: dict[str, Any], old_certificate: Key, new_certificate: Key, clock: TurnableClock,
) -> None:  # fmt: skip
    wechat.then(200, transaction)
    await certificate_provider.query(payment)
    for seconds, downloads in ((0, 2), (1, 2), (28, 2), (1, 3), (29, 3)):
        clock.advance(seconds=seconds)
        headers, body = wechat.notify(transaction)
        unknown = wechat.seal(body, new_certificate)
        wechat.signer = old_certificate
        with pytest.raises(InvalidSignature, match="no live key"):
            await certificate_provider.parse_notification(unknown, body)
        assert len(wechat.downloads) == downloads
        await certificate_provider.parse_notification(headers, body)


async def test_an_answer_under_an_unknown_serial_is_an_unknown_outcome(
    certificate_provider: WechatpayProvider, wechat: FakeWechat, payment: Payment,
    new_certificate: Key,
) -> None:  # fmt: skip
    def under_another(_: httpx.Request) -> httpx.Response:
        body = b'{"code_url":"weixin://wxpay/bizpayurl?pr=1"}'
        return httpx.Response(200, content=body, headers=wechat.seal(body, new_certificate))

    wechat.script.append(under_another)
    with pytest.raises(OutcomeUnknown, match="no live key"):
        await certificate_provider.create(payment)


async def test_a_stale_message_with_a_made_up_serial_downloads_nothing(
    certificate_provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any],
    new_certificate: Key,
) -> None:  # fmt: skip
    _, body = wechat.notify(transaction)
    with pytest.raises(InvalidSignature):
        await certificate_provider.parse_notification(
            wechat.seal(body, new_certificate, age=301), body
        )
    assert wechat.downloads == []


async def test_a_public_key_account_never_downloads(
    provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any],
    old_certificate: Key,
) -> None:  # fmt: skip
    _, body = wechat.notify(transaction)
    with pytest.raises(InvalidSignature):
        await provider.parse_notification(wechat.seal(body, old_certificate), body)
    assert wechat.downloads == []


async def test_an_unknown_public_key_id_is_not_searched_among_certificates(
    certificate_provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any],
    public_key: Key,
) -> None:  # fmt: skip
    _, body = wechat.notify(transaction)
    with pytest.raises(InvalidSignature):
        await certificate_provider.parse_notification(wechat.seal(body, public_key), body)
    assert wechat.downloads == []


async def test_a_certificate_is_not_used_after_its_end(
    *,
    certificate_provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any],
    old_certificate: Key, new_certificate: Key, clock: TurnableClock,
) -> None:  # fmt: skip
    ending = side.certificate("old", old_certificate.serial, end=side.NOW + timedelta(hours=1))
    wechat.signer, wechat.certificates = ending, [ending, new_certificate]
    await certificate_provider.parse_notification(*wechat.notify(transaction))
    clock.advance(hours=1)
    wechat.signer = new_certificate
    _, body = wechat.notify(transaction)
    await certificate_provider.parse_notification(wechat.seal(body, new_certificate), body)
    with pytest.raises(InvalidSignature, match="no live key"):
        await certificate_provider.parse_notification(wechat.seal(body, ending), body)


async def test_when_every_certificate_has_ended_new_ones_are_fetched_before_a_call(
    *,
    certificate_provider: WechatpayProvider, wechat: FakeWechat, payment: Payment,
    transaction: dict[str, Any], new_certificate: Key, clock: TurnableClock,
) -> None:  # fmt: skip
    wechat.then(200, transaction)
    await certificate_provider.query(payment)
    clock.advance(days=301)
    fresh = side.certificate("new", new_certificate.serial, end=clock.now + timedelta(days=1))
    wechat.signer, wechat.certificates = fresh, [fresh]
    wechat.then(200, transaction)
    assert (await certificate_provider.query(payment)).outcome is Outcome.PAID


async def test_both_kinds_of_key_are_live_at_once(
    both_kinds: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any],
    old_certificate: Key, public_key: Key,
) -> None:  # fmt: skip
    _, body = wechat.notify(transaction)
    for signer in (public_key, old_certificate, public_key):
        found = await both_kinds.parse_notification(wechat.seal(body, signer), body)
        assert found.payment is not None
    assert len(wechat.downloads) == 1


async def test_a_public_key_account_without_certificates_is_told_so_and_goes_on(
    both_kinds: WechatpayProvider, wechat: FakeWechat, payment: Payment,
    transaction: dict[str, Any], old_certificate: Key,
) -> None:  # fmt: skip
    wechat.download = refusing(404, NONE)
    headers, body = wechat.notify(transaction)
    with pytest.raises(InvalidSignature, match="no live key"):
        await both_kinds.parse_notification(wechat.seal(body, old_certificate), body)
    await both_kinds.parse_notification(headers, body)
    wechat.then(200, transaction)
    assert (await both_kinds.query(payment)).outcome is Outcome.PAID


@pytest.mark.parametrize(
    "download", [refusing(404, {"code": "NOT_FOUND"}), refusing(404, []), refusing(401, NONE)]
)
async def test_another_refusal_of_the_download_keeps_what_is_known(
    *,
    both_kinds: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any],
    old_certificate: Key, new_certificate: Key, download: Callable[..., httpx.Response],
) -> None:  # fmt: skip
    _, body = wechat.notify(transaction)
    by_old = wechat.seal(body, old_certificate)
    await both_kinds.parse_notification(by_old, body)
    wechat.download = download
    wechat.clock.advance(seconds=30)
    with pytest.raises(InvalidSignature):
        await both_kinds.parse_notification(wechat.seal(body, new_certificate), body)
    assert len(wechat.downloads) == 2
    await both_kinds.parse_notification(by_old, body)


async def test_many_calls_at_once_download_once(
    *,
    build_provider: Callable[..., WechatpayProvider], certificate_account: dict[str, Any],
    wechat: FakeWechat, payment: Payment, transaction: dict[str, Any], old_certificate: Key,
    clock: TurnableClock,
) -> None:  # fmt: skip
    wechat.signer = old_certificate
    provider = build_provider(certificate_account)
    for _ in range(20):
        wechat.then(200, transaction)
    reports = await asyncio.gather(*(provider.query(payment) for _ in range(20)))
    assert {report.outcome for report in reports} == {Outcome.PAID}
    assert len(wechat.downloads) == 1


async def test_many_calls_at_once_share_a_failed_download(
    certificate_provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.download = refusing(503, {})
    results = await asyncio.gather(
        *(certificate_provider.query(payment) for _ in range(20)), return_exceptions=True
    )
    assert {type(result) for result in results} == {ProviderUnavailable}
    assert len(wechat.downloads) == 1


async def test_a_cancelled_download_does_not_fail_those_who_wait_for_it(
    *,
    build_provider: Callable[..., WechatpayProvider], certificate_account: dict[str, Any],
    wechat: FakeWechat, payment: Payment, transaction: dict[str, Any], old_certificate: Key,
) -> None:  # fmt: skip
    wechat.signer = old_certificate
    wechat.hold = asyncio.Event()
    provider = build_provider(certificate_account)
    wechat.then(200, transaction)
    first = asyncio.create_task(provider.query(payment))
    await wechat.asked.wait()
    second = asyncio.create_task(provider.query(payment))
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    wechat.hold.set()
    assert (await second).outcome is Outcome.PAID
