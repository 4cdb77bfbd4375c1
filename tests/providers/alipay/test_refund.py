import pytest

from domain.errors import (
    OutcomeUnknown,
    ProviderBlocked,
    ProviderRejected,
    ProviderUnavailable,
)
from domain.refund import Refund
from domain.report import RefundOutcome
from providers.alipay.provider import AlipayProvider
from tests.providers.alipay.conftest import NOW, Order
from tests.providers.alipay.fake import FakeAlipay
from tests.providers.alipay.nodes import DONE, MISSING, OK, REFUND, REFUND_QUERY, no


async def test_a_refund_is_done_where_this_call_moved_the_money(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order, refund: Refund
) -> None:
    alipay.nodes[REFUND] = OK | {"fund_change": "Y", "refund_fee": "12.00"}
    report = await provider.refund(refund, payment())
    assert (report.outcome, report.amount) == (RefundOutcome.SUCCEEDED, 700)
    assert refund.mismatch(report) is None


async def test_a_refund_that_moved_nothing_by_this_call_is_pending(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order, refund: Refund
) -> None:
    alipay.nodes[REFUND] = OK | {"fund_change": "N", "refund_fee": "7.00"}
    assert (await provider.refund(refund, payment())).outcome is RefundOutcome.PENDING


async def test_a_refund_that_waits_for_the_merchants_money_is_not_rejected(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order, refund: Refund
) -> None:
    alipay.nodes[REFUND] = no("ACQ.SELLER_BALANCE_NOT_ENOUGH", refund_fee="0.00")
    alipay.nodes[REFUND_QUERY] = OK
    with pytest.raises(ProviderBlocked) as caught:
        await provider.refund(refund, payment())
    assert caught.value.provider_code == "ACQ.SELLER_BALANCE_NOT_ENOUGH"


async def test_a_refund_that_alipay_says_to_send_again_later_is_not_rejected(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order, refund: Refund
) -> None:
    alipay.nodes[REFUND] = no("ACQ.REFUND_CHARGE_ERROR")
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.refund(refund, payment())
    assert caught.value.retry_after == 300


@pytest.mark.parametrize("code", ["TRADE_NOT_ALLOW_REFUND", "REFUND_FEE_ERROR", "BUYER_NOT_EXIST"])
async def test_a_refund_that_alipay_will_never_make_is_a_definite_no(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order, refund: Refund, code: str
) -> None:
    alipay.nodes |= {REFUND: no(f"ACQ.{code}"), REFUND_QUERY: OK}
    with pytest.raises(ProviderRejected) as caught:
        await provider.refund(refund, payment())
    assert not isinstance(caught.value, ProviderBlocked)


@pytest.mark.parametrize(
    "code",
    ["REASON_TRADE_REFUND_FEE_ERR", "TRADE_HAS_FINISHED", "TRADE_STATUS_ERROR", "TRADE_NOT_EXIST"],
)
@pytest.mark.parametrize("found", [OK, MISSING])
async def test_a_rejected_refund_is_a_no_only_where_the_query_knows_nothing_of_it(
    *,
    alipay: FakeAlipay,
    provider: AlipayProvider,
    payment: Order,
    refund: Refund,
    code: str,
    found: dict[str, str],
) -> None:
    alipay.nodes |= {REFUND: no(f"ACQ.{code}"), REFUND_QUERY: found}
    with pytest.raises(ProviderRejected) as caught:
        await provider.refund(refund, payment())
    assert caught.value.provider_code == f"ACQ.{code}"
    alipay.nodes[REFUND_QUERY] = DONE
    report = await provider.refund(refund, payment())
    assert (report.outcome, report.amount) == (RefundOutcome.SUCCEEDED, 700)
    assert refund.mismatch(report) is None


async def test_a_number_that_was_used_for_another_refund_does_not_fit_ours(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order, refund: Refund
) -> None:
    alipay.nodes |= {
        REFUND: no("ACQ.DISCORDANT_REPEAT_REQUEST"),
        REFUND_QUERY: DONE | {"refund_amount": "8.00"},
    }
    report = await provider.refund(refund, payment())
    assert refund.mismatch(report) is not None


@pytest.mark.parametrize(
    ("node", "error"),
    [
        (no("ACQ.SYSTEM_ERROR"), OutcomeUnknown),
        (no("isp.unknow-error", "20000"), OutcomeUnknown),
        (no("isv.insufficient-isv-permissions", "40006"), ProviderBlocked),
    ],
)
async def test_a_failed_refund_call_says_whether_money_may_have_moved(
    *,
    alipay: FakeAlipay,
    provider: AlipayProvider,
    payment: Order,
    refund: Refund,
    node: dict[str, str],
    error: type[Exception],
) -> None:
    alipay.nodes[REFUND] = node
    with pytest.raises(error):
        await provider.refund(refund, payment())
    assert alipay.methods() == [REFUND]


async def test_a_refund_query_without_a_status_leaves_the_refund_pending(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order, refund: Refund
) -> None:
    named = {"out_request_no": refund.reference, "refund_amount": "7.00"}
    alipay.nodes[REFUND_QUERY] = OK | named
    report = await provider.query_refund(refund, payment())
    assert (report.outcome, refund.mismatch(report)) == (RefundOutcome.PENDING, None)


async def test_a_refund_that_was_not_done_is_not_found(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order, refund: Refund
) -> None:
    for node in (OK, MISSING):
        alipay.nodes[REFUND_QUERY] = node
        report = await provider.query_refund(refund, payment())
        assert report.outcome is RefundOutcome.NOT_FOUND
        assert report.refund_reference == refund.reference
    alipay.nodes[REFUND_QUERY] = DONE
    report = await provider.query_refund(refund, payment())
    assert (report.outcome, report.refunded_at) == (RefundOutcome.SUCCEEDED, NOW)
