import pytest

from domain.errors import (
    OutcomeUnknown,
    ProviderUnavailable,
)
from domain.payment import Channel
from domain.report import Outcome
from providers.alipay.provider import AlipayProvider
from tests.providers.alipay.conftest import Order
from tests.providers.alipay.fake import FakeAlipay
from tests.providers.alipay.nodes import (
    CANCEL,
    CLOSE,
    CLOSED,
    MISSING,
    OK,
    PAID,
    QUERY,
    REVERSED,
    WAITING,
    no,
)


async def test_closing_says_what_it_found(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes[CLOSE] = OK
    assert (await provider.close(payment())).outcome is Outcome.CLOSED
    assert alipay.methods() == [CLOSE]
    for code in ("REASON_TRADE_STATUS_INVALID", "TRADE_STATUS_ERROR", "REASON_ILLEGAL_STATUS"):
        alipay.nodes |= {CLOSE: no(f"ACQ.{code}"), QUERY: PAID}
        assert (await provider.close(payment())).outcome is Outcome.PAID
        alipay.nodes[QUERY] = CLOSED
        assert (await provider.close(payment())).outcome is Outcome.CLOSED


@pytest.mark.parametrize(
    ("node", "error"),
    [
        (no("ACQ.SYSTEM_ERROR"), OutcomeUnknown),
        (no("isp.unknow-error", "20000"), OutcomeUnknown),
        (no("isv.invalid-signature", "40002"), ProviderUnavailable),
    ],
)
async def test_a_close_that_was_not_executed_out_is_never_a_closed_payment(
    alipay: FakeAlipay,
    provider: AlipayProvider,
    payment: Order,
    node: dict[str, str],
    error: type[Exception],
) -> None:
    alipay.nodes[CLOSE] = node
    with pytest.raises(error):
        await provider.close(payment())


async def test_a_waiting_barcode_is_cancelled(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes |= {QUERY: WAITING, CANCEL: OK | {"retry_flag": "N", "action": "close"}}
    report = await provider.close(payment(Channel.BARCODE))
    assert (report.outcome, report.refunded) == (Outcome.CLOSED, None)
    assert alipay.methods() == [QUERY, CANCEL]


@pytest.mark.parametrize("found", [PAID, CLOSED])
async def test_a_barcode_that_is_over_is_not_cancelled(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order, found: dict[str, str]
) -> None:
    """Cancelling a paid trade gives the money back."""
    alipay.nodes[QUERY] = found
    report = await provider.close(payment(Channel.BARCODE))
    assert report.outcome is (Outcome.PAID if found is PAID else Outcome.CLOSED)
    assert alipay.methods() == [QUERY]


async def test_a_barcode_paid_in_the_last_moment_is_closed_with_its_money_given_back(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes |= {QUERY: WAITING, CANCEL: OK | {"retry_flag": "N", "action": "refund"}}
    report = await provider.close(payment(Channel.BARCODE))
    assert (report.outcome, report.refunded) == (Outcome.CLOSED, 1999)
    assert report.raw_status == "cancelled:refund"


async def test_a_cancel_whose_answer_was_lost_is_still_no_payment(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes[QUERY] = REVERSED
    report = await provider.query(payment(Channel.BARCODE))
    assert (report.outcome, report.refunded) == (Outcome.CLOSED, 1999)
    told = payment(Channel.BARCODE, captured=1999)
    assert (await provider.query(told)).outcome is Outcome.PAID
    alipay.nodes[QUERY] = PAID
    assert (await provider.query(payment(Channel.BARCODE))).outcome is Outcome.PAID


async def test_alipay_may_ask_to_cancel_again(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes |= {QUERY: WAITING, CANCEL: OK | {"retry_flag": "Y", "action": "close"}}
    with pytest.raises(OutcomeUnknown):
        await provider.close(payment(Channel.BARCODE))


async def test_a_cancel_that_did_nothing_reports_what_is_there(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes |= {QUERY: MISSING, CANCEL: OK | {"retry_flag": "N"}}
    assert (await provider.close(payment(Channel.BARCODE))).outcome is Outcome.NOT_FOUND
    assert alipay.methods() == [QUERY, CANCEL, QUERY]


@pytest.mark.parametrize("code", ["TRADE_CANCEL_TIME_OUT", "CANCEL_NOT_ALLOWED"])
async def test_a_rejected_cancel_reports_what_is_there(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order, code: str
) -> None:
    alipay.nodes |= {QUERY: WAITING, CANCEL: no(f"ACQ.{code}")}
    assert (await provider.close(payment(Channel.BARCODE))).outcome is Outcome.PENDING


async def test_a_cancel_that_waits_for_the_merchants_money_ends_nothing(
    alipay: FakeAlipay, provider: AlipayProvider, payment: Order
) -> None:
    alipay.nodes |= {QUERY: WAITING, CANCEL: no("ACQ.SELLER_BALANCE_NOT_ENOUGH")}
    assert (await provider.close(payment(Channel.BARCODE))).outcome is Outcome.PENDING
