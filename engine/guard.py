"""What becomes of a workflow's rejected payloads: the call fails that brought them, nothing else.

A workflow task that ends with an error is retried until it succeeds. So whoever can send one
signal could stop a payment by it, if a bad argument were an error of the task. Of what an
activation brings, here
- a start fails the workflow before its first step,
- a signal is dropped,
- an update or a query is answered with an error,
- an activity's or a child workflow's result counts as a failure of unknown cause.
What is decided depends on the history and the key ring alone, so that a replay decides the same.
"""

import logging
import time
from collections.abc import Sequence
from datetime import timedelta
from typing import Any

from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.bridge.proto.workflow_activation import (
    WorkflowActivation,
    WorkflowActivationJob,
)
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.common import MetricMeter
from temporalio.worker import (
    WorkflowInstance,
    WorkflowInstanceDetails,
    WorkflowRunner,
)
from temporalio.workflow import Info

from engine.encryption import ENTERED_AT, REJECTED

# How long an update may carry what an operator entered in the UI. It isn't bound to a workflow, for
# the UI does not name one: who reads Temporal's traffic could use it for another.
ENTRY_VALID = timedelta(minutes=15)
METRIC = "paysaga_rejected_payloads"
LOG_EVERY_SECONDS = 60.0
_log = logging.getLogger(__name__)


class RejectionAlarm:
    """Counts what is rejected, and writes at most one line a minute about it."""

    def __init__(self, meter: MetricMeter) -> None:
        self._counter = meter.create_counter(METRIC, "Payloads that were not encrypted for here")
        self._next = 0.0
        self._unwritten = 0

    def raise_(self, what: str, workflow_id: str, reason: str) -> None:
        """Record one rejection."""
        self._counter.add(1, {"what": what})
        if time.monotonic() < self._next:
            self._unwritten += 1
            return
        _log.error(
            "rejected a %s of %s: %s (%d more since the last such line). A client without our "
            "payload keys reaches Temporal, or two deployments share a namespace",
            *(what, workflow_id, reason, self._unwritten),
        )
        self._next, self._unwritten = time.monotonic() + LOG_EVERY_SECONDS, 0


class GuardedRunner(WorkflowRunner):
    """Runs workflows as another runner does, without what must not reach them."""

    def __init__(self, runner: WorkflowRunner, meter: MetricMeter) -> None:
        self._runner = runner
        self._alarm = RejectionAlarm(meter)

    def prepare_workflow(self, defn: Any) -> None:
        """Prepare as the other runner does."""
        self._runner.prepare_workflow(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        """Return a workflow behind the guard."""
        return _GuardedInstance(self._runner.create_instance(det), det, self._alarm)

    def set_worker_level_failure_exception_types(
        self, types: Sequence[type[BaseException]]
    ) -> None:
        """Pass them on."""
        self._runner.set_worker_level_failure_exception_types(types)


class _GuardedInstance(WorkflowInstance):
    def __init__(
        self, instance: WorkflowInstance, det: WorkflowInstanceDetails, alarm: RejectionAlarm
    ) -> None:
        self._instance = instance
        self._defn = det.defn
        self._workflow_id = det.info.workflow_id
        self._alarm = alarm
        self._replaying = False

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        now = act.timestamp.ToSeconds()
        self._replaying = act.is_replaying
        dropped = [at for at, job in enumerate(act.jobs) if not self._admit(job, now)]
        for at in reversed(dropped):
            del act.jobs[at]
        return self._instance.activate(act)

    def _admit(self, job: WorkflowActivationJob, now: int) -> bool:
        """Make the job harmless; False where nothing of it may remain."""
        match job.WhichOneof("variant"):
            case "initialize_workflow":
                self._check("start", job.initialize_workflow.arguments, self._defn.arg_types)
            case "signal_workflow":
                signal = job.signal_workflow
                known = self._defn.signals.get(signal.signal_name)
                return not self._check("signal", signal.input, known.arg_types if known else None)
            case "do_update":
                update = job.do_update
                asked = self._defn.updates.get(update.name)
                self._check("update", update.input, asked.arg_types if asked else None, now)
            case "resolve_activity":
                self._check_result("activity result", job.resolve_activity.result)
            case "resolve_child_workflow_execution":
                result = job.resolve_child_workflow_execution.result
                self._check_result("child workflow result", result)
        return True

    def _check(
        self, what: str, given: Any, wanted: Sequence[type] | None, entered_by: int | None = None
    ) -> bool:
        """Leave one rejected payload where any is, or where arguments are too many or too few."""
        reason = _rejection(given, entered_by)
        if reason is None and wanted is not None and len(given) != len(wanted):
            reason = f"it has {len(given)} arguments instead of {len(wanted)}"
        if reason is None:
            return False
        self._raise_alarm(what, reason)
        del given[:]
        given.append(Payload(metadata={"encoding": REJECTED}, data=reason.encode()))
        return True

    def _check_result(self, what: str, result: Any) -> None:
        reason = result.HasField("completed") and _rejection([result.completed.result])
        if reason:
            self._raise_alarm(what, reason)
            # Without encoded attributes it is converted into an error of unknown cause.
            failure = Failure(message=reason)
            failure.application_failure_info.SetInParent()
            result.failed.failure.CopyFrom(failure)

    def _raise_alarm(self, what: str, reason: str) -> None:
        if not self._replaying:
            self._alarm.raise_(what, self._workflow_id, reason)

    def get_serialization_context(self, command_info: Any) -> Any:
        return self._instance.get_serialization_context(command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return self._instance.get_external_store_context(command_info)

    def get_info(self) -> Info:
        return self._instance.get_info()

    def get_thread_id(self) -> int | None:
        return self._instance.get_thread_id()


def _rejection(payloads: Any, entered_by: int | None = None) -> str | None:
    """Why one of the payloads must not be used; what an operator entered has to be recent."""
    for payload in payloads:
        if payload.metadata.get("encoding") == REJECTED:
            return str(payload.data.decode(errors="replace"))
        if ENTERED_AT in payload.metadata:
            if entered_by is None:
                return "an operator entered it, who may send updates only"
            age = entered_by - int(payload.metadata[ENTERED_AT])
            if abs(age) > ENTRY_VALID.total_seconds():
                return f"an operator entered it {age} seconds ago"
    return None
