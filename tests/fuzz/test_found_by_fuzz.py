"""What fuzzing has found, each mended; the smallest case of each."""

import asyncio
import json
from base64 import urlsafe_b64encode
from datetime import UTC, datetime
from typing import Any

import httpx
import pytest
from cryptography.exceptions import UnsupportedAlgorithm

from domain.errors import ProviderRejected
from domain.payment import Failure
from domain.report import Outcome, PaymentReport
from domain.text import LONGEST_WORDS
from providers.alipay.mapping import moment
from providers.wechatpay import platform_keys
from providers.wechatpay.wire import Refusal, Transaction, read
from tests.api.house import House, Shop, order, visitor
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

    monkeypatch.setattr(platform_keys, "certificate_serial", fail)
    with pytest.raises(certificates.refusals):
        await certificates.read(good)


async def test_amounts_of_thousands_of_digits_are_carried_to_the_mismatch() -> None:
    body = as_json(REFUND_NOTICE | {"trade_state": "SUCCESS", "amount": {"total": 10**400}})
    assert read(Transaction, body).amount.total == 10**400


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
