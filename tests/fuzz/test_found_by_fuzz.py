"""What fuzzing has found, each mended; the smallest case of each."""

import asyncio
import json
import ssl
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any
from urllib.parse import urlencode

import httpx
import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from domain.errors import InvalidSignature, OutcomeUnknown, ProviderRejected
from domain.notification import Notification
from domain.payment import Failure
from domain.report import Outcome, PaymentReport
from domain.text import LONGEST_WORDS
from providers.alipay.mapping import moment
from providers.unionpay.wire import moment as unionpay_moment
from providers.wechatpay import keys
from providers.wechatpay.wire import Refusal, Transaction, read
from tests.api.house import House, Shop, order, visitor
from tests.fuzz import apple_iap_parsers, unionpay_parsers
from tests.fuzz.mangling import Message
from tests.fuzz.parsers import parser
from tests.fuzz.under_fuzz import as_json
from tests.fuzz.wechatpay_parsers import REFUND_NOTICE, TRANSACTION, wechat_certificate
from webhooks.answers import read_retry_after

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
BEYOND_UTC = ("0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00")


@pytest.mark.parametrize("body", [5, True, 1.5, [[]], [{}], ["x"]])
async def test_a_body_that_is_no_object_is_the_merchants_mistake(shop: Shop, body: Any) -> None:
    for sent, param in ((body, "body"), (order(payer=body), "payer")):
        response = await shop.http.post("/v1/payments", json=sent)
        assert (response.status_code, response.json()["param"]) == (422, param)


@pytest.mark.parametrize("zone", ["eth0", "\ud800", "\n", "x" * 5000])
async def test_a_payers_address_has_no_zone(shop: Shop, zone: str) -> None:
    body = json.dumps(order(payer={"client_ip": f"fe80::1%{zone}"}))
    response = await shop.http.post(
        "/v1/payments", content=body, headers={"content-type": "application/json"}
    )
    assert (response.status_code, response.json()["param"]) == (422, "payer.client_ip")


async def test_a_code_at_the_till_has_digits_that_a_provider_reads(shop: Shop) -> None:
    response = await shop.create(order(channel="barcode", payer={"auth_code": "٣" * 18}))
    assert (response.status_code, response.json()["param"]) == (422, "payer.auth_code")


@pytest.mark.parametrize("time", BEYOND_UTC)
async def test_a_time_beyond_the_calendar_in_utc_is_refused(shop: Shop, time: str) -> None:
    for name in ("created_from", "created_to"):
        response = await shop.http.get("/v1/payments", params={name: time})
        assert (response.status_code, response.json()["param"]) == (422, name)


@pytest.mark.parametrize("path", ["/v1/payments", "/v1/events"])
@pytest.mark.parametrize("time", BEYOND_UTC)
async def test_a_cursor_beyond_the_calendar_in_utc_is_not_ours(
    shop: Shop, path: str, time: str
) -> None:
    cursor = urlsafe_b64encode(f"{time}|{'0' * 32}".encode()).decode()
    response = await shop.http.get(path, params={"cursor": cursor})
    assert (response.status_code, response.json()["param"]) == (422, "cursor")


async def test_a_browser_may_come_back_with_bytes_that_are_no_text(house: House) -> None:
    status, _ = await raw_request(house, path="/return/alipay/main", query_string=b"\xff\xfe=%zz")
    assert status == 400


@pytest.mark.parametrize("length", [b"9" * 5000, b"\xb2", b"-1", b"1e9", b""])
async def test_a_length_that_is_no_number_breaks_nothing(house: House, length: bytes) -> None:
    headers = [(b"content-length", length)]
    status, _ = await raw_request(house, method="POST", path="/v1/payments", headers=headers)
    assert status == 401


async def test_invented_methods_do_not_fill_the_metrics(house: House) -> None:
    for number in range(20):
        await raw_request(house, method=f"INVENTED{number}")
    async with visitor(house.app) as stranger:
        shown = (await stranger.get("/metrics")).text
    assert "INVENTED" not in shown
    assert 'method="other"' in shown


@pytest.mark.parametrize(
    "value", [f"Sun, 22 Nov 2026 12:01:00 +{'9' * 17}", f"Sun, 22 Nov {'9' * 14} 12:01:00 GMT"]
)
def test_a_retry_after_with_endless_digits_is_none(value: str) -> None:
    assert read_retry_after(value, NOW) is None


def test_a_time_beyond_the_calendar_in_utc_does_not_hide_a_success() -> None:
    assert moment("0001-01-01 00:00:00") is None
    said = TRANSACTION | {"success_time": "0001-01-01T00:00:00+08:00"}
    assert read(Transaction, as_json(said)).success_time is None


def test_half_an_emoji_turns_no_message_of_wechat_away() -> None:
    said = read(Refusal, b'{"code":"NOT_ENOUGH","message":"\\ud83c","detail":"\\u0000"}')
    assert (said.code, said.message) == ("NOT_ENOUGH", "?")


def test_a_providers_no_is_kept_whatever_its_words_are() -> None:
    """Alipay signs it, Temporal refuses half a surrogate pair and PostgreSQL a NUL."""
    words = "\ud83c\0" + "x" * 10_000
    no = ProviderRejected(f"said {words}", provider="alipay", provider_message=words)
    assert no.message.startswith("said ??x")
    failure = Failure(code=no.code, message=no.message, provider_message=no.provider_message)
    assert failure.provider_message == "??" + "x" * (LONGEST_WORDS - 2)
    report = PaymentReport(reference="1", outcome=Outcome.PENDING, raw_status=words, message=words)
    assert PaymentReport.model_validate_json(report.model_dump_json()) == report


@pytest.mark.parametrize("error", [UnsupportedAlgorithm("SM2"), OverflowError("serial")])
async def test_a_certificate_of_another_kind_is_left_out_of_a_download(
    monkeypatch: pytest.MonkeyPatch, error: Exception
) -> None:
    """WeChat Pay lists SM2 certificates too; the others in the list stay good."""
    certificates = wechat_certificate()
    good = certificates.seal(certificates.contents[0])
    assert await certificates.read(good) == "verified"

    def fail(_certificate: object) -> str:
        raise error

    monkeypatch.setattr(keys, "certificate_serial", fail)
    with pytest.raises(certificates.refusals):
        await certificates.read(good)


async def test_amounts_of_thousands_of_digits_are_carried_to_the_mismatch() -> None:
    body = as_json(REFUND_NOTICE | {"trade_state": "SUCCESS", "amount": {"total": 10**400}})
    assert read(Transaction, body).amount.total == 10**400


@pytest.mark.parametrize(
    ("at", "byte"), [(4, 0x07), (7, 0x90)], ids=["version 8", "negative serial"]
)
async def test_a_strangers_broken_certificate_is_no_crash_at_unionpays_door(
    at: int, byte: int
) -> None:
    certificates = unionpay_parsers.certificate_parser()
    der = bytearray(ssl.PEM_cert_to_DER_cert(certificates.contents[0].decode()))
    version = bytes(der).index(bytes.fromhex("a003020102"))
    der[version + at] = byte
    pem = ssl.DER_cert_to_PEM_cert(bytes(der)).strip().encode()
    with pytest.raises(InvalidSignature):
        await certificates.read(certificates.seal(pem))


async def test_a_sum_of_thousands_of_digits_at_unionpay_fits_no_order() -> None:
    report = (await told_by_unionpay(txnAmt="9" * 5000)).payment
    assert report is not None
    assert (report.outcome, report.amount) == (Outcome.PAID, None)


@pytest.mark.parametrize("time", ["00010101000000", "99991231235959"])
async def test_a_time_at_unionpay_beyond_the_calendar_does_not_hide_a_success(time: str) -> None:
    report = (await told_by_unionpay(txnTime=time)).payment
    assert report is not None
    assert (report.outcome, report.paid_at) == (Outcome.PAID, None)
    assert unionpay_moment(time) is None


@pytest.mark.parametrize("token", ["\ud800", "\0", "", "x" * 70_000])
@pytest.mark.parametrize(
    ("name", "page", "field"),
    [
        ("history", "signedTransactions", "revision"),
        ("what was lost", "notificationHistory", "paginationToken"),
    ],
)
async def test_a_next_page_that_no_address_takes_is_an_unknown_outcome(
    name: str, page: str, field: str, token: str
) -> None:
    answer = json.dumps({page: [], "hasMore": True, field: token}).encode()
    with pytest.raises(OutcomeUnknown):
        await parser(f"apple_iap answer to {name}").read(Message(answer))


@pytest.mark.parametrize("answer", [b"", b"{}", b'{"error":"busy"}'])
async def test_an_empty_answer_is_no_empty_history(answer: bytes) -> None:
    """What was read counts as read for good: a sale in it would never be looked for again."""
    for name in ("query", "what was lost", "history"):
        with pytest.raises(OutcomeUnknown):
            await parser(f"apple_iap answer to {name}").read(Message(answer))


@pytest.mark.parametrize("price", [10**400, 2**63, -1])
async def test_a_price_that_no_book_keeps_loses_no_purchase(price: int) -> None:
    bought = parser("apple_iap brought transaction")
    told = await bought.read(bought.seal(apple_iap_parsers.transaction(price=price)))
    assert isinstance(told, Notification)
    assert told.payment is not None
    assert told.payment.purchase is not None
    assert told.payment.purchase.price is None


async def test_a_quantity_that_no_book_keeps_is_not_the_documented_form() -> None:
    bought = parser("apple_iap brought transaction")
    with pytest.raises(InvalidSignature):
        await bought.read(bought.seal(apple_iap_parsers.transaction(quantity=2**31)))


async def told_by_unionpay(**changes: str) -> Notification:
    fields = unionpay_parsers.TOLD | {"traceTime": ""} | changes
    told = await unionpay_parsers.notification(unionpay_parsers.form(urlencode(fields).encode()))
    assert isinstance(told, Notification)
    return told


async def raw_request(house: House, **changes: Any) -> tuple[int, httpx.Headers]:
    """A request as a server hands it on, with what no client library would send."""
    sent: list[Any] = []

    async def receive() -> dict[str, Any]:
        await asyncio.sleep(0)
        return {"type": "http.request", "body": b"", "more_body": False}

    async def send(message: Any) -> None:
        await asyncio.sleep(0)
        sent.append(message)

    scope = {
        "type": "http", "asgi": {"version": "3.0"}, "http_version": "1.1", "method": "GET",
        "scheme": "http", "path": "/v1/payments", "query_string": b"", "root_path": "",
        "headers": [], "server": ("paysaga.test", 80), "client": ("203.0.113.7", 1),
    }  # fmt: skip
    await house.app(scope | changes, receive, send)
    return sent[0]["status"], httpx.Headers(sent[0]["headers"])
