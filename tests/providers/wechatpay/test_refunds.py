from datetime import timedelta
from typing import Any

import pytest

from domain.errors import OutcomeUnknown, ProviderBlocked, ProviderRejected
from domain.payment import Payment
from domain.refund import Refund
from domain.report import RefundOutcome
from providers.wechatpay.provider import WechatpayProvider
from tests.providers.wechatpay import wechat as side
from tests.providers.wechatpay.wechat import FakeWechat

NO_REFUND = {"code": "RESOURCE_NOT_EXISTS", "message": "退款单不存在"}


async def test_an_accepted_refund_is_pending(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    refund: Refund,
    refund_answer: dict[str, Any],
) -> None:
    wechat.then(200, refund_answer)
    report = await provider.refund(refund, payment)
    assert (report.outcome, report.provider_reference) == (
        RefundOutcome.PENDING,
        "50300000002026112200001",
    )
    assert refund.mismatch(report) is None
    assert wechat.requests[0].url.path == "/v3/refund/domestic/refunds"


async def test_a_refund_is_done_where_wechat_says_so(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    refund: Refund,
    refund_answer: dict[str, Any],
) -> None:
    wechat.then(
        200, refund_answer | {"status": "SUCCESS", "success_time": "2026-11-22T16:10:05+08:00"}
    )
    report = await provider.refund(refund, payment)
    assert report.outcome is RefundOutcome.SUCCEEDED
    assert report.refunded_at == side.NOW + timedelta(minutes=10, seconds=5)


async def test_a_rejected_refund_that_wechat_does_not_know_is_a_definite_no(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, refund: Refund
) -> None:
    wechat.then(403, {"code": "USER_ACCOUNT_ABNORMAL", "message": "用户账户注销"})
    wechat.then(404, NO_REFUND)
    with pytest.raises(ProviderRejected) as caught:
        await provider.refund(refund, payment)
    assert caught.value.provider_code == "USER_ACCOUNT_ABNORMAL"
    assert not isinstance(caught.value, ProviderBlocked)


@pytest.mark.parametrize(
    ("status", "code"),
    [(403, "NOT_ENOUGH"), (403, "RULE_LIMIT"), (403, "NO_AUTH"), (401, "SIGN_ERROR")],
)
async def test_a_refund_that_the_account_stands_in_the_way_of_waits_and_does_not_fail(
    *,
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    refund: Refund,
    status: int,
    code: str,
) -> None:
    wechat.then(status, {"code": code, "message": "基本账户余额不足"})
    wechat.then(404, NO_REFUND)
    with pytest.raises(ProviderBlocked) as caught:
        await provider.refund(refund, payment)
    assert caught.value.provider_code == code


async def test_a_rejected_refund_that_was_taken_before_is_reported(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    refund: Refund,
    refund_answer: dict[str, Any],
) -> None:
    wechat.then_unsigned(400, {"code": "INVALID_REQUEST", "message": "与之前请求不一致"})
    wechat.then(200, refund_answer)
    assert (await provider.refund(refund, payment)).outcome is RefundOutcome.PENDING


async def test_a_rejected_refund_that_cannot_be_queried_is_an_unknown_outcome(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, refund: Refund
) -> None:
    wechat.then_unsigned(401, {"code": "SIGN_ERROR", "message": ""})
    wechat.then_unsigned(401, {"code": "SIGN_ERROR", "message": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.refund(refund, payment)


async def test_a_refund_is_requested_by_its_own_number(
    provider: WechatpayProvider,
    wechat: FakeWechat,
    payment: Payment,
    refund: Refund,
    refund_answer: dict[str, Any],
) -> None:
    wechat.then(200, refund_answer | {"status": "ABNORMAL"})
    report = await provider.query_refund(refund, payment)
    assert report.outcome is RefundOutcome.ABNORMAL
    assert wechat.requests[0].url.path == f"/v3/refund/domestic/refunds/{refund.reference}"


async def test_a_rejected_question_about_a_refund_leaves_it_unknown(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, refund: Refund
) -> None:
    wechat.then(403, {"code": "NO_AUTH", "message": ""})
    with pytest.raises(OutcomeUnknown):
        await provider.query_refund(refund, payment)


async def test_a_refund_that_does_not_exist_is_a_report(
    provider: WechatpayProvider, wechat: FakeWechat, payment: Payment, refund: Refund
) -> None:
    wechat.then(404, NO_REFUND)
    report = await provider.query_refund(refund, payment)
    assert report.outcome is RefundOutcome.NOT_FOUND
    assert refund.mismatch(report) is None
