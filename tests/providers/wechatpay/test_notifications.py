import json
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import InvalidSignature, Unreadable
from domain.notification import NotificationKind
from domain.payment import Payment
from domain.refund import Refund
from domain.report import Attention, Outcome, RefundOutcome
from providers.wechatpay.provider import WechatpayProvider
from tests.providers.wechatpay import wechat as side
from tests.providers.wechatpay.wechat import FakeWechat, Key, TurnableClock


async def test_a_genuine_payment_notification_is_evidence(
    provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any], payment: Payment
) -> None:
    found = await provider.parse_notification(*wechat.notify(transaction))
    assert (found.provider, found.account) == ("wechatpay", "main")
    assert found.notification_id == "EV-2026112216000000001"
    assert found.kind is NotificationKind.PAYMENT
    assert found.reference == payment.reference
    assert found.refund is None
    assert found.payment is not None
    assert found.payment.outcome is Outcome.PAID
    assert payment.mismatch(found.payment) is None
    assert wechat.requests == []


async def test_a_genuine_refund_notification_is_evidence(
    provider: WechatpayProvider, wechat: FakeWechat, refund_notice: dict[str, Any], refund: Refund
) -> None:
    found = await provider.parse_notification(*wechat.notify(refund_notice, "REFUND.SUCCESS"))
    assert found.kind is NotificationKind.REFUND
    assert found.reference == refund.payment_reference
    assert found.payment is None
    assert found.refund is not None
    assert found.refund.outcome is RefundOutcome.SUCCEEDED
    assert found.refund.amount == 500
    assert found.refund.refunded_at == datetime(2026, 11, 22, 8, 11, tzinfo=UTC)
    assert refund.mismatch(found.refund) is None


@pytest.mark.parametrize(
    ("event", "status", "outcome"),
    [
        ("REFUND.ABNORMAL", "ABNORMAL", RefundOutcome.ABNORMAL),
        ("REFUND.CLOSED", "CLOSED", RefundOutcome.FAILED),
        ("REFUND.SUCCESS", "BRAND_NEW", RefundOutcome.PENDING),
    ],
)
async def test_what_counts_is_the_encrypted_status_and_not_the_envelope(
    *,
    provider: WechatpayProvider,
    wechat: FakeWechat,
    refund_notice: dict[str, Any],
    event: str,
    status: str,
    outcome: RefundOutcome,
) -> None:
    notice = refund_notice | {"refund_status": status}
    found = await provider.parse_notification(*wechat.notify(notice, event))
    assert found.refund is not None
    assert (found.refund.outcome, found.refund.raw_status) == (outcome, status)


async def test_a_notification_of_money_that_went_back_proves_no_payment_and_accuses_nobody(
    provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any], payment: Payment
) -> None:
    found = await provider.parse_notification(
        *wechat.notify(transaction | {"trade_state": "REFUND"})
    )
    assert found.payment is not None
    assert found.payment.outcome is Outcome.PENDING
    assert payment.mismatch(found.payment) is None
    assert payment.apply(found.payment) is payment


@pytest.mark.parametrize("change", [{"mchid": "1999999999"}, {"appid": "wxdeadbeefdeadbeef"}])
async def test_a_genuine_notification_for_another_account_is_marked(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    transaction: dict[str, Any],
    change: dict[str, str],
) -> None:
    found = await provider.parse_notification(*wechat.notify(transaction | change))
    assert found.mismatch is Attention.ACCOUNT_MISMATCH


async def test_a_refund_notification_for_another_merchant_is_marked(
    provider: WechatpayProvider, wechat: FakeWechat, refund_notice: dict[str, Any]
) -> None:
    notice = refund_notice | {"mchid": "1999999999"}
    found = await provider.parse_notification(*wechat.notify(notice, "REFUND.SUCCESS"))
    assert found.mismatch is Attention.ACCOUNT_MISMATCH


@pytest.mark.parametrize(
    ("amount", "attention"),
    [
        ({"total": 1, "payer_total": 1999, "currency": "CNY"}, Attention.AMOUNT_MISMATCH),
        ({"total": 1999, "payer_total": 1, "currency": "CNY"}, None),
        ({"total": 1999, "currency": "USD"}, Attention.CURRENCY_MISMATCH),
        ({}, Attention.AMOUNT_MISMATCH),
    ],
)
async def test_the_orders_total_is_held_against_the_payment(
    *,
    provider: WechatpayProvider,
    wechat: FakeWechat,
    transaction: dict[str, Any],
    payment: Payment,
    amount: dict[str, Any],
    attention: Attention | None,
) -> None:
    found = await provider.parse_notification(*wechat.notify(transaction | {"amount": amount}))
    assert found.payment is not None
    assert payment.mismatch(found.payment) is attention


Spoil = Callable[[dict[str, str], bytes, FakeWechat], tuple[dict[str, str], bytes]]


def reserialised(
    headers: dict[str, str], body: bytes, _: FakeWechat
) -> tuple[dict[str, str], bytes]:
    return headers, json.dumps(json.loads(body)).encode()


def truncated(headers: dict[str, str], body: bytes, _: FakeWechat) -> tuple[dict[str, str], bytes]:
    return headers, body[:-1]


def stale(_: dict[str, str], body: bytes, wechat: FakeWechat) -> tuple[dict[str, str], bytes]:
    return wechat.seal(body, age=301), body


def restamped(
    headers: dict[str, str], body: bytes, wechat: FakeWechat
) -> tuple[dict[str, str], bytes]:
    later = str(int(wechat.clock.now.timestamp()) + 1)
    return headers | {"wechatpay-timestamp": later}, body


def forged(_: dict[str, str], body: bytes, wechat: FakeWechat) -> tuple[dict[str, str], bytes]:
    return wechat.seal(body, Key(side.PUBLIC_KEY_ID, side.rsa_key("forger"))), body


def merchants_own(
    _: dict[str, str], body: bytes, wechat: FakeWechat
) -> tuple[dict[str, str], bytes]:
    return wechat.seal(body, Key(side.MERCHANT_SERIAL, side.rsa_key("merchant"))), body


def probe(headers: dict[str, str], body: bytes, _: FakeWechat) -> tuple[dict[str, str], bytes]:
    signature = "WECHATPAY/SIGNTEST/" + headers["wechatpay-signature"][:-20]
    return headers | {"wechatpay-signature": signature}, body


def bare(_: dict[str, str], body: bytes, __: FakeWechat) -> tuple[dict[str, str], bytes]:
    return {}, body


def huge(_: dict[str, str], __: bytes, wechat: FakeWechat) -> tuple[dict[str, str], bytes]:
    body = b'{"id":"' + b"x" * 2_000_000 + b'"}'
    return wechat.seal(body), body


@pytest.mark.parametrize(
    "spoil",
    [reserialised, truncated, stale, restamped, forged, merchants_own, probe, bare, huge],
)
async def test_a_message_that_is_not_wechats_fresh_report_changes_nothing(
    provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any], spoil: Spoil
) -> None:
    headers, body = spoil(*wechat.notify(transaction), wechat)
    with pytest.raises(InvalidSignature) as caught:
        await provider.parse_notification(headers, body)
    assert caught.value.provider == "wechatpay"


async def test_a_replay_after_five_minutes_is_stale(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    transaction: dict[str, Any],
    clock: TurnableClock,
) -> None:
    message = wechat.notify(transaction)
    first = await provider.parse_notification(*message)
    clock.advance(seconds=299)
    assert await provider.parse_notification(*message) == first
    clock.advance(seconds=1)
    with pytest.raises(InvalidSignature, match="stale"):
        await provider.parse_notification(*message)


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"null",
        b"[" * 200_000,
        b'{"id":"1","event_type":"TRANSACTION.SUCCESS"}',
        b'{"id":"1","id":"2","event_type":"TRANSACTION.SUCCESS","resource":{}}',
        b'{"id":1,"event_type":"TRANSACTION.SUCCESS","resource":{}}',
    ],
)
async def test_a_signed_body_that_is_no_notification_is_rejected_and_no_crash(
    provider: WechatpayProvider, wechat: FakeWechat, body: bytes
) -> None:
    with pytest.raises(InvalidSignature):
        await provider.parse_notification(wechat.seal(body), body)


@pytest.mark.parametrize(
    "change",
    [
        {"algorithm": "AEAD_AES_128_GCM"},
        {"associated_data": "refund"},
        {"nonce": "000000000000"},
        {"ciphertext": "AAAA"},
    ],
)
async def test_a_signed_resource_that_does_not_open_is_rejected(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    transaction: dict[str, Any],
    change: dict[str, str],
) -> None:
    _, body = wechat.notify(transaction)
    content = json.loads(body)
    content["resource"] |= change
    body = json.dumps(content).encode()
    with pytest.raises(InvalidSignature):
        await provider.parse_notification(wechat.seal(body), body)


@pytest.mark.parametrize("event", ["COUPON.USE", "PAYSCORE.USER_CONFIRM"])
async def test_an_event_of_another_product_is_about_nothing_that_we_do(
    provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any], event: str
) -> None:
    told = await provider.parse_notification(*wechat.notify(transaction, event))
    assert (told.kind, told.reference, told.payment) == (NotificationKind.OTHER, "", None)


async def test_content_of_another_product_is_about_nothing_that_we_do(
    provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any]
) -> None:
    _, sealed = wechat.notify(transaction)
    content = json.loads(sealed)
    content["resource"]["original_type"] = "profitsharing"
    body = json.dumps(content).encode()
    told = await provider.parse_notification(wechat.seal(body), body)
    assert told.kind is NotificationKind.OTHER


async def test_an_event_in_another_case_is_read(
    provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any]
) -> None:
    told = await provider.parse_notification(*wechat.notify(transaction, "transaction.success"))
    assert told.kind is NotificationKind.PAYMENT


@pytest.mark.parametrize("original", ["Transaction", ""])
async def test_a_kind_of_content_in_another_case_or_empty_loses_no_payment(
    provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any], original: str
) -> None:
    _, signed = wechat.notify(transaction)
    content = json.loads(signed)
    content["resource"]["original_type"] = original
    body = json.dumps(content).encode()
    found = await provider.parse_notification(wechat.seal(body), body)
    assert found.kind is NotificationKind.PAYMENT


async def test_an_event_without_a_type_is_genuine_and_unreadable(
    provider: WechatpayProvider, wechat: FakeWechat, transaction: dict[str, Any]
) -> None:
    with pytest.raises(Unreadable):
        await provider.parse_notification(*wechat.notify(transaction, ""))


async def test_a_refund_dressed_as_a_payment_is_rejected(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    refund_notice: dict[str, Any],
    transaction: dict[str, Any],
) -> None:
    with pytest.raises(InvalidSignature):
        await provider.parse_notification(*wechat.notify(refund_notice, "TRANSACTION.SUCCESS"))
    with pytest.raises(InvalidSignature):
        await provider.parse_notification(*wechat.notify(transaction, "REFUND.SUCCESS"))
