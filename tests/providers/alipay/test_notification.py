from collections.abc import Callable
from typing import Any
from urllib.parse import quote, quote_plus, urlencode, urlsplit

import pytest

from domain.errors import InvalidSignature, Unreadable
from domain.notification import Notification, NotificationKind
from domain.refund import Refund
from domain.report import Attention, Outcome, RefundOutcome
from providers.alipay import certificates
from providers.kit.certificates import load_certificates
from tests.providers.alipay.conftest import NOW, Order
from tests.providers.alipay.fake import FakeAlipay, Keys, public_pem

Read = Callable[..., Any]
Vectors = Callable[[str], dict[str, Any]]
FIELDS = {
    "notify_id": "2026030100222",
    "notify_type": "trade_status_sync",
    "notify_time": "2026-03-01 12:05:06",
    "app_id": "2021000000000001",
    "seller_id": "2088000000000001",
    "out_trade_no": "11111111222233334444555555555555",
    "trade_no": "2026030122001",
    "trade_status": "TRADE_SUCCESS",
    "total_amount": "19.99",
    "gmt_payment": "2026-03-01 12:05:06",
    "subject": "Tea",
}


@pytest.fixture
def read(alipay: FakeAlipay, account: dict[str, Any]) -> Read:
    provider = alipay.provider(account)

    async def read(body: bytes) -> Notification:
        return await provider.parse_notification({}, body)

    return read


async def test_a_payment_notification_says_all_that_the_payment_needs(
    alipay: FakeAlipay, read: Read, payment: Order
) -> None:
    notification = await read(alipay.form(FIELDS))
    assert (notification.provider, notification.account) == ("alipay", "main")
    assert notification.notification_id == "2026030100222"
    assert notification.reference == payment().reference
    assert notification.kind is NotificationKind.PAYMENT
    assert notification.refund is None
    report = notification.payment
    assert (report.outcome, report.amount, report.paid_at) == (Outcome.PAID, 1999, NOW)
    assert payment().mismatch(report) is None


@pytest.mark.parametrize(
    "value",
    [
        "a+b",
        "a b",
        "a%2Bb",
        "100%",
        "a=b==",
        "a&b",
        '{"amount":"0.01"}',
        "&quot;",
        "茶🍵",
        "a\r\nb",
    ],
)
@pytest.mark.parametrize("charset", ["utf-8", "UTF-8", "GBK", "gb2312"])
async def test_values_are_decoded_once_in_the_charset_that_the_form_names(
    alipay: FakeAlipay, read: Read, value: str, charset: str
) -> None:
    body = alipay.form({**FIELDS, "charset": charset, "subject": value, "trade_no": value})
    assert (await read(body)).payment.provider_reference == value


async def test_a_space_may_be_a_plus_or_a_percent(alipay: FakeAlipay, read: Read) -> None:
    body = alipay.form({**FIELDS, "trade_no": "a b"})
    assert b"a+b" in body
    for spelling in (b"a+b", b"a%20b"):
        assert (await read(body.replace(b"a+b", spelling))).payment.provider_reference == "a b"


async def test_base64_may_travel_with_its_equals_signs_bare(alipay: FakeAlipay, read: Read) -> None:
    body = alipay.form(FIELDS).replace(b"%3D", b"=")
    assert body.endswith(b"==")
    assert (await read(body)).reference == FIELDS["out_trade_no"]


async def test_a_published_notification_with_a_plus_is_believed(
    alipay: FakeAlipay, account: dict[str, Any], vectors: Vectors
) -> None:
    vector = vectors("yansongda-notify-plus")
    found = load_certificates(vector["cert_text"])[0]
    provider = alipay.provider(
        account,
        alipay_public_key=public_pem(certificates.public_key(found)),
        app_id="9021000122682882",
        seller_id="2088721003899159",
    )
    for write in (quote_plus, quote):
        body = urlencode(vector["params"], quote_via=write).encode()
        notification = await provider.parse_notification({}, body)
        assert notification.payment is not None
        assert (notification.payment.outcome, notification.payment.amount) == (Outcome.PAID, 1)
        assert notification.mismatch is None
        with pytest.raises(InvalidSignature):
            await provider.parse_notification({}, body.replace(b"%2B", b"+"))


async def test_the_published_forgery_is_refused(
    alipay: FakeAlipay, account: dict[str, Any], vectors: Vectors
) -> None:
    vector = vectors("nodejs-notify-v1-bad")
    provider = alipay.provider(account, alipay_public_key=vector["public_key_b64_spki"])
    with pytest.raises(InvalidSignature):
        await provider.parse_notification({}, urlencode(vector["params"]).encode())


def changed(change: Callable[[bytes], bytes], name: str) -> Any:
    return pytest.param(change, id=name)


@pytest.mark.parametrize(
    "change",
    [
        changed(lambda body: body.replace(b"19.99", b"99.99"), "amount"),
        changed(lambda body: body + b"&out_biz_no=1", "field added"),
        changed(lambda body: body.replace(b"subject=Tea&", b""), "field dropped"),
        changed(lambda body: body + b"&total_amount=99.99", "field twice"),
        changed(lambda body: b"total_amount=99.99&" + body, "field twice, first"),
        changed(lambda body: body + b"&total%5Famount=99.99", "field twice, encoded"),
        changed(lambda body: body + b"&%E8%8C%B6=1", "key that is no ascii"),
        changed(lambda body: body.replace(b"sign_type=RSA2&", b""), "no sign type"),
        changed(lambda body: body.replace(b"sign_type=RSA2", b"sign_type=RSA"), "older sign type"),
        changed(lambda body: body.partition(b"&sign=")[0], "no signature"),
        changed(lambda body: body.partition(b"&sign=")[0] + b"&sign=", "empty signature"),
        changed(lambda body: body.partition(b"&sign=")[0] + b"&sign=%FF%FE", "signature is bytes"),
        changed(lambda body: body.replace(b"%3A", b"%253A"), "encoded twice"),
        changed(lambda _: b"", "nothing"),
        changed(lambda _: b"\x00\xff", "bytes"),
        changed(lambda _: b'{"a":1}', "json"),
    ],
)
async def test_a_changed_form_is_refused(
    alipay: FakeAlipay, read: Read, change: Callable[[bytes], bytes]
) -> None:
    with pytest.raises(InvalidSignature):
        await read(change(alipay.form(FIELDS)))


async def test_an_empty_field_that_was_slipped_in_is_never_read(
    alipay: FakeAlipay, read: Read
) -> None:
    """No signature covers empty values, so a refund's number cannot be blanked into one."""
    body = alipay.form({**FIELDS, "refund_fee": "7.00"}) + b"&out_biz_no=&&"
    assert (await read(body)).kind is NotificationKind.PAYMENT


@pytest.mark.parametrize("signer", ["stranger", "app"])
async def test_another_key_is_refused(
    alipay: FakeAlipay, read: Read, keys: Keys, signer: str
) -> None:
    alipay.signer = getattr(keys, signer)
    with pytest.raises(InvalidSignature):
        await read(alipay.form(FIELDS))


async def test_sign_type_is_outside_for_trades_and_may_be_inside_for_others(
    alipay: FakeAlipay, read: Read
) -> None:
    with pytest.raises(InvalidSignature):
        await read(alipay.form(FIELDS, exclude=()))
    market = {**FIELDS, "notify_type": "servicemarket_order_notify"}
    for exclude in ((), ("sign_type",)):
        assert (await read(alipay.form(market, exclude=exclude))).reference


@pytest.mark.parametrize("charset", ["latin-1", "utf-16", "utf-7", "UTF8", "\u8336"])
async def test_a_charset_that_alipay_does_not_have_loses_no_payment(
    alipay: FakeAlipay, read: Read, charset: str, payment: Order
) -> None:
    told = await read(alipay.form({**FIELDS, "charset": charset, "subject": "茶"}))
    assert told.payment.outcome is Outcome.PAID
    assert payment().mismatch(told.payment) is None


@pytest.mark.parametrize("charset", ["gbk", "utf-8"])
async def test_bytes_that_are_not_in_the_named_charset_lose_no_payment(
    alipay: FakeAlipay, read: Read, charset: str, payment: Order
) -> None:
    """Correctly signed, and still not text: the signature is over bytes."""
    fields = {**FIELDS, "subject": "茶", "charset": charset}
    told = await read(alipay.form(fields, codec="gb18030"))
    assert told.payment.outcome is Outcome.PAID
    assert payment().mismatch(told.payment) is None


@pytest.mark.parametrize("fee", ["many", "1,00", "5.001", "NaN", "-5.00"])
async def test_a_refunded_sum_that_is_none_is_unreadable_and_not_dropped(
    alipay: FakeAlipay, read: Read, fee: str
) -> None:
    with pytest.raises(Unreadable, match="refund_fee"):
        await read(alipay.form({**FIELDS, "refund_fee": fee}))


async def test_a_sum_that_is_none_is_still_no_payment(
    alipay: FakeAlipay, read: Read, payment: Order
) -> None:
    told = await read(alipay.form({**FIELDS, "total_amount": "null"}))
    assert payment().mismatch(told.payment) is Attention.AMOUNT_MISMATCH


@pytest.mark.parametrize("missing", ["out_trade_no", "notify_id"])
async def test_a_signed_message_about_no_trade_is_refused(
    alipay: FakeAlipay, read: Read, missing: str
) -> None:
    with pytest.raises(InvalidSignature):
        await read(alipay.form({key: FIELDS[key] for key in FIELDS if key != missing}))


@pytest.mark.parametrize(
    ("change", "mismatch"),
    [
        ({}, None),
        ({"seller_id": ""}, None),
        ({"app_id": "2021000000000002"}, Attention.ACCOUNT_MISMATCH),
        ({"app_id": ""}, Attention.ACCOUNT_MISMATCH),
        ({"seller_id": "2088000000000002"}, Attention.ACCOUNT_MISMATCH),
    ],
)
async def test_app_and_seller_must_be_the_accounts(
    alipay: FakeAlipay, read: Read, change: dict[str, str], mismatch: Attention | None
) -> None:
    refunded = {"out_biz_no": "r", "refund_fee": "7.00"}
    for fields in ({**FIELDS, **change}, {**FIELDS, **refunded, **change}):
        assert (await read(alipay.form(fields))).mismatch is mismatch


@pytest.mark.parametrize("status", ["TRADE_SUCCESS", "TRADE_CLOSED"])
async def test_a_refund_notification_is_no_payment_and_settles_no_sum(
    alipay: FakeAlipay, read: Read, refund: Refund, status: str
) -> None:
    """`refund_fee` is the sum of all refunds: the second part's says more than its own."""
    fields = FIELDS | {
        "trade_status": status,
        "out_biz_no": refund.reference,
        "refund_fee": "12.00",
        "gmt_refund": "2026-03-01 12:05:06.123",
    }
    notification = await read(alipay.form(fields))
    assert (notification.kind, notification.payment) == (NotificationKind.REFUND, None)
    report = notification.refund
    assert (report.refund_reference, report.outcome) == (refund.reference, RefundOutcome.PENDING)
    assert (report.raw_status, report.amount, report.refunded_at) == (status, None, NOW)
    assert refund.mismatch(report) is None


async def test_a_refund_from_outside_is_told_with_the_payment(
    alipay: FakeAlipay, read: Read
) -> None:
    fields = FIELDS | {"trade_status": "TRADE_CLOSED", "refund_fee": "19.99"}
    report = (await read(alipay.form(fields))).payment
    assert (report.outcome, report.refunded) == (Outcome.PAID, 1999)
    assert report.mismatch is Attention.EXTERNAL_REFUND
    foreign = (await read(alipay.form(fields | {"app_id": "1"}))).payment
    assert foreign.mismatch is Attention.ACCOUNT_MISMATCH


async def test_a_trade_that_was_never_paid_is_closed(alipay: FakeAlipay, read: Read) -> None:
    fields = {key: value for key, value in FIELDS.items() if key != "gmt_payment"}
    body = alipay.form(fields | {"trade_status": "TRADE_CLOSED", "out_biz_no": "1"})
    assert (await read(body)).payment.outcome is Outcome.CLOSED


def test_the_published_return_is_believed(
    alipay: FakeAlipay, account: dict[str, Any], vectors: Vectors
) -> None:
    vector = vectors("yansongda-sync-return")
    found = load_certificates(vector["cert_text"])[0]
    provider = alipay.provider(
        account,
        alipay_public_key=public_pem(certificates.public_key(found)),
        app_id="9021000122682882",
        seller_id="2088721003899159",
    )
    query = urlsplit(vector["url"]).query
    assert provider.parse_return(query) == "1703141270"
    for other in (query.replace("0.01", "9.99"), query + "&app_id=1", "", "\ud800", "a=é"):
        with pytest.raises(InvalidSignature):
            provider.parse_return(other)


def test_a_return_for_another_account_is_refused(
    alipay: FakeAlipay, account: dict[str, Any]
) -> None:
    provider = alipay.provider(account)
    good = {"app_id": "2021000000000001", "out_trade_no": "1", "seller_id": "2088000000000001"}
    assert provider.parse_return(alipay.form(good).decode()) == "1"
    for wrong in ({"app_id": "2"}, {"seller_id": "2088"}, {"out_trade_no": ""}):
        with pytest.raises(InvalidSignature):
            provider.parse_return(alipay.form(good | wrong).decode())


def test_a_return_never_passes_by_the_other_rule(
    alipay: FakeAlipay, account: dict[str, Any]
) -> None:
    fields = {"app_id": "2021000000000001", "out_trade_no": "1"}
    with pytest.raises(InvalidSignature):
        alipay.provider(account).parse_return(alipay.form(fields, exclude=()).decode())


DEPOSITBACK = {
    "notify_id": "2026030100999",
    "msg_method": "alipay.trade.refund.depositback.completed",
    "utc_timestamp": "1772337906000",
    "version": "1.1",
    "app_id": "2021000000000001",
    "biz_content": '{"trade_no":"2026030122001","dback_status":"S","dback_amount":"7.00"}',
}


@pytest.mark.parametrize(
    "change", [{}, {"notify_type": "dut_user_sign"}, {"out_trade_no": FIELDS["out_trade_no"]}]
)
async def test_a_message_without_a_trades_state_is_about_nothing_that_we_do(
    alipay: FakeAlipay, read: Read, change: dict[str, str]
) -> None:
    told = await read(alipay.form(DEPOSITBACK | change))
    assert (told.kind, told.payment, told.refund) == (NotificationKind.OTHER, None, None)
    assert not told.is_foreign


async def test_another_apps_message_is_marked_whatever_it_is_about(
    alipay: FakeAlipay, read: Read
) -> None:
    assert (await read(alipay.form(DEPOSITBACK | {"app_id": "2021000000000009"}))).is_foreign


@pytest.mark.parametrize("missing", ["out_trade_no", "notify_id"])
async def test_a_trades_message_without_its_numbers_is_genuine_and_unreadable(
    alipay: FakeAlipay, read: Read, missing: str
) -> None:
    with pytest.raises(Unreadable):
        await read(alipay.form({key: FIELDS[key] for key in FIELDS if key != missing}))
