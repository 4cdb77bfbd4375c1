"""What we sign, and what we believe, can be read in one way only."""

import json
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qsl, urlencode, urlsplit
from uuid import UUID

import pytest

from domain.errors import InvalidSignature, ProviderRejected
from domain.payment import Channel, Payment
from providers.base import Provider, SignsReturns
from providers.unionpay import signing as unionpay_signing
from providers.wechatpay.signing import lines
from providers.wechatpay.wire import Malformed, Prepay, read
from tests.api.house import Shop, order
from tests.providers.alipay.fake import FakeAlipay
from tests.providers.alipay.fake import make_keys as make_alipay_keys
from tests.providers.unionpay.gateway import MER_ID, PASSWORD, FakeGateway
from tests.providers.unionpay.gateway import make_keys as make_unionpay_keys

SUBJECTS = [
    "Tea&total_amount=0.01",
    'Tea","total_amount":"0.01"}&charset=gbk&x={"a":"',
    "&&==",
    "&method=alipay.trade.close&",
    "A & B",
    "茶&notify_url=https://evil.example/=",
    "Tea}&txnAmt=1",
    "{Tea&txnAmt=1",
    "]&orderId=2&[",
]
ALIPAY_NOTICE = {
    "notify_id": "2026030100222",
    "notify_type": "trade_status_sync",
    "app_id": "2021000000000001",
    "seller_id": "2088000000000001",
    "out_trade_no": "11111111222233334444555555555555",
    "trade_no": "2026030122001",
    "trade_status": "TRADE_CLOSED",
    "total_amount": "19.99",
    "subject": "Tea",
}
UNIONPAY_NOTICE = {
    "merId": MER_ID,
    "orderId": "11111111222233334444555555555555",
    "encoding": "UTF-8",
    "txnType": "01",
    "txnSubType": "01",
    "txnTime": "20260301120506",
    "txnAmt": "1999",
    "currencyCode": "156",
    "queryId": "782603011205060674028",
    "respCode": "03",
    "reqReserved": "x",
}


@pytest.fixture(scope="module")
def alipay() -> FakeAlipay:
    return FakeAlipay(make_alipay_keys())


@pytest.fixture(scope="module")
def alipay_account(alipay: FakeAlipay) -> dict[str, Any]:
    return {
        "name": "main",
        "app_id": "2021000000000001",
        "seller_id": "2088000000000001",
        "gateway_url": "https://alipay.test/gateway.do",
        "app_private_key": alipay.keys.app_private,
        "alipay_public_key": alipay.keys.alipay_public,
    }


@pytest.fixture(scope="module")
def unionpay() -> FakeGateway:
    return FakeGateway(make_unionpay_keys())


@pytest.fixture(scope="module")
def unionpay_account(unionpay: FakeGateway) -> dict[str, Any]:
    return {
        "name": "main",
        "base_url": "https://unionpay.test/gateway/api",
        "mer_id": MER_ID,
        "pfx": unionpay.keys.pfx,
        "pfx_password": PASSWORD,
        "root_certificate": unionpay.keys.root_pem,
        "middle_certificate": unionpay.keys.middle_pem,
    }


def payment(channel: Channel, subject: str) -> Payment:
    now = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)
    return Payment(
        id=UUID("11111111-2222-3333-4444-555555555555"),
        merchant_id="m-1",
        order_no="o-1",
        idempotency_key="k-1",
        request_hash="0" * 64,
        provider="alipay",
        account="main",
        channel=channel,
        amount=1999,
        subject=subject,
        return_url="https://shop.example/?cart=1&total_amount=0.01",
        created_at=now,
        expires_at=now + timedelta(minutes=15),
    )


def signed_string(params: dict[str, str], without: str) -> str:
    """What a signature over these parameters covers."""
    kept = sorted((key, value) for key, value in params.items() if value and key != without)
    return "&".join(f"{key}={value}" for key, value in kept)


def cut_up(text: str) -> dict[str, str]:
    """The parameters that an attacker can read out of a signed string."""
    return {name: value for name, _, value in (part.partition("=") for part in text.split("&"))}


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("channel", [Channel.APP, Channel.PAGE, Channel.WAP])
async def test_a_subject_never_becomes_another_parameter_of_an_alipay_order(
    alipay: FakeAlipay, alipay_account: dict[str, Any], channel: Channel, subject: str
) -> None:
    created = await alipay.provider(alipay_account).create(payment(channel, subject))
    value = created.checkout.value or ""
    params = dict(parse_qsl(urlsplit(value).query or value, strict_parsing=True))

    params.pop("sign")
    assert cut_up(signed_string(params, "sign")) == params
    content = json.loads(params["biz_content"])
    assert (content["subject"], content["total_amount"]) == (subject, "19.99")


@pytest.mark.parametrize("subject", SUBJECTS)
async def test_a_subject_never_becomes_another_parameter_of_an_alipay_call(
    alipay: FakeAlipay, alipay_account: dict[str, Any], subject: str
) -> None:
    alipay.nodes["alipay.trade.precreate"] = {"code": "10000", "qr_code": "https://qr"}
    await alipay.provider(alipay_account).create(payment(Channel.QR, subject))
    params = dict(alipay.calls[-1][1])

    params.pop("sign")
    assert cut_up(signed_string(params, "sign")) == params
    assert json.loads(params["biz_content"])["subject"] == subject


async def test_an_account_whose_settings_divide_the_string_signs_nothing(
    alipay: FakeAlipay, alipay_account: dict[str, Any]
) -> None:
    provider = alipay.provider(alipay_account, app_id="2021&charset=gbk")
    with pytest.raises(ProviderRejected):
        await provider.create(payment(Channel.APP, "Tea"))


@pytest.mark.parametrize("name", ["a&b=c", "a b", "a/b", "a?b", "a#b", "100%", ""])
def test_an_account_does_not_get_a_name_that_divides_an_address(
    alipay: FakeAlipay, alipay_account: dict[str, Any], name: str
) -> None:
    with pytest.raises(ValueError, match="name"):
        alipay.provider(alipay_account, name=name)


@pytest.mark.parametrize(
    ("genuine", "claimed"),
    [
        # An unpaid trade whose subject holds what its end would say.
        (
            {"subject": "Tea&total_amount=19.99&trade_no=1&trade_status=TRADE_SUCCESS&z="},
            {"subject": "Tea", "trade_no": "1", "trade_status": "TRADE_SUCCESS"},
        ),
        # A partial refund whose fields are taken for a part of the text before them.
        (
            {"gmt_refund": "2026-03-01 12:05:06", "refund_fee": "0.01", "out_biz_no": "r1"},
            {"notify_type": "trade_status_sync&out_biz_no=r1"},
        ),
    ],
)
async def test_a_genuine_alipay_notification_is_not_believed_cut_up_differently(
    alipay: FakeAlipay,
    alipay_account: dict[str, Any],
    genuine: dict[str, str],
    claimed: dict[str, str],
) -> None:
    provider = alipay.provider(alipay_account)
    real = ALIPAY_NOTICE | genuine
    form = dict(parse_qsl(alipay.form(real).decode(), keep_blank_values=True))
    forged = _recut(form, claimed)
    assert signed_string(_unsigned(forged), "sign") == signed_string(_unsigned(form), "sign")

    await _refuses(provider, forged)


def _unsigned(form: dict[str, str]) -> dict[str, str]:
    return {key: value for key, value in form.items() if key not in ("sign", "sign_type")}


def _recut(form: dict[str, str], claimed: dict[str, str]) -> dict[str, str]:
    """The same signed string read so that it says what is claimed: by search over its cuts."""
    signed = {key: form[key] for key in ("sign", "sign_type")}
    text = signed_string({k: v for k, v in form.items() if k not in signed}, "sign")
    parts = text.split("&")
    for chosen in range(1 << (len(parts) - 1)):
        fields: list[str] = [parts[0]]
        for place, part in enumerate(parts[1:]):
            if chosen >> place & 1:
                fields[-1] += f"&{part}"
            else:
                fields.append(part)
        found = cut_up_whole(fields)
        if found is not None and claimed.items() <= found.items():
            return found | signed
    raise AssertionError("no such reading")


def cut_up_whole(fields: list[str]) -> dict[str, str] | None:
    pairs = [field.split("=", 1) for field in fields]
    names = [pair[0] for pair in pairs]
    whole = all(len(pair) == 2 for pair in pairs) and names == sorted(set(names))
    return dict(pairs) if whole else None


@pytest.mark.parametrize("subject", SUBJECTS)
@pytest.mark.parametrize("channel", [Channel.PAGE, Channel.WAP, Channel.APP])
async def test_a_subject_never_becomes_another_field_of_a_unionpay_order(
    unionpay: FakeGateway, unionpay_account: dict[str, Any], channel: Channel, subject: str
) -> None:
    provider = unionpay.provider(unionpay_account, return_url="https://pay.example.com/return")
    unionpay.then({"respCode": "00", "tn": "1"})
    created = await provider.create(payment(channel, subject))
    sent = unionpay.calls[-1][1] if channel is Channel.APP else created.checkout.parameters
    fields = dict(sent or {})

    assert cut_up(signed_string(fields, "signature")) | {"signature": fields["signature"]} == fields
    assert fields["txnAmt"] == "1999"
    unionpay.replies.clear()


async def test_a_merchants_page_is_no_part_of_what_is_signed(
    alipay: FakeAlipay, alipay_account: dict[str, Any], unionpay: FakeGateway,
    unionpay_account: dict[str, Any],
) -> None:  # fmt: skip
    page = payment(Channel.PAGE, "Tea")
    at_alipay = await alipay.provider(alipay_account).create(page)
    assert "shop.example" not in (at_alipay.checkout.value or "")
    for ours in (None, "https://pay.example.com/return"):
        at_unionpay = await unionpay.provider(unionpay_account, return_url=ours).create(page)
        assert (at_unionpay.checkout.parameters or {}).get("frontUrl") == ours


@pytest.mark.parametrize(("opening", "closing"), [("", ""), ("{", "}"), ("[", "]")])
async def test_a_unionpay_message_that_holds_another_one_is_not_believed_as_that_one(
    unionpay: FakeGateway, unionpay_account: dict[str, Any], opening: str, closing: str
) -> None:
    """Genuine: declined, with a text of the payer's shop that says approved. Claimed: approved."""
    provider = unionpay.provider(unionpay_account)
    after = {key: UNIONPAY_NOTICE[key] for key in ("txnAmt", "txnSubType", "txnTime", "txnType")}
    after |= {"respCode": "00", "signMethod": "01", "signPubKeyCert": unionpay.keys.leaf}
    inside = f"{opening}x&{signed_string(after, '')}&z={closing}"
    genuine = _unionpay_form(unionpay, {"reqReserved": inside})
    before = {key: value for key, value in genuine.items() if key < "reqReserved"}
    rest = {key: value for key, value in genuine.items() if key > "reqReserved"}
    z = f"{closing}&{signed_string(rest, 'signature')}"
    forged = before | after | {"reqReserved": f"{opening}x", "z": z}
    forged["signature"] = genuine["signature"]
    assert signed_string(forged, "signature") == signed_string(genuine, "signature")

    await provider.parse_notification({}, urlencode(_unionpay_form(unionpay, {})).encode())
    await _refuses(provider, forged)


@pytest.mark.parametrize(
    ("first", "second"), [("queryId", "reqReserved"), ("txnTime", "txnType"), ("encoding", "merId")]
)
async def test_a_unionpay_message_never_loses_a_field_into_the_one_before(
    unionpay: FakeGateway, unionpay_account: dict[str, Any], first: str, second: str
) -> None:
    genuine = _unionpay_form(unionpay, {})
    forged = dict(genuine)
    forged[first] += f"&{second}={forged.pop(second)}"
    assert signed_string(forged, "signature") == signed_string(genuine, "signature")

    await _refuses(unionpay.provider(unionpay_account), forged)


def _unionpay_form(unionpay: FakeGateway, changes: dict[str, str]) -> dict[str, str]:
    return dict(parse_qsl(unionpay.form(UNIONPAY_NOTICE | changes).decode()))


async def _refuses(provider: Provider, forged: dict[str, str]) -> None:
    with pytest.raises(InvalidSignature, match="cut up"):
        await provider.parse_notification({}, urlencode(forged).encode())
    assert isinstance(provider, SignsReturns)
    with pytest.raises(InvalidSignature, match="cut up"):
        provider.parse_return(urlencode(forged))


def test_unionpays_own_nested_values_are_one_value() -> None:
    fields = {"reserved": "{a=1&z=2}", "respMsg": "成功[0000000]", "list": "[a&b]{c&d}"}
    assert unionpay_signing.is_unambiguous(fields)


def test_a_line_feed_never_divides_what_wechat_pay_signs() -> None:
    with pytest.raises(ValueError, match="line feed"):
        lines(b"wx1", b"1\n2", b"nonce", b"prepay")
    assert lines(b"POST", b"two\nlines") == b"POST\ntwo\nlines\n"


@pytest.mark.parametrize("prepay_id", ["wx1\n2", "wx1\n", "wx 1", "", "wx\u00e9", "w" * 129])
def test_a_prepay_id_that_divides_the_payers_signed_lines_is_not_signed(prepay_id: str) -> None:
    with pytest.raises(Malformed):
        read(Prepay, json.dumps({"prepay_id": prepay_id}).encode())


@pytest.mark.parametrize("subject", ["Tea&total_amount=0.01", "1/2 pound of tea", "a=b", "A & B"])
@pytest.mark.parametrize("channel", ["app", "page", "wap", "qr", "barcode"])
async def test_a_subject_that_alipay_does_not_take_is_refused_before_any_order(
    shop: Shop, subject: str, channel: str
) -> None:
    body = order(provider="alipay", account="main", channel=channel, subject=subject)
    if channel == "barcode":
        body["payer"] = {"auth_code": "287654321098760000"}
    response = await shop.create(body)

    assert response.status_code == 422, response.text
    problem = response.json()
    assert (problem["code"], problem["param"]) == ("invalid_request", "subject")
    assert "/ = &" in problem["detail"]
    listed = await shop.http.get("/v1/payments", params={"order_no": body["order_no"]})
    assert listed.json()["data"] == []


async def test_a_subject_with_such_characters_is_fine_where_it_is_no_danger(shop: Shop) -> None:
    for provider, account in (("wechatpay", "pubkey"), ("unionpay", "main")):
        made = await shop.pending(provider=provider, account=account, subject="1/2 tea & a=b")
        assert made["subject"] == "1/2 tea & a=b"
