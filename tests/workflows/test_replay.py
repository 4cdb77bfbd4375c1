"""Payments that were started by an older release go on under this one.

A failure here means: put the change behind `workflow.patched`, or, before the first release,
record the histories anew (see record_histories.py).
"""

from pathlib import Path

import pytest
from temporalio import workflow
from temporalio.client import WorkflowHistory
from temporalio.worker import Replayer

from crypto.key_ring import KeyRing, new_key_file
from engine.converter import data_converter
from tests.workflows.changed import HastilyChangedWorkflow
from tests.workflows.record_histories import HISTORIES, PATHS
from workflows.registered import WORKFLOWS, runner

FILES = sorted(HISTORIES.glob("*.json"))


def history(file: Path) -> WorkflowHistory:
    return WorkflowHistory.from_json(file.stem, file.read_text())


def replayer(*workflows: type) -> Replayer:
    return Replayer(
        workflows=workflows,
        workflow_runner=runner(),
        data_converter=data_converter(KeyRing.parse(new_key_file()), accept_unencrypted=True),
    )


def test_every_path_has_its_history() -> None:
    assert [file.stem for file in FILES] == sorted(path.__name__ for path in PATHS)


@pytest.mark.parametrize("file", FILES, ids=lambda file: file.stem)
async def test_a_recorded_run_replays(file: Path) -> None:
    replayed = await replayer(*WORKFLOWS).replay_workflow(history(file))

    assert replayed.replay_failure is None


async def test_a_change_without_a_patch_is_caught() -> None:
    recorded = history(HISTORIES / "paid_by_notification.json")

    with pytest.raises(workflow.NondeterminismError):
        await replayer(HastilyChangedWorkflow).replay_workflow(recorded)
