import logging
from datetime import timedelta
from types import SimpleNamespace
from typing import Any

import pytest
from temporalio import workflow
from temporalio.api.common.v1 import Payload
from temporalio.bridge.proto.workflow_activation import WorkflowActivation
from temporalio.bridge.proto.workflow_completion import WorkflowActivationCompletion
from temporalio.common import MetricMeter
from temporalio.worker import WorkflowInstance, WorkflowInstanceDetails, WorkflowRunner

from engine.encryption import REJECTED
from engine.guard import ENTRY_VALID, GuardedRunner, RejectionAlarm

NOW = 1_800_000_000
GOOD = Payload(metadata={"encoding": b"json/plain"}, data=b"1")
BAD = Payload(metadata={"encoding": REJECTED}, data=b"it is not encrypted")


@workflow.defn
class Example:
    @workflow.run
    async def run(self, order: int) -> int:
        return order

    @workflow.signal
    def notify(self, number: int) -> None:
        """Take one argument."""

    @workflow.update
    async def sync(self) -> None:
        """Take no argument."""

    @workflow.update
    async def cancel(self, reason: int) -> None:
        """Take one argument."""


class Recording(WorkflowInstance):
    """A workflow that shows what reaches it."""

    def activate(self, act: WorkflowActivation) -> WorkflowActivationCompletion:
        self.seen = act
        return WorkflowActivationCompletion(run_id="mine")

    def get_serialization_context(self, command_info: Any) -> Any:
        return ("context", command_info)

    def get_external_store_context(self, command_info: Any) -> Any:
        return ("store", command_info)

    def get_info(self) -> Any:
        return "info"


class Runner(WorkflowRunner):
    def __init__(self) -> None:
        self.instance = Recording()
        self.told: list[Any] = []

    def prepare_workflow(self, defn: Any) -> None:
        self.told.append(defn)

    def create_instance(self, det: WorkflowInstanceDetails) -> WorkflowInstance:
        del det
        return self.instance

    def set_worker_level_failure_exception_types(self, types: Any) -> None:
        self.told.append(types)


class Details:
    defn = workflow._Definition.must_from_class(Example)  # noqa: SLF001 - what the worker gives
    info = type("Info", (), {"workflow_id": "payment-1"})


def guarded(runner: Runner) -> WorkflowInstance:
    details: Any = Details
    return GuardedRunner(runner, MetricMeter.noop).create_instance(details)


def activated(activation: WorkflowActivation) -> WorkflowActivation:
    """What reaches the workflow."""
    activation.timestamp.FromSeconds(NOW)
    runner = Runner()
    assert guarded(runner).activate(activation).run_id == "mine"
    return runner.instance.seen


def signal(*payloads: Payload, name: str = "notify") -> WorkflowActivation:
    activation = WorkflowActivation()
    job = activation.jobs.add().signal_workflow
    job.signal_name = name
    job.input.extend(payloads)
    return activation


def update(*payloads: Payload, name: str = "cancel") -> list[Payload]:
    """The arguments that reach the update."""
    activation = WorkflowActivation()
    job = activation.jobs.add().do_update
    job.name = name
    job.input.extend(payloads)
    return list(activated(activation).jobs[0].do_update.input)


def entered(ago: timedelta) -> Payload:
    """An operator's entry of so long ago."""
    at = str(NOW - int(ago.total_seconds())).encode()
    return Payload(metadata={"encoding": b"json/plain", "entered-at": at}, data=b"1")


def test_what_is_right_reaches_the_workflow_unchanged() -> None:
    activation = signal(GOOD)
    activation.jobs.add().initialize_workflow.arguments.append(GOOD)
    activation.jobs.add().resolve_activity.result.completed.result.CopyFrom(GOOD)
    activation.jobs.add().fire_timer.seq = 1
    before = WorkflowActivation.FromString(activation.SerializeToString())

    assert list(activated(activation).jobs) == list(before.jobs)
    assert update(GOOD) == [GOOD]
    assert update(name="sync") == []


@pytest.mark.parametrize("payloads", [[BAD], [], [GOOD, GOOD], [GOOD, BAD]])
def test_a_bad_signal_is_dropped_and_all_else_goes_on(payloads: list[Payload]) -> None:
    activation = signal(*payloads)
    activation.jobs.add().fire_timer.seq = 1
    activation.MergeFrom(signal(GOOD))
    activation.MergeFrom(signal(*payloads))

    kinds = [job.WhichOneof("variant") for job in activated(activation).jobs]
    assert kinds == ["fire_timer", "signal_workflow"]


def test_a_signal_without_a_handler_is_the_workflows_own_matter() -> None:
    assert len(activated(signal(GOOD, GOOD, name="unknown")).jobs) == 1
    assert len(activated(signal(BAD, name="unknown")).jobs) == 0


@pytest.mark.parametrize("payloads", [[BAD], [], [GOOD, GOOD], [GOOD, BAD]])
def test_bad_arguments_of_a_start_or_an_update_become_one_that_cannot_be_converted(
    payloads: list[Payload],
) -> None:
    activation = WorkflowActivation()
    activation.jobs.add().initialize_workflow.arguments.extend(payloads)

    for given in (activated(activation).jobs[0].initialize_workflow.arguments, update(*payloads)):
        assert [payload.metadata["encoding"] for payload in given] == [REJECTED]


def test_an_update_without_a_handler_is_the_workflows_own_matter() -> None:
    assert update(GOOD, GOOD, name="unknown") == [GOOD, GOOD]


@pytest.mark.parametrize("kind", ["resolve_activity", "resolve_child_workflow_execution"])
def test_a_bad_result_is_a_failure_of_unknown_cause(kind: str) -> None:
    activation = WorkflowActivation()
    job = getattr(activation.jobs.add(), kind)
    job.seq = 7
    job.result.completed.result.CopyFrom(BAD)

    reached = getattr(activated(activation).jobs[0], kind)
    assert reached.seq == 7
    assert reached.result.failed.failure.HasField("application_failure_info")
    assert not reached.result.failed.failure.HasField("encoded_attributes")


def test_an_operators_entry_is_an_updates_argument_for_a_while() -> None:
    fresh, edge = entered(timedelta(minutes=1)), entered(ENTRY_VALID)
    old, ahead = (entered(sign * (ENTRY_VALID + timedelta(seconds=1))) for sign in (1, -1))

    assert update(fresh) == [fresh]
    assert update(edge) == [edge]
    for late in (old, ahead):
        assert [payload.metadata["encoding"] for payload in update(late)] == [REJECTED]
    assert len(activated(signal(fresh)).jobs) == 0


def alarms(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What the guard logged; the worker that all tests share logs too."""
    return [r.getMessage() for r in caplog.records if r.name == "engine.guard"]


def test_the_alarm_counts_all_and_writes_once_a_minute(
    caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    clock = 1000.0
    monkeypatch.setattr("engine.guard.time", SimpleNamespace(monotonic=lambda: clock))
    alarm = RejectionAlarm(MetricMeter.noop)
    with caplog.at_level(logging.ERROR):
        for _ in range(3):
            alarm.raise_("signal", "payment-1", "it is not encrypted")
        assert len(alarms(caplog)) == 1
        clock += 60
        alarm.raise_("start", "payment-2", "it is not encrypted")

    first, second = alarms(caplog)
    assert "a signal of payment-1: it is not encrypted (0 more" in first
    assert "a start of payment-2: it is not encrypted (2 more" in second


def test_a_replay_raises_no_alarm(caplog: pytest.LogCaptureFixture) -> None:
    activation = signal(BAD)
    activation.is_replaying = True
    activated(activation)
    assert alarms(caplog) == []

    activated(signal(BAD))
    assert len(alarms(caplog)) == 1


def test_all_else_is_the_workflows_own() -> None:
    runner = Runner()
    instance: Any = guarded(runner)

    assert instance.get_info() == "info"
    assert instance.get_thread_id() is None
    assert instance.get_serialization_context(None) == ("context", None)
    assert instance.get_external_store_context(None) == ("store", None)
    over: Any = GuardedRunner(runner, MetricMeter.noop)
    over.prepare_workflow("definition")
    over.set_worker_level_failure_exception_types([ValueError])
    assert runner.told == ["definition", [ValueError]]
