"""What every provider says where nobody can know what happened, and only there."""

import httpx
import pytest

from domain.errors import OutcomeUnknown, ProviderUnavailable
from domain.report import Outcome
from tests.providers.conftest import Line, Make
from tests.providers.harness import Harness
from tests.providers.stand import Stand

GONE = (Outcome.CLOSED, Outcome.NOT_FOUND)
UNPROVEN = ("unsigned", "bad_signature", "server_error", "lost_answer")
UNBELIEVABLE = (*UNPROVEN, "garbled")


@pytest.mark.parametrize("kind", UNBELIEVABLE)
async def test_an_answer_to_create_that_proves_nothing_is_an_unknown_outcome(
    ordering: Stand, kind: str
) -> None:
    payment = ordering.payment()
    await ordering.fault("create", kind, payment)
    with pytest.raises(OutcomeUnknown):
        await ordering.provider.create(payment)
    await ordering.provider.create(payment)
    assert len(await ordering.orders(payment)) == 1


@pytest.mark.parametrize("kind", UNBELIEVABLE)
async def test_an_answer_to_a_question_that_proves_nothing_is_an_unknown_outcome(
    stand: Stand, kind: str
) -> None:
    payment = await stand.paid()
    await stand.fault("query", kind, payment)
    with pytest.raises(OutcomeUnknown):
        await stand.provider.query(payment)


@pytest.mark.parametrize("kind", UNBELIEVABLE)
async def test_an_answer_about_a_refund_that_proves_nothing_is_an_unknown_outcome(
    refunding: Stand, kind: str
) -> None:
    payment = await refunding.paid()
    refund = refunding.refund(payment, 1)
    await refunding.refunds.refund(refund, payment)
    await refunding.fault("refund_query", kind, refund)
    with pytest.raises(OutcomeUnknown):
        await refunding.refunds.query_refund(refund, payment)


@pytest.mark.parametrize("kind", UNPROVEN)
async def test_an_answer_to_close_that_proves_nothing_is_an_unknown_outcome(
    stand: Stand, kind: str
) -> None:
    for channel in stand.remote:
        payment = stand.payment(channel)
        await stand.provider.create(payment)
        # Where no close exists, ending an order is a question.
        for operation in ("close", "query"):
            await stand.fault(operation, kind, payment)
        with pytest.raises(OutcomeUnknown):
            await stand.provider.close(payment)
        await stand.control.delete("/_sandbox/faults")
        assert (await stand.closed(payment)).outcome in GONE


@pytest.mark.parametrize("kind", [*UNBELIEVABLE, "system_error"])
async def test_an_answer_to_a_refund_that_proves_nothing_is_an_unknown_outcome(
    refunding: Stand, kind: str
) -> None:
    payment = await refunding.paid()
    refund = refunding.refund(payment, 700)
    await refunding.fault("refund", kind, refund)
    with pytest.raises(OutcomeUnknown):
        await refunding.refunds.refund(refund, payment)
    await refunding.refunds.refund(refund, payment)
    await refunding.complete(refund)
    assert await refunding.moved(payment, "refund") == [700]


async def test_a_rate_limited_call_was_certainly_not_processed(ordering: Stand) -> None:
    payment = ordering.payment()
    await ordering.fault("create", "rate_limited", payment)
    with pytest.raises(ProviderUnavailable):
        await ordering.provider.create(payment)
    assert await ordering.orders(payment) == []


async def test_a_provider_that_cannot_be_reached_did_nothing(
    case: tuple[Harness, str], make_stand: Make, line: Line
) -> None:
    async with httpx.AsyncClient(transport=line) as http:
        stand = make_stand(*case, http=http)
        payment = await stand.paid()
        line.breaks_with = httpx.ConnectError("refused")
        for call in stand.calls(payment):
            with pytest.raises(ProviderUnavailable):
                await call


@pytest.mark.parametrize(
    "error", [httpx.ReadTimeout("slow"), httpx.WriteError("cut"), httpx.RemoteProtocolError("?")]
)
async def test_a_line_that_breaks_after_sending_leaves_the_outcome_unknown(
    case: tuple[Harness, str], make_stand: Make, line: Line, error: httpx.HTTPError
) -> None:
    async with httpx.AsyncClient(transport=line) as http:
        stand = make_stand(*case, http=http)
        payment = await stand.paid()
        line.breaks_with = error
        for call in stand.calls(payment):
            with pytest.raises(OutcomeUnknown):
                await call
