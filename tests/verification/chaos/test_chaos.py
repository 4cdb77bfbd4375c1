"""Small chaos tests on a real stack; `make chaos` is the large one."""

import dataclasses
from pathlib import Path

import pytest

from cli.embedded.config import StackConfig
from cli.embedded.stack import Stack
from storage.database import Database
from verification.chaos.broken.guards import GUARDS, Guard, SabotagedStack
from verification.chaos.chaos_test import TIME_SCALE, ChaosTest
from verification.chaos.generate import Settings, generate

pytestmark = pytest.mark.stack


def sabotaged(folder: Path, guard: Guard) -> SabotagedStack:
    stack = SabotagedStack(StackConfig(folder, sandbox_time_scale=TIME_SCALE))
    stack.guard = guard
    return stack


# An order that nobody pays lives for a minute, and what was lost waits for a sweep.
@pytest.mark.timeout(480)
async def test_a_small_chaos_test_ends_clean(tmp_path: Path) -> None:
    plan = generate(Settings(payments=12, seed=3, kill_every=5))
    config = StackConfig(tmp_path / "state", sandbox_time_scale=TIME_SCALE)
    async with Stack(config) as stack:
        database = Database(stack.database_url)
        report, audit = await ChaosTest(plan, stack, database).run()
        await database.close()

    assert [found.what for found in audit.errors] == []
    assert (report.quiet, report.surprises) == (True, [])
    assert sum(report.kills.values()) > 2
    assert report.write(tmp_path).exists()


async def test_payments_whose_workflow_is_gone_are_found_by_their_notification(
    tmp_path: Path,
) -> None:
    """The chaos that shows the late way to be needed is survived where it is there."""
    plan = dataclasses.replace(GUARDS["late-path"].plan, kills=())
    async with Stack(StackConfig(tmp_path / "state", sandbox_time_scale=TIME_SCALE)) as stack:
        database = Database(stack.database_url)
        _, audit = await ChaosTest(plan, stack, database).run()
        await database.close()

    assert [found.what for found in audit.errors] == []


# Which notification the kill meets is chance; `make chaos --break` has more of them.
@pytest.mark.parametrize("name", sorted(GUARDS.keys() - {"acknowledge-after-signal"}))
async def test_the_audit_names_what_a_broken_guard_lets_through(tmp_path: Path, name: str) -> None:
    guard = GUARDS[name]
    plan = dataclasses.replace(guard.plan, orders=guard.plan.orders[:6])
    async with sabotaged(tmp_path / "state", guard) as stack:
        database = Database(stack.database_url)
        chaos = ChaosTest(plan, stack, database, statements=guard.statements, patience=15)
        _, audit = await chaos.run()
        await database.close()

    assert {found.promise for found in audit.errors} & guard.promises
