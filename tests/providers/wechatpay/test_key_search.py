import asyncio
from collections.abc import Callable
from datetime import timedelta
from typing import Any

import httpx
import pytest

from domain.errors import InvalidSignature, OutcomeUnknown, ProviderUnavailable
from domain.notification import NotificationKind
from domain.payment import Payment
from domain.report import Outcome
from providers.wechatpay.provider import WechatpayProvider
from tests.providers.wechatpay import wechat as side
from tests.providers.wechatpay.wechat import FakeWechat, Key, TurnableClock


@pytest.fixture
def both_kinds(
    build_provider: Callable[..., WechatpayProvider], account: dict[str, Any]
) -> WechatpayProvider:
    """An account on its way from certificates to the public key."""
    return build_provider(account | {"platform_certificates": True})


async def test_an_unknown_serial_fetches_the_new_certificate_at_once(
    *,
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    old_certificate: Key,
    new_certificate: Key,
) -> None:
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
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    old_certificate: Key,
    new_certificate: Key,
    clock: TurnableClock,
) -> None:
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
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    new_certificate: Key,
) -> None:
    def under_another(_: httpx.Request) -> httpx.Response:
        body = b'{"code_url":"weixin://wxpay/bizpayurl?pr=1"}'
        return httpx.Response(200, content=body, headers=wechat.seal(body, new_certificate))

    wechat.script.append(under_another)
    with pytest.raises(OutcomeUnknown, match="no live key"):
        await certificate_provider.create(payment)


async def test_a_stale_message_with_a_made_up_serial_downloads_nothing(
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    transaction: dict[str, Any],
    new_certificate: Key,
) -> None:
    _, body = wechat.notify(transaction)
    with pytest.raises(InvalidSignature):
        await certificate_provider.parse_notification(
            wechat.seal(body, new_certificate, age=301), body
        )
    assert wechat.downloads == []


async def test_a_public_key_account_never_downloads(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    transaction: dict[str, Any],
    old_certificate: Key,
) -> None:
    _, body = wechat.notify(transaction)
    with pytest.raises(InvalidSignature):
        await provider.parse_notification(wechat.seal(body, old_certificate), body)
    assert wechat.downloads == []


async def test_an_unknown_public_key_id_is_not_searched_among_certificates(
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    transaction: dict[str, Any],
    public_key: Key,
) -> None:
    _, body = wechat.notify(transaction)
    with pytest.raises(InvalidSignature):
        await certificate_provider.parse_notification(wechat.seal(body, public_key), body)
    assert wechat.downloads == []


async def test_a_certificate_is_not_used_after_its_end(
    *,
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    transaction: dict[str, Any],
    old_certificate: Key,
    new_certificate: Key,
    clock: TurnableClock,
) -> None:
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
    certificate_provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    new_certificate: Key,
    clock: TurnableClock,
) -> None:
    wechat.then(200, transaction)
    await certificate_provider.query(payment)
    clock.advance(days=301)
    fresh = side.certificate("new", new_certificate.serial, end=clock.now + timedelta(days=1))
    wechat.signer, wechat.certificates = fresh, [fresh]
    wechat.then(200, transaction)
    assert (await certificate_provider.query(payment)).outcome is Outcome.PAID


async def test_both_kinds_of_key_are_live_at_once(
    both_kinds: WechatpayProvider,
    wechat: FakeWechat,
    transaction: dict[str, Any],
    old_certificate: Key,
    public_key: Key,
) -> None:
    _, body = wechat.notify(transaction)
    for signer in (public_key, old_certificate, public_key):
        found = await both_kinds.parse_notification(wechat.seal(body, signer), body)
        assert found.payment is not None
    assert len(wechat.downloads) == 1


async def test_a_public_key_account_without_certificates_learns_why_and_goes_on(
    both_kinds: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    old_certificate: Key,
) -> None:
    wechat.download = side.refusing(404, side.NO_CERTIFICATES)
    headers, body = wechat.notify(transaction)
    with pytest.raises(InvalidSignature, match="no live key"):
        await both_kinds.parse_notification(wechat.seal(body, old_certificate), body)
    await both_kinds.parse_notification(headers, body)
    wechat.then(200, transaction)
    assert (await both_kinds.query(payment)).outcome is Outcome.PAID


@pytest.mark.parametrize(
    "download",
    [
        side.refusing(404, {"code": "NOT_FOUND"}),
        side.refusing(404, []),
        side.refusing(401, side.NO_CERTIFICATES),
    ],
)
async def test_another_rejection_of_the_download_keeps_what_is_known(
    *,
    both_kinds: WechatpayProvider,
    wechat: FakeWechat,
    transaction: dict[str, Any],
    old_certificate: Key,
    new_certificate: Key,
    download: Callable[..., httpx.Response],
) -> None:
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
    build_provider: Callable[..., WechatpayProvider],
    certificate_account: dict[str, Any],
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    old_certificate: Key,
    clock: TurnableClock,
) -> None:
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
    wechat.download = side.refusing(503, {})
    results = await asyncio.gather(
        *(certificate_provider.query(payment) for _ in range(20)), return_exceptions=True
    )
    assert {type(result) for result in results} == {ProviderUnavailable}
    assert len(wechat.downloads) == 1


async def test_a_cancelled_download_does_not_fail_those_who_wait_for_it(
    *,
    build_provider: Callable[..., WechatpayProvider],
    certificate_account: dict[str, Any],
    wechat: FakeWechat,
    payment: Payment,
    transaction: dict[str, Any],
    old_certificate: Key,
) -> None:
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


async def test_notifications_that_come_together_wait_for_the_one_search(
    certificate_provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any]
) -> None:
    notices = [wechat.notify(transaction) for _ in range(5)]
    heard = await asyncio.gather(
        *(certificate_provider.parse_notification(headers, body) for headers, body in notices)
    )
    assert {notification.kind for notification in heard} == {NotificationKind.PAYMENT}
    assert len(wechat.downloads) == 1
