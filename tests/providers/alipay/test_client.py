import json
from typing import Any
from urllib.parse import parse_qs, parse_qsl, urlsplit

import httpx
import pytest

from domain.errors import OutcomeUnknown, ProviderUnavailable
from domain.payment import Channel
from providers.alipay.encryption import encrypt, load_aes_key
from providers.alipay.signing import canonical, is_signed
from tests.providers.alipay.conftest import Order
from tests.providers.alipay.fake import NOTIFY_URL, RETURN_URL, FakeAlipay, Keys

QUERY = "alipay.trade.query"
NODE = "alipay_trade_query_response"
AES_KEY = "aa4BtZ4tspm2wnXLb1ThQA=="
PAID = {"code": "10000", "msg": "Success", "trade_status": "TRADE_SUCCESS", "total_amount": "19.99"}


def verified(params: dict[str, str], keys: Keys) -> dict[str, str]:
    raw = {key.encode(): value.encode() for key, value in params.items()}
    content = canonical(raw, without=frozenset({b"sign"}))
    assert is_signed(keys.app.public_key(), content, params["sign"])
    return params


async def test_a_call_is_signed_and_says_who_calls_when(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order, keys: Keys
) -> None:
    alipay.nodes[QUERY] = PAID
    await alipay.provider(account).query(payment())
    _, params = alipay.calls[0]
    verified(params, keys)
    assert {key: params[key] for key in ("app_id", "charset", "sign_type", "version")} == {
        "app_id": "2021000000000001",
        "charset": "utf-8",
        "sign_type": "RSA2",
        "version": "1.0",
    }
    assert params["timestamp"] == "2026-03-01 12:05:06"
    assert "notify_url" not in params
    assert all(params.values())


async def test_only_the_content_travels_in_the_form_and_charset_in_the_query(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order
) -> None:
    requests = []

    def respond(request: httpx.Request) -> httpx.Response:
        requests.append(request)
        return httpx.Response(200, content=alipay.envelope(NODE, json.dumps(PAID)))

    alipay.respond = respond
    await alipay.provider(account).query(payment())
    form, query = parse_qs(requests[0].content.decode()), parse_qs(requests[0].url.query.decode())
    assert list(form) == ["biz_content"]
    assert query["charset"] == ["utf-8"]
    kind = requests[0].headers["content-type"]
    assert kind == "application/x-www-form-urlencoded;charset=utf-8"
    assert requests[0].extensions["timeout"]["read"] == 10.0


async def test_an_order_string_survives_a_subject_full_of_marks(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order, keys: Keys
) -> None:
    subject = 'a+b & c=d } " % \\ / 茶🍵 &notify'
    created = await alipay.provider(account).create(payment(Channel.APP, subject=subject))
    assert created.checkout.value is not None
    params = verified(dict(parse_qsl(created.checkout.value, strict_parsing=True)), keys)
    assert json.loads(params["biz_content"])["subject"] == subject
    assert (params["method"], params["notify_url"]) == ("alipay.trade.app.pay", NOTIFY_URL)
    assert "return_url" not in params
    assert created.checkout.value.isascii()


async def test_a_page_url_is_signed_and_brings_the_payer_back(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order, keys: Keys
) -> None:
    for channel in (Channel.PAGE, Channel.WAP):
        created = await alipay.provider(account).create(payment(channel))
        url = urlsplit(created.checkout.value or "")
        params = verified(dict(parse_qsl(url.query, strict_parsing=True)), keys)
        assert f"{url.scheme}://{url.netloc}{url.path}" == account["gateway_url"]
        assert params["return_url"] == RETURN_URL
    assert alipay.calls == []


async def test_the_content_is_encrypted_before_it_is_signed(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order, keys: Keys
) -> None:
    account["aes_key"] = AES_KEY
    key = load_aes_key(AES_KEY)
    alipay.nodes[QUERY] = f'"{encrypt(key, json.dumps(PAID).encode())}"'
    report = await alipay.provider(account).query(payment())
    assert report.amount == 1999
    params = verified(alipay.calls[0][1], keys)
    assert params["encrypt_type"] == "AES"
    assert params["biz_content"] == encrypt(
        key, b'{"out_trade_no":"11111111222233334444555555555555"}'
    )


async def test_a_encrypted_answer_that_cannot_be_opened_is_an_unknown_outcome(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order
) -> None:
    key = load_aes_key(AES_KEY)
    sealed = encrypt(key, json.dumps(PAID).encode())
    twice = encrypt(key, b'{"code":"10000","code":"40004"}')
    for node, changes in (
        (sealed, {}),
        (sealed, {"aes_key": "AAAAAAAAAAAAAAAAAAAAAA=="}),
        ("AAAA", {"aes_key": AES_KEY}),
        ("%%%", {"aes_key": AES_KEY}),
        (twice, {"aes_key": AES_KEY}),
    ):
        alipay.nodes[QUERY] = f'"{node}"'
        with pytest.raises(OutcomeUnknown):
            await alipay.provider(account, **changes).query(payment())


async def test_the_signature_of_a_encrypted_answer_covers_its_quotes(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order
) -> None:
    sealed = encrypt(load_aes_key(AES_KEY), json.dumps(PAID).encode())
    unquoted = alipay.envelope(NODE, sealed)
    alipay.body = unquoted.replace(sealed.encode(), f'"{sealed}"'.encode())
    with pytest.raises(OutcomeUnknown):
        await alipay.provider(account, aes_key=AES_KEY).query(payment())


@pytest.mark.parametrize(
    "node",
    [
        '{"code":"10000","trade_status":"TRADE_SUCCESS","total_amount":"19.99","x":"} \\" {"}',
        '{ "total_amount" : "19.99" , "trade_status" : "TRADE_SUCCESS" , "code" : "10000" }',
        '{"code":"10000","trade_status":"TRADE_SUCCESS","total_amount":"19.99","u":"a\\/b\\u8336"}',
    ],
)
async def test_an_answer_is_verified_as_it_was_written(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order, node: str
) -> None:
    alipay.nodes[QUERY] = node
    assert (await alipay.provider(account).query(payment())).amount == 1999


@pytest.mark.parametrize("word", ["誠信", "乗車券", "茶🍵", "\u2014"])
async def test_a_gbk_answer_is_read_as_gbk(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order, word: str
) -> None:
    """誠 ends in a backslash and 乗 in a brace when they are read byte by byte."""
    alipay.codec = "gb18030"
    alipay.nodes[QUERY] = {**PAID, "subject": word, "out_trade_no": f"{word}"}
    report = await alipay.provider(account, charset="gbk").query(payment())
    assert (report.amount, report.reference) == (1999, word)
    alipay.nodes[QUERY] = {**PAID, "subject": word}
    with pytest.raises(OutcomeUnknown):
        await alipay.provider(account).query(payment())


async def test_a_gbk_account_can_order_anything(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order, keys: Keys
) -> None:
    order = payment(Channel.APP, subject="茶🍵", return_url="https://shop.example/茶")
    created = await alipay.provider(account, charset="gbk").create(order)
    params = dict(parse_qsl(created.checkout.value or "", encoding="gb18030"))
    assert json.loads(verified(params, keys)["biz_content"])["subject"] == "茶🍵"


@pytest.mark.parametrize("status", [204, 302, 404, 429, 500, 502, 504])
async def test_an_http_status_proves_nothing(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order, status: int
) -> None:
    alipay.respond = lambda _: httpx.Response(status, content=b"{}")
    with pytest.raises(OutcomeUnknown) as caught:
        await alipay.provider(account).create(payment())
    assert caught.value.provider_code == str(status)


@pytest.mark.parametrize(
    ("error", "kind"),
    [
        (httpx.ConnectError, ProviderUnavailable),
        (httpx.ConnectTimeout, ProviderUnavailable),
        (httpx.PoolTimeout, ProviderUnavailable),
        (httpx.ReadTimeout, OutcomeUnknown),
        (httpx.WriteTimeout, OutcomeUnknown),
        (httpx.ReadError, OutcomeUnknown),
        (httpx.WriteError, OutcomeUnknown),
        (httpx.RemoteProtocolError, OutcomeUnknown),
        (httpx.ProxyError, OutcomeUnknown),
        (httpx.DecodingError, OutcomeUnknown),
        (httpx.TooManyRedirects, OutcomeUnknown),
    ],
)
async def test_only_what_was_never_sent_was_certainly_not_processed(
    alipay: FakeAlipay,
    account: dict[str, Any],
    payment: Order,
    error: type[httpx.RequestError],
    kind: type[Exception],
) -> None:
    def respond(_: httpx.Request) -> httpx.Response:
        raise error("broken")

    alipay.respond = respond
    with pytest.raises(kind):
        await alipay.provider(account).create(payment())


async def test_a_lost_download_does_not_undo_the_call_before_it(
    alipay: FakeAlipay, certificate_account: dict[str, Any], payment: Order
) -> None:
    def respond(request: httpx.Request) -> httpx.Response:
        if "alipaycert" in str(request.url):
            raise httpx.ConnectError("refused")
        alipay.cert_sn = "0" * 32
        return httpx.Response(200, content=alipay.envelope(NODE, json.dumps(PAID)))

    alipay.respond = respond
    with pytest.raises(OutcomeUnknown):
        await alipay.provider(certificate_account).query(payment())


async def test_public_key_mode_does_not_look_at_a_certificates_number(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order
) -> None:
    alipay.cert_sn = "f" * 32
    alipay.nodes[QUERY] = PAID
    assert (await alipay.provider(account).query(payment())).amount == 1999
    assert alipay.methods() == [QUERY]
