"""The sweep: every few minutes, start again what no workflow is working on any more (ADR 21)."""

from datetime import timedelta
from typing import Any

from temporalio import workflow
from temporalio.common import RetryPolicy
from temporalio.exceptions import WorkflowAlreadyStartedError
from temporalio.workflow import ActivityConfig, ParentClosePolicy

from activities.sweep import Finding, Page, PaymentFinding, RefundFinding, SweepActivities
from domain.frozen import Frozen
from storage.unfinished import Position
from workflows.payment import PaymentOrder, PaymentWorkflow
from workflows.policies import payment_policy, refund_policy
from workflows.refund import RefundOrder, RefundWorkflow
from workflows.starting import StartOptions, payment_options, refund_options

# Younger rows are the business of the request that made them.
OLDER_THAN = 600.0
# A page is 40 rows, and three events for each that is found.
PAGES_A_RUN = 100
# A deployment that lost its Temporal data has thousands: the rest is for the next sweep.
MOST_RESTARTS = 200
# Of these so many are left to refunds, which are examined after the payments.
REFUNDS_SHARE = 50


class SweepReport(Frozen):
    """What a sweep has done so far: rows examined, workflows started again, alarms besides.

    `older_than` is the age in seconds from which rows are examined; `payments_after` and
    `refunds_after` are where an execution goes on that the one before left.
    """

    older_than: float = OLDER_THAN
    examined: int = 0
    restarted: int = 0
    alarms: int = 0
    payments_done: bool = False
    payments_after: Position | None = None
    refunds_after: Position | None = None


@workflow.defn
class SweepWorkflow:
    """Examine every unfinished row, page by page; repair and report what was left behind."""

    @workflow.init
    def __init__(self, report: SweepReport) -> None:
        self._report = report

    @workflow.run
    async def run(self, report: SweepReport) -> SweepReport:
        """The sums of the whole sweep."""
        pages = 0
        while self._report.restarted < MOST_RESTARTS and not await self._page():
            pages += 1
            if pages == PAGES_A_RUN or workflow.info().is_continue_as_new_suggested():
                workflow.continue_as_new(self._report)
        return self._report

    async def _page(self) -> bool:
        """Deal with one page; True after the last one."""
        if not self._payments_over():
            payments = await workflow.execute_activity_method(
                SweepActivities.examine_payments,
                self._wanted(self._report.payments_after),
                **_bounds("examine payments"),
            )
            for payment in payments.found:
                await self._restart(payment.finding, payment)
            self._add(examined=payments.examined)
            self._set(payments_after=payments.next, payments_done=payments.next is None)
            return False
        refunds = await workflow.execute_activity_method(
            SweepActivities.examine_refunds,
            self._wanted(self._report.refunds_after),
            **_bounds("examine refunds"),
        )
        for refund in refunds.found:
            await self._restart(refund.finding, refund)
        self._add(examined=refunds.examined)
        self._set(refunds_after=refunds.next)
        return refunds.next is None

    def _payments_over(self) -> bool:
        """All payments were examined, or the other restarts are left to refunds."""
        if self._report.payments_done:
            return True
        if self._report.restarted < MOST_RESTARTS - REFUNDS_SHARE:
            return False
        # A sweep that an earlier build began goes on to the whole bound.
        return workflow.patched("refunds have a share of the restarts")

    async def _restart(self, finding: Finding, found: PaymentFinding | RefundFinding) -> None:
        if not await workflow.execute_activity_method(
            SweepActivities.report_finding, finding, **_bounds(f"report {finding.workflow_id}")
        ):
            self._add(alarms=1)
            return
        run, order, options = _execution(found)
        try:
            await workflow.start_child_workflow(
                run,
                order,
                **options.arguments,
                task_queue=options.task_queue,
                parent_close_policy=ParentClosePolicy.ABANDON,
            )
        except WorkflowAlreadyStartedError:
            workflow.logger.info("%s was started meanwhile", finding.workflow_id)
        self._add(restarted=1)

    def _wanted(self, after: Position | None) -> Page:
        return Page(older_than=self._report.older_than, after=after)

    def _add(self, **more: int) -> None:
        self._set(**{name: getattr(self._report, name) + number for name, number in more.items()})

    def _set(self, **update: object) -> None:
        self._report = self._report.model_copy(update=update)


def _execution(found: PaymentFinding | RefundFinding) -> tuple[Any, Any, StartOptions]:
    """The workflow, its input and options. It submits nothing before it has queried."""
    if isinstance(found, RefundFinding):
        refund = RefundOrder(
            refund=found.refund,
            payment=found.payment,
            policy=refund_policy(found.rules),
            resumed=True,
        )
        return RefundWorkflow.run, refund, refund_options(refund)
    rules = found.rules
    payment = PaymentOrder(
        payment=found.payment,
        policy=payment_policy(
            found.payment.channel,
            rules.asking,
            confirm=found.confirm,
            closable=rules.closable,
            refundable=rules.refundable,
        ),
        refund_policy=refund_policy(rules),
        late_policy=found.late_policy,
        resumed=True,
    )
    return PaymentWorkflow.run, payment, payment_options(payment)


def _bounds(summary: str) -> ActivityConfig:
    return ActivityConfig(
        summary=summary,
        start_to_close_timeout=timedelta(minutes=2),
        # Beyond that the next sweep looks again.
        schedule_to_close_timeout=timedelta(minutes=10),
        retry_policy=RetryPolicy(maximum_interval=timedelta(minutes=1)),
    )
