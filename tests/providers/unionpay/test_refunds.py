from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

import pytest

from domain.errors import OutcomeUnknown, ProviderBlocked, ProviderRejected, ProviderUnavailable
from domain.refund import Refund
from domain.report import RefundOutcome
from providers.unionpay.provider import UnionpayProvider
from tests.providers.unionpay.conftest import Order
from tests.providers.unionpay.gateway import NOW, FakeGateway

MakeRefund = Callable[..., Refund]
QUERY_ID = "782603011205060674028"
ACCEPTED = {"respCode": "00", "queryId": "052401051658427863998"}
PAID = {
    "respCode": "00",
    "origRespCode": "00",
    "queryId": QUERY_ID,
    "txnAmt": "1999",
    "traceTime": "0301120510",
    "txnSubType": "07",
}
DONE = {"respCode": "00", "origRespCode": "00", "txnAmt": "700", "txnType": "04", "queryId": "1"}


@pytest.fixture
def paid(payment: Order) -> Order:
    def make(**changes: Any) -> Any:
        values = {"provider_reference": QUERY_ID, "captured": 1999, "paid_at": NOW}
        return payment(**values | changes)

    return make


async def test_an_accepted_refund_is_only_pending(
    gateway: FakeGateway, provider: UnionpayProvider, paid: Order, refund: MakeRefund
) -> None:
    gateway.then(ACCEPTED, DONE)
    report = await provider.refund(refund(), paid())
    assert report.outcome is RefundOutcome.PENDING
    sent = gateway.calls[0][1]
    assert (sent["txnType"], sent["txnAmt"], sent["origQryId"]) == ("04", "700", QUERY_ID)
    assert sent["orderId"] == refund().reference
    assert sent["reqReserved"] == paid().reference
    done = await provider.query_refund(refund(), paid())
    assert done.outcome is RefundOutcome.SUCCEEDED
    assert refund().mismatch(done) is None


async def test_a_whole_payment_is_undone_on_its_settlement_day(
    gateway: FakeGateway, provider: UnionpayProvider, paid: Order, refund: MakeRefund
) -> None:
    gateway.then(ACCEPTED)
    assert (await provider.refund(refund(1999), paid())).outcome is RefundOutcome.PENDING
    assert gateway.kinds() == ["31"]


@pytest.mark.parametrize(
    ("amount", "changes", "now"),
    [
        (700, {}, NOW),
        (1999, {"refunded": 1}, NOW),
        (1999, {"paid_at": None}, NOW),
        (1999, {"paid_at": datetime(2026, 3, 1, 14, 30, tzinfo=UTC)}, NOW.replace(hour=15)),
        # Four minutes before the day is over the undo might arrive on the next.
        (1999, {"paid_at": NOW}, NOW.replace(hour=14, minute=56)),
    ],
)
async def test_what_cannot_be_undone_is_refunded(
    gateway: FakeGateway,
    provider: UnionpayProvider,
    paid: Order,
    refund: MakeRefund,
    amount: int,
    changes: dict[str, Any],
    now: datetime,
) -> None:
    gateway.now = now
    gateway.then(ACCEPTED)
    await provider.refund(refund(amount), paid(**changes))
    assert gateway.kinds() == ["04"]


async def test_an_account_may_do_without_undo(
    gateway: FakeGateway, account: dict[str, Any], paid: Order, refund: MakeRefund
) -> None:
    gateway.then(ACCEPTED)
    await gateway.provider(account | {"undo": False}).refund(refund(1999), paid())
    assert gateway.kinds() == ["04"]


async def test_a_rejected_undo_that_left_no_trace_becomes_a_refund_of_the_same_number(
    gateway: FakeGateway, provider: UnionpayProvider, paid: Order, refund: MakeRefund
) -> None:
    gateway.then({"respCode": "32"}, {"respCode": "34"}, ACCEPTED)
    assert (await provider.refund(refund(1999), paid())).outcome is RefundOutcome.PENDING
    assert gateway.kinds() == ["31", "00", "04"]
    assert {sent["orderId"] for _, sent in gateway.calls} == {refund().reference}


async def test_a_rejected_undo_that_was_done_before_is_not_done_again(
    gateway: FakeGateway, provider: UnionpayProvider, paid: Order, refund: MakeRefund
) -> None:
    gateway.then({"respCode": "45"}, DONE | {"txnType": "31", "txnAmt": "1999"})
    assert (await provider.refund(refund(1999), paid())).outcome is RefundOutcome.SUCCEEDED
    assert gateway.kinds() == ["31", "00"]


async def test_an_undo_of_unknown_outcome_is_never_followed_by_a_refund(
    gateway: FakeGateway, provider: UnionpayProvider, paid: Order, refund: MakeRefund
) -> None:
    gateway.then({"respCode": "04"})
    with pytest.raises(OutcomeUnknown):
        await provider.refund(refund(1999), paid())
    assert gateway.kinds() == ["31"]


async def test_a_repeated_number_is_queried_and_never_sent_anew(
    gateway: FakeGateway, provider: UnionpayProvider, paid: Order, refund: MakeRefund
) -> None:
    gateway.then({"respCode": "12"}, DONE, {"respCode": "12"}, {"respCode": "34"})
    assert (await provider.refund(refund(), paid())).outcome is RefundOutcome.SUCCEEDED
    with pytest.raises(OutcomeUnknown):
        await provider.refund(refund(), paid())
    assert gateway.kinds() == ["04", "00", "04", "00"]


async def test_a_rejection_is_believed_once_nothing_is_known_of_the_refund(
    gateway: FakeGateway, provider: UnionpayProvider, paid: Order, refund: MakeRefund
) -> None:
    gateway.then({"respCode": "36"}, {"respCode": "34"})
    with pytest.raises(ProviderRejected) as caught:
        await provider.refund(refund(), paid())
    assert caught.value.provider_code == "36"


async def test_a_refund_outside_the_hours_is_sent_again_later(
    gateway: FakeGateway, provider: UnionpayProvider, paid: Order, refund: MakeRefund
) -> None:
    gateway.then({"respCode": "39"})
    with pytest.raises(ProviderUnavailable) as caught:
        await provider.refund(refund(), paid())
    assert caught.value.retry_after == 600


@pytest.mark.parametrize("code", ["11", "31", "33", "43", "64", "90"])
async def test_a_refund_that_the_account_stands_in_the_way_of_waits_and_does_not_fail(
    gateway: FakeGateway, provider: UnionpayProvider, paid: Order, refund: MakeRefund, code: str
) -> None:
    gateway.then({"respCode": code}, {"respCode": "34"})
    with pytest.raises(ProviderBlocked) as caught:
        await provider.refund(refund(), paid())
    assert caught.value.provider_code == code


@pytest.mark.parametrize(
    ("code", "outcome"),
    [
        ("A6", RefundOutcome.SUCCEEDED),
        ("03", RefundOutcome.PENDING),
        ("ZZ", RefundOutcome.PENDING),
        ("36", RefundOutcome.FAILED),
        ("01", RefundOutcome.FAILED),
    ],
)
async def test_a_refunds_state_is_the_original_code(
    gateway: FakeGateway,
    provider: UnionpayProvider,
    paid: Order,
    refund: MakeRefund,
    code: str,
    outcome: RefundOutcome,
) -> None:
    gateway.then(DONE | {"origRespCode": code})
    assert (await provider.query_refund(refund(), paid())).outcome is outcome


async def test_the_payments_number_is_requested_where_the_database_lacks_it(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, refund: MakeRefund
) -> None:
    gateway.then(PAID, ACCEPTED)
    await provider.refund(refund(), payment())
    assert gateway.calls[1][1]["origQryId"] == QUERY_ID


async def test_money_that_unionpay_does_not_know_of_is_not_given_back(
    gateway: FakeGateway, provider: UnionpayProvider, payment: Order, refund: MakeRefund
) -> None:
    gateway.then({"respCode": "34"})
    with pytest.raises(ProviderUnavailable):
        await provider.refund(refund(), payment())
    assert gateway.kinds() == ["00"]
