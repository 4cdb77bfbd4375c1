"""The sweep page by page, on what its activities say; what it starts are real workflows."""

from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID, uuid4

import pytest
from temporalio import activity
from temporalio.worker import Worker

from activities.sweep import Finding, Findings, Page, PaymentFinding, RefundFinding
from domain.merchant import LatePolicy
from domain.payment import PaymentStatus
from domain.refund import Refund, RefundStatus
from domain.report import Attention, RefundOutcome
from domain.resolution import ResolveAction
from providers.base import ChannelRules
from storage.unfinished import Position
from tests.workflows.shop import Shop, eventually
from workflows.payment import PaymentOrder
from workflows.registered import runner
from workflows.starting import payment_options, refund_options
from workflows.sweep import SweepReport, SweepWorkflow


class Rows:
    """What is found, a page each; the last page of a kind has no next one."""

    def __init__(self) -> None:
        self.payments: list[list[PaymentFinding]] = [[]]
        self.refunds: list[list[RefundFinding]] = [[]]
        self.hopeless: set[str] = set()
        self.reported: Counter[str] = Counter()

    @activity.defn
    async def examine_payments(self, wanted: Page) -> Findings[PaymentFinding]:
        number = wanted.after.id.int if wanted.after else 0
        return Findings(
            examined=10, found=self.payments[number], next=_after(number, self.payments)
        )

    @activity.defn
    async def examine_refunds(self, wanted: Page) -> Findings[RefundFinding]:
        number = wanted.after.id.int if wanted.after else 0
        return Findings(examined=10, found=self.refunds[number], next=_after(number, self.refunds))

    @activity.defn
    async def report_finding(self, finding: Finding) -> bool:
        self.reported[finding.workflow_id] += 1
        return finding.workflow_id not in self.hopeless


def _after(number: int, pages: Sequence[object]) -> Position | None:
    if number + 1 >= len(pages):
        return None
    return Position(created_at=datetime.now(UTC), id=UUID(int=number + 1))


def lost(order: PaymentOrder) -> PaymentFinding:
    return PaymentFinding(
        finding=Finding(workflow_id=payment_options(order).id, reason="no open workflow"),
        payment=order.payment,
        rules=ChannelRules(),
        confirm=False,
        late_policy=LatePolicy.REFUND,
    )


async def sweep(shop: Shop, rows: Rows) -> SweepReport:
    queue = f"sweep-{uuid4().hex}"
    async with Worker(
        shop.client,
        task_queue=queue,
        workflows=[SweepWorkflow],
        activities=[rows.examine_payments, rows.examine_refunds, rows.report_finding],
        # Its bounds are replaced in tests, which the strict sandbox would not see.
        workflow_runner=runner(),
    ):
        return await shop.client.execute_workflow(
            SweepWorkflow.run, SweepReport(), id=queue, task_queue=queue
        )


async def lose(shop: Shop, order: PaymentOrder) -> None:
    await shop.pending(order)
    await shop.run(order).terminate("lost")


async def test_a_lost_payment_goes_on_without_a_second_submission(shop: Shop) -> None:
    order = await shop.order()
    await lose(shop, order)
    shop.provider.pay(order.payment.reference)
    rows = Rows()
    rows.payments = [[lost(order)]]

    report = await sweep(shop, rows)

    assert (report.examined, report.restarted, report.alarms) == (20, 1, 0)
    assert (await shop.run(order).result()).status is PaymentStatus.SUCCEEDED
    assert shop.provider.sent("create", order.payment.reference) == 1
    assert shop.merchants.heard(order.payment) == ["payment.succeeded"]


async def test_a_lost_payment_without_a_checkout_is_closed(shop: Shop) -> None:
    order = await shop.order(expires_in=3)
    await shop.payments.record(order.payment)
    rows = Rows()
    rows.payments = [[lost(order)]]

    await sweep(shop, rows)

    assert (await shop.run(order).result()).status is PaymentStatus.CLOSED
    assert shop.provider.sent("create", order.payment.reference) == 0


async def test_a_lost_refund_queries_before_it_submits_and_gives_back_once(shop: Shop) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 500)
    await shop.refunds.reserve(order.refund)
    rows = Rows()
    rows.refunds = [
        [
            RefundFinding(
                finding=Finding(workflow_id=refund_options(order).id, reason="no open workflow"),
                refund=order.refund,
                payment=payment,
            )
        ]
    ]

    report = await sweep(shop, rows)

    assert report.restarted == 1
    run = shop.client.get_workflow_handle(refund_options(order).id)
    await run.result()
    stored = await shop.refunds.get(order.refund.id)
    assert stored is not None
    assert stored.status is RefundStatus.SUCCEEDED
    assert shop.provider.refunded(payment.reference) == 500


async def test_a_lost_refund_that_an_operator_was_called_for_still_holds_its_money(
    shop: Shop,
) -> None:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 500)
    await shop.refunds.reserve(order.refund)
    # Claimed as done, then denied: the money stays held until somebody has looked.
    await shop.refunds.flag(order.refund.id, Attention.CONTRADICTION, "claimed, then denied")
    stored = await shop.refunds.get(order.refund.id)
    assert stored is not None
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.FAILED
    rows = Rows()
    found = Finding(workflow_id=refund_options(order).id, reason="no open workflow")
    rows.refunds = [[RefundFinding(finding=found, refund=stored, payment=payment)]]

    await sweep(shop, rows)

    run = shop.client.get_workflow_handle(refund_options(order).id, result_type=Refund)
    await shop.resolve_refund(run, ResolveAction.ACCEPT)
    await run.result()
    ended = await shop.refunds.get(order.refund.id)
    assert ended is not None
    assert ended.status is RefundStatus.SUCCEEDED
    assert shop.provider.sent("refund", order.refund.reference) == 0


async def test_what_was_started_meanwhile_is_left_alone(shop: Shop) -> None:
    order = await shop.order()
    run, _ = await shop.pending(order)
    rows = Rows()
    rows.payments = [[lost(order)]]

    await sweep(shop, rows)

    description = await run.describe()
    assert description.run_id == run.first_execution_run_id
    await shop.cancel(run)


async def test_what_cannot_be_repaired_is_counted_and_not_started(shop: Shop) -> None:
    order = await shop.order()
    await lose(shop, order)
    rows = Rows()
    rows.payments = [[lost(order)]]
    rows.hopeless = {payment_options(order).id}

    report = await sweep(shop, rows)

    assert (report.restarted, report.alarms) == (0, 1)


async def test_a_sweep_of_many_pages_goes_on_in_a_new_execution(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.sweep.PAGES_A_RUN", 2)
    rows = Rows()
    rows.payments, rows.refunds = [[]] * 4, [[]] * 3

    report = await sweep(shop, rows)

    assert report.examined == 70


async def test_a_sweep_starts_a_bounded_number(shop: Shop, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("workflows.sweep.MOST_RESTARTS", 1)
    monkeypatch.setattr("workflows.sweep.REFUNDS_SHARE", 0)
    first, second = await shop.order(), await shop.order()
    for order in (first, second):
        await lose(shop, order)
    rows = Rows()
    rows.payments = [[lost(first)], [lost(second)]]

    report = await sweep(shop, rows)

    assert (report.restarted, report.payments_done) == (1, False)
    await eventually(lambda: _is_open(shop, first))
    assert not await _is_open(shop, second)


async def test_many_lost_payments_leave_refunds_their_restarts(
    shop: Shop, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workflows.sweep.MOST_RESTARTS", 2)
    monkeypatch.setattr("workflows.sweep.REFUNDS_SHARE", 1)
    payment = await shop.paid(await shop.order())
    refund = shop.refund_order(payment, 500)
    await shop.refunds.reserve(refund.refund)
    first, second = await shop.order(), await shop.order()
    for order in (first, second):
        await lose(shop, order)
    rows = Rows()
    rows.payments = [[lost(first)], [lost(second)]]
    found = Finding(workflow_id=refund_options(refund).id, reason="no open workflow")
    rows.refunds = [[RefundFinding(finding=found, refund=refund.refund, payment=payment)]]

    report = await sweep(shop, rows)

    assert (report.restarted, report.payments_done) == (2, False)
    assert not await _is_open(shop, second)
    await shop.client.get_workflow_handle(refund_options(refund).id).result()
    assert shop.provider.refunded(payment.reference) == 500


async def _is_open(shop: Shop, order: PaymentOrder) -> bool:
    status = (await shop.run(order).describe()).status
    return status is not None and status.name == "RUNNING"
