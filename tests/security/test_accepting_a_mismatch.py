"""An operator's `accept` or `refund` on money, or goods, that are not what the payment is for.

Accepting would book 100 yen as 100 fen, or the dear product at the cheap one's price.
"""

import asyncio
import re
from collections.abc import AsyncIterator
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path
from typing import Any

import pytest
from temporalio.client import WorkflowUpdateFailedError, WorkflowUpdateStage

from domain.alarm import AlarmKind
from domain.payment import Payment, PaymentStatus
from domain.product import ProductType
from domain.purchase import Purchase
from domain.report import Attention, Outcome, PaymentReport
from domain.resolution import Resolution, ResolveAction
from storage.database import Database
from tests.domain import making
from tests.workflows.scripted import Fault, notification, report
from tests.workflows.selling import paid_report, purchase, sold, waiting
from tests.workflows.shop import Shop, refusal
from tests.workflows.stage import open_shop, open_temporal
from workflows.payment_state import PaymentState
from workflows.refund_state import RefundState

NOW = datetime(2026, 11, 22, tzinfo=UTC)
OPERATIONS = Path(__file__).parents[2] / "docs" / "operations.md"
PROVIDERS = ["alipay", "wechatpay", "unionpay"]
MONEY_MOVES = [ResolveAction.ACCEPT, ResolveAction.REFUND]


@pytest.fixture(scope="session")
async def shop(database: Database) -> AsyncIterator[Shop]:
    """The workflows over a scripted provider: not the API's shop of the other security tests."""
    async with open_temporal() as env, open_shop(env, database) as opened:
        yield opened


def decision(action: ResolveAction) -> Resolution:
    return Resolution(action=action, note="Ann: seen in the console")


def disputed(found: PaymentReport, **payment: Any) -> PaymentState:
    """A payment that waits for an operator because of this report."""
    state = PaymentState(making.payment(**payment))
    state.hear(found)
    assert state.disputed == found
    state.flag(state.payment.mismatch(found))
    return state


def bought(**changes: Any) -> PaymentReport:
    made = Purchase(
        provider="apple_iap",
        account="main",
        app="com.shop/Production",
        transaction_id="1",
        original_transaction_id="1",
        product_id="com.shop.silver",
        product_type=ProductType.CONSUMABLE,
        purchased_at=NOW,
        signed_at=NOW,
    )
    return PaymentReport.of_purchase(
        making.payment().reference, made.model_copy(update=changes), "TRANSACTION"
    )


@pytest.mark.parametrize("provider", PROVIDERS)
@pytest.mark.parametrize("action", MONEY_MOVES)
@pytest.mark.parametrize("amount", [1999, 100])
def test_money_in_another_currency_is_never_booked_as_the_payments_own(
    provider: str, action: ResolveAction, amount: int
) -> None:
    state = disputed(making.report(amount=amount, currency="JPY"), provider=provider)

    why = state.refuses_resolution(decision(action))

    assert state.payment.attention is Attention.CURRENCY_MISMATCH
    assert why is not None
    assert "another currency" in why
    assert "close" in why


@pytest.mark.parametrize("action", MONEY_MOVES)
@pytest.mark.parametrize(
    "changes", [{"product_id": "com.shop.gold"}, {"quantity": 5}], ids=["dear", "more"]
)
def test_another_product_is_never_booked_at_the_ordered_ones_price(
    action: ResolveAction, changes: dict[str, Any]
) -> None:
    state = disputed(bought(**changes), provider="apple_iap", product_id="com.shop.silver")

    why = state.refuses_resolution(decision(action))

    assert state.payment.attention is Attention.PRODUCT_MISMATCH
    assert why is not None
    assert "close" in why


@pytest.mark.parametrize("why", [Attention.CURRENCY_MISMATCH, Attention.PRODUCT_MISMATCH])
def test_a_mismatch_that_the_provider_itself_marks_is_never_accepted(why: Attention) -> None:
    state = disputed(making.report(mismatch=why))
    assert state.refuses_resolution(decision(ResolveAction.ACCEPT)) is not None


@pytest.mark.parametrize("marked", [Attention.AMOUNT_MISMATCH, Attention.EXTERNAL_REFUND])
def test_another_reason_does_not_hide_another_currency(marked: Attention) -> None:
    state = disputed(making.report(currency="JPY", mismatch=marked))
    assert state.refuses_resolution(decision(ResolveAction.ACCEPT)) is not None


@pytest.mark.parametrize("action", [ResolveAction.CLOSE, ResolveAction.ASK_AGAIN])
@pytest.mark.parametrize(
    "state",
    [
        disputed(making.report(currency="JPY")),
        disputed(bought(product_id="com.shop.gold"), product_id="com.shop.silver"),
    ],
    ids=["currency", "product"],
)
def test_an_operator_is_never_left_without_a_decision(
    state: PaymentState, action: ResolveAction
) -> None:
    assert state.refuses_resolution(decision(action)) is None


def test_another_sum_of_the_right_currency_may_still_be_accepted() -> None:
    state = disputed(making.report(amount=500))
    assert state.refuses_resolution(decision(ResolveAction.ACCEPT)) is None


@pytest.mark.parametrize("action", MONEY_MOVES)
def test_a_decision_on_one_report_is_never_executed_out_on_another(action: ResolveAction) -> None:
    state = disputed(making.report(amount=500))
    assert state.refuses_resolution(decision(action)) is None
    state.resolution = decision(action)
    yen = making.report(amount=500, currency="JPY")
    state.hear(yen)

    assert state.drop_overtaken(decision(action))

    assert state.resolution is None
    assert state.disputed == yen
    assert (state.pending, state.payment.captured) == (True, 0)


@pytest.mark.parametrize("action", ResolveAction)
def test_a_decision_on_what_is_still_disputed_is_kept(action: ResolveAction) -> None:
    state = disputed(making.report(amount=500))
    assert not state.drop_overtaken(decision(action))


def test_a_decision_outlives_a_dispute_that_settled_itself() -> None:
    assert not PaymentState(making.payment()).drop_overtaken(decision(ResolveAction.ACCEPT))


@pytest.mark.parametrize("why", [Attention.CURRENCY_MISMATCH, Attention.PRODUCT_MISMATCH])
def test_a_refund_of_other_money_is_never_accepted_as_done(why: Attention) -> None:
    state = RefundState(making.refund())
    state.flag(why)

    assert state.refuses_resolution(decision(ResolveAction.ACCEPT)) is not None
    assert state.refuses_resolution(decision(ResolveAction.CLOSE)) is None
    assert state.refuses_resolution(decision(ResolveAction.ASK_AGAIN)) is None


async def test_yen_are_never_captured_as_fen(shop: Shop) -> None:
    """Found by a query, as the notification had said it; decided on over Temporal."""
    order = await shop.order()
    run, payment = await shop.pending(order)
    yen = report(payment, Outcome.PAID).model_copy(update={"currency": "JPY"})
    shop.provider.script("query", payment.reference, Fault(report=yen))
    await shop.say(run, notification(yen))
    await shop.flagged(payment, Attention.CURRENCY_MISMATCH)

    for action in MONEY_MOVES:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await shop.resolve(run, action)
        assert refusal(refused.value) == "not_resolvable"
    row = await shop.row(payment)
    assert (row.status, row.captured) == (PaymentStatus.PENDING, 0)

    closed = await shop.resolve(run, ResolveAction.CLOSE)
    assert (closed.status, closed.captured) == (PaymentStatus.CLOSED, 0)
    await run.result()
    assert shop.provider.refunded(payment.reference) == 0


@pytest.mark.parametrize("action", MONEY_MOVES)
async def test_yen_that_arrive_after_the_decision_are_never_taken_by_it(
    shop: Shop, action: ResolveAction
) -> None:
    order = await shop.order()
    run, payment = await shop.pending(order)
    yen = report(payment, Outcome.PAID).model_copy(update={"currency": "JPY"})
    asked_first = Fault(gate=(gate := asyncio.Event()))
    shop.provider.script("query", payment.reference, asked_first, Fault(report=yen))
    await shop.notify(run, order, amount=500)
    await shop.flagged(payment, Attention.AMOUNT_MISMATCH)
    await shop.sent("query", payment.reference)

    deciding = await run.start_update(
        "resolve",
        decision(action),
        result_type=Payment,
        wait_for_stage=WorkflowUpdateStage.ACCEPTED,
    )
    await shop.say(run, notification(yen))
    gate.set()

    assert (await deciding.result()).status is PaymentStatus.PENDING
    await shop.flagged(payment, Attention.CURRENCY_MISMATCH)
    assert (await shop.row(payment)).captured == 0
    assert (await shop.resolve(run, ResolveAction.CLOSE)).status is PaymentStatus.CLOSED
    await run.result()


async def test_the_dear_product_is_never_granted_for_the_cheap_payment(shop: Shop) -> None:
    _, run, payment = await waiting(shop)
    dear = purchase(payment, product_id="com.shop.gold")
    shop.provider.script("query", payment.reference, Fault(report=paid_report(payment, dear)))
    await shop.say(run, sold(payment, dear))
    await shop.flagged(payment, Attention.PRODUCT_MISMATCH)

    for action in MONEY_MOVES:
        with pytest.raises(WorkflowUpdateFailedError) as refused:
            await shop.resolve(run, action)
        assert refusal(refused.value) == "not_resolvable"

    assert (await shop.row(payment)).captured == 0
    assert await shop.entitlements.list_for_payment(payment.id) == []
    assert (await shop.resolve(run, ResolveAction.CLOSE)).status is PaymentStatus.CLOSED
    await run.result()


@pytest.mark.parametrize(
    ("heading", "reasons"), [("What needs an operator", Attention), ("Alarms", AlarmKind)]
)
def test_no_reason_to_call_an_operator_is_without_its_row(
    heading: str, reasons: type[StrEnum]
) -> None:
    section = OPERATIONS.read_text().partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| `(\w+)` \| (.+?) \| (.+?) \|$", section, re.MULTILINE)

    assert sorted(name for name, _, _ in rows) == sorted(reasons)
    assert all(happened.strip() and to_do.strip() for _, happened, to_do in rows)
