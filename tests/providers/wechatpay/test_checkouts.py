from collections.abc import Callable
from datetime import timedelta
from urllib.parse import parse_qs, urlsplit

import pytest

from domain.checkout import CheckoutKind
from domain.errors import OutcomeUnknown
from domain.payment import Channel, Payment
from providers.wechatpay.provider import WechatpayProvider
from providers.wechatpay.signing import verify
from tests.providers.wechatpay import wechat as side
from tests.providers.wechatpay.wechat import FakeWechat

MakePayment = Callable[..., Payment]
H5 = "https://wx.tenpay.com/cgi-bin/mmpayweb-bin/checkmweb?prepay_id=wx1&package=2"


def is_signed(signature: str, *lines: str) -> bool:
    message = "".join(f"{line}\n" for line in lines)
    verify(side.rsa_key("merchant").public_key(), signature, message.encode())
    return True


async def test_an_app_gets_the_sdks_parameters_signed(
    provider: WechatpayProvider, wechat: FakeWechat, make_payment: MakePayment
) -> None:
    wechat.then(200, {"prepay_id": "wx201410272009395522657a690389285100"})
    created = await provider.create(make_payment(Channel.APP))
    given = created.checkout.parameters
    assert given is not None
    assert created.checkout.kind is CheckoutKind.SDK
    assert created.report is None
    assert given.keys() == {
        "appid", "partnerid", "prepayid", "package", "noncestr", "timestamp", "sign",
    }  # fmt: skip
    assert (given["appid"], given["partnerid"]) == (side.APPID, side.MCHID)
    assert given["package"] == "Sign=WXPay"
    assert is_signed(
        given["sign"], side.APPID, given["timestamp"], given["noncestr"], given["prepayid"]
    )


async def test_a_web_page_inside_wechat_gets_its_parameters_signed(
    provider: WechatpayProvider, wechat: FakeWechat, make_payment: MakePayment
) -> None:
    wechat.then(200, {"prepay_id": "wx1"})
    given = (await provider.create(make_payment(Channel.JSAPI))).checkout.parameters
    assert given is not None
    assert given.keys() == {"appId", "timeStamp", "nonceStr", "package", "signType", "paySign"}
    assert (given["package"], given["signType"]) == ("prepay_id=wx1", "RSA")
    assert is_signed(
        given["paySign"], side.APPID, given["timeStamp"], given["nonceStr"], "prepay_id=wx1"
    )


async def test_a_qr_payment_gets_its_text_until_the_payment_expires(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment
) -> None:
    wechat.then(200, {"code_url": "weixin://wxpay/bizpayurl/up?pr=NwY5Mz9&groupid=00"})
    checkout = (await provider.create(payment)).checkout
    assert checkout.kind is CheckoutKind.QR
    assert checkout.value == "weixin://wxpay/bizpayurl/up?pr=NwY5Mz9&groupid=00"
    assert checkout.expires_at == payment.expires_at


async def test_a_prepay_lives_two_hours_at_most(
    provider: WechatpayProvider, wechat: FakeWechat, make_payment: MakePayment
) -> None:
    wechat.then(200, {"code_url": "weixin://wxpay/bizpayurl?pr=1"})
    payment = make_payment(expires_at=side.NOW + timedelta(days=1))
    checkout = (await provider.create(payment)).checkout
    assert checkout.expires_at == side.NOW + timedelta(hours=2)


async def test_an_h5_link_lives_five_minutes_and_returns_to_the_shop(
    provider: WechatpayProvider, wechat: FakeWechat, make_payment: MakePayment
) -> None:
    wechat.then(200, {"h5_url": H5})
    shop = "https://shop.example.com/done?order=A-1&lang=中文#top"
    checkout = (await provider.create(make_payment(Channel.WAP, return_url=shop))).checkout
    assert checkout.kind is CheckoutKind.REDIRECT
    assert checkout.value is not None
    assert checkout.value.startswith(f"{H5}&redirect_url=https%3A%2F%2Fshop.example.com%2F")
    query = parse_qs(urlsplit(checkout.value).query)
    assert query == {"prepay_id": ["wx1"], "package": ["2"], "redirect_url": [shop]}
    assert checkout.expires_at == side.NOW + timedelta(minutes=5)


async def test_an_h5_link_stays_as_it_is_where_the_payment_names_no_return(
    provider: WechatpayProvider, wechat: FakeWechat, make_payment: MakePayment
) -> None:
    wechat.then(200, {"h5_url": H5})
    assert (await provider.create(make_payment(Channel.WAP))).checkout.value == H5


@pytest.mark.parametrize("channel", [Channel.APP, Channel.JSAPI, Channel.QR, Channel.WAP])
async def test_a_signed_success_without_a_checkout_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, make_payment: MakePayment, channel: Channel
) -> None:
    wechat.then(200, {"something": "else"})
    with pytest.raises(OutcomeUnknown, match="unreadable"):
        await provider.create(make_payment(channel))
