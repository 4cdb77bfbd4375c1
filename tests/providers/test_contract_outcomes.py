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
    stand: Stand, kind: str
) -> None:
    payment = stand.payment()
    await stand.fault("create", kind, payment)
    with pytest.raises(OutcomeUnknown):
        await stand.provider.create(payment)
    await stand.provider.create(payment)
    assert len(await stand.orders(payment)) == 1


@pytest.mark.parametrize("kind", UNBELIEVABLE)
async def test_an_answer_to_a_question_that_proves_nothing_is_an_unknown_outcome(
    stand: Stand, kind: str
) -> None:
    payment = await stand.paid()
    refund = stand.refund(payment, 1)
    await stand.provider.refund(refund, payment)
    await stand.fault("query", kind, payment)
    await stand.fault("refund_query", kind, refund)
    with pytest.raises(OutcomeUnknown):
        await stand.provider.query(payment)
    with pytest.raises(OutcomeUnknown):
        await stand.provider.query_refund(refund, payment)


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
    stand: Stand, kind: str
) -> None:
    payment = await stand.paid()
    refund = stand.refund(payment, 700)
    await stand.fault("refund", kind, refund)
    with pytest.raises(OutcomeUnknown):
        await stand.provider.refund(refund, payment)
    await stand.provider.refund(refund, payment)
    await stand.complete(refund)
    assert await stand.moved(payment, "refund") == [700]


async def test_a_rate_limited_call_was_certainly_not_processed(stand: Stand) -> None:
    payment = stand.payment()
    await stand.fault("create", "rate_limited", payment)
    with pytest.raises(ProviderUnavailable):
        await stand.provider.create(payment)
    assert await stand.orders(payment) == []


async def test_a_provider_that_cannot_be_reached_did_nothing(
    case: tuple[Harness, str], make_stand: Make, line: Line
) -> None:
    async with httpx.AsyncClient(transport=line) as http:
        stand = make_stand(*case, http=http)
        payment = await stand.paid()
        refund = stand.refund(payment, 1)
        line.breaks_with = httpx.ConnectError("refused")
        for call in (
            stand.provider.create(payment),
            stand.provider.query(payment),
            stand.provider.close(payment),
            stand.provider.refund(refund, payment),
            stand.provider.query_refund(refund, payment),
        ):
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
        for call in (
            stand.provider.create(payment),
            stand.provider.query(payment),
            stand.provider.refund(stand.refund(payment, 1), payment),
        ):
            with pytest.raises(OutcomeUnknown):
                await call
