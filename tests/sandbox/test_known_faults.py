"""A fault that a provider does not know is refused, so that no test of it proves nothing."""

from typing import Any

import pytest
from cryptography.exceptions import InvalidSignature

from sandbox.faults import CALL_KINDS, NOTIFIER_KINDS, NOTIFY_KINDS
from tests.sandbox.alipay_shop import AlipayShop
from tests.sandbox.conftest import NOTIFY_URL
from tests.sandbox.rig import Rig
from tests.sandbox.unionpay.conftest import shop_of as unionpay_shop
from tests.sandbox.unionpay.shop import BACK_URL
from tests.sandbox.wechatpay.conftest import shop_of as wechatpay_shop

NEVER = {
    "alipay": ("foreign_ca", "expired_certificate", "escaped_slashes", "alg_hs256"),
    "wechatpay": ("wrong_cn", "gbk", "resp_code", "two_certificates"),
    "unionpay": ("escaped_slashes", "missing_token", "unknown_type"),
    "apple_iap": ("gbk", "wrong_cn", "resp_code", "escaped_slashes"),
}
NEVER_IN_CALLS = {
    "alipay": ("foreign_ca", "late_answer", "unauthorized"),
    "wechatpay": ("fund_change_n", "wrong_cn", "unauthorized"),
    "unionpay": ("fund_change_n", "not_found", "alg_hs256"),
    "apple_iap": ("fund_change_n", "pending", "resp_code"),
}


async def refusal(rig: Rig, **fault: Any) -> str:
    """Why the fault is refused; nothing of it may stay."""
    answer = await rig.client.post("/_sandbox/faults", json=fault)
    assert answer.status_code == 422
    assert await rig.look("faults") == []
    return str(answer.json()["detail"])


@pytest.mark.parametrize("provider", NEVER)
async def test_a_fault_that_a_notifier_does_not_know_is_rejected_with_those_it_knows(
    rig: Rig, provider: str
) -> None:
    for kind in NEVER[provider]:
        detail = await refusal(rig, provider=provider, operation="notify", kind=kind)
        known = detail.partition(": ")[2].split(", ")
        assert kind not in known
        assert {*NOTIFIER_KINDS, "signtest", "tamper_body", "bad_signature", "unsigned"} <= {*known}
        for other in known:
            await rig.control("faults", provider=provider, operation="notify", kind=other)
        await rig.client.delete("/_sandbox/faults")


@pytest.mark.parametrize("provider", NEVER_IN_CALLS)
async def test_a_fault_that_a_provider_does_not_know_is_rejected_with_those_it_knows(
    rig: Rig, provider: str
) -> None:
    for kind in NEVER_IN_CALLS[provider]:
        detail = await refusal(rig, provider=provider, operation="query", kind=kind)
        known = detail.partition(": ")[2].split(", ")
        assert {"lost_answer", "delay", "server_error", "rate_limited", "garbled"} <= {*known}
        assert kind not in known
        for operation in ("*", "create"):
            await refusal(rig, provider=provider, operation=operation, kind=kind)


async def test_a_fault_of_no_provider_is_rejected(rig: Rig) -> None:
    assert "alipay" in await refusal(rig, provider="applepay", operation="query", kind="delay")


async def test_every_fault_is_known_to_some_provider(rig: Rig) -> None:
    for operation, kinds in (("notify", NOTIFY_KINDS), ("query", CALL_KINDS)):
        known: set[str] = set()
        for provider in NEVER:
            fault = {"provider": provider, "operation": operation, "kind": "explode"}
            known |= {*(await refusal(rig, **fault)).partition(": ")[2].split(", ")}
        assert known == {*kinds}


async def test_one_notification_right_now_is_neither_lost_nor_doubled(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    reference = order["out_trade_no"]
    await shop.call("alipay.trade.precreate", order, notify_url=NOTIFY_URL)
    await rig.control("pay", provider="alipay", reference=reference, notify=False)
    for kind in ("duplicate", "lose", "foreign_ca"):
        content = {"provider": "alipay", "reference": reference, "fault": kind}
        answer = await rig.client.post("/_sandbox/notify", json=content)
        assert answer.status_code == 422
    assert rig.receiver.requests == []


@pytest.mark.parametrize(
    ("provider", "given", "missing"),
    [("alipay", {"code": "40004"}, "sub_code"), ("wechatpay", {}, "code")],
)
async def test_an_error_code_without_its_code_is_rejected_when_it_is_scripted(
    rig: Rig, provider: str, given: dict[str, str], missing: str
) -> None:
    fault = {"provider": provider, "operation": "query", "kind": "error_code", "params": given}
    assert await refusal(rig, **fault) == f"error_code needs params.{missing}"


@pytest.mark.parametrize("kind", ["unsigned", "bad_signature"])
async def test_an_alipay_notification_may_have_no_signature_or_another_ones(
    rig: Rig, shop: AlipayShop, order: dict[str, Any], kind: str
) -> None:
    await shop.call("alipay.trade.precreate", order, notify_url=NOTIFY_URL)
    pay = {"provider": "alipay", "reference": order["out_trade_no"]}
    await rig.control("faults", provider="alipay", operation="notify", kind=kind)
    await rig.control("pay", **pay)
    form = await rig.receiver.form()
    assert ("sign" in form) == (kind == "bad_signature")
    if kind == "bad_signature":
        with pytest.raises(InvalidSignature):
            shop.verify_form(form)


@pytest.mark.parametrize("kind", ["unsigned", "bad_signature"])
async def test_a_wechatpay_notification_may_have_no_signature_or_another_ones(
    rig: Rig, reference: str, kind: str
) -> None:
    shop = wechatpay_shop(rig, "cert")
    content = {
        "appid": shop.appid,
        "mchid": shop.merchant["mchid"],
        "description": "tea",
        "out_trade_no": reference,
        "notify_url": "http://shop.test/notify/wechatpay",
        "amount": {"total": 2000},
    }
    await shop.call("POST", "/v3/pay/transactions/native", content)
    await rig.control("faults", provider="wechatpay", operation="notify", kind=kind)
    await rig.control("pay", provider="wechatpay", reference=reference)
    request = (await rig.receiver.wait_for(1))[0]
    assert ("Wechatpay-Signature" in request.headers) == (kind == "bad_signature")
    assert not shop.is_genuine(request.headers, request.content)


@pytest.mark.parametrize("merchant", ["main", "sm3"])
@pytest.mark.parametrize("kind", ["unsigned", "bad_signature"])
async def test_a_unionpay_notification_may_have_no_signature_or_another_ones(
    rig: Rig, kind: str, merchant: str
) -> None:
    shop = unionpay_shop(rig, merchant)
    request, _ = await shop.app(backUrl=BACK_URL)
    await rig.control("faults", provider="unionpay", operation="notify", kind=kind)
    await rig.control("pay", provider="unionpay", reference=request["orderId"])
    form = shop.read_form((await rig.receiver.wait_for(1))[0].content)
    assert ("signature" in form) == (kind == "bad_signature")
    assert not shop.is_genuine(form)
