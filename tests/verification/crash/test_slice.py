"""A slice of the crash matrix: some points of every scenario and of every process that can die."""

from collections.abc import AsyncIterator, Iterable, Iterator
from dataclasses import replace

import pytest

from verification.crash.matrix import kill_at, rehearse
from verification.crash.point import Point
from verification.crash.scenarios import SCENARIOS
from verification.crash.stage import Stage, open_stage
from verification.crash.table import column, table, troubles

pytestmark = pytest.mark.stack


@pytest.fixture(scope="module")
async def stage(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stage]:
    async with open_stage(tmp_path_factory.mktemp("crash")) as stage:
        yield stage


def one_a_column(points: Iterable[Point]) -> Iterator[Point]:
    """One point of each column of the table, of another scenario each where there is one."""
    taken: dict[str, Point] = {}
    scenarios: set[str] = set()
    for point in sorted(points, key=lambda point: point.scenario):
        if column(point) not in taken and point.scenario not in scenarios:
            taken[column(point)] = point
            scenarios.add(point.scenario)
    yield from taken.values()


async def test_payments_outlive_a_kill_at_any_step(stage: Stage) -> None:
    rehearsals = await rehearse(stage)
    points = [
        point
        for rehearsal in rehearsals
        # Something has been sent and is not known to be: where most is at stake.
        for point in rehearsal.points()
        if point.step.after
    ]
    chosen = list(one_a_column(points))
    assert len({point.victim for point in chosen}) == 4

    attempts = await kill_at(stage, chosen)

    assert not troubles(attempts)
    assert table(attempts).row_count == len({point.scenario for point in chosen}) + 1


async def test_a_step_that_never_comes_is_a_hole_and_not_a_success(stage: Stage) -> None:
    [first] = await rehearse(stage, SCENARIOS[:1])
    point = next(first.points())
    never = Point(point.scenario, replace(point.step, label="never"), point.victim)

    [attempt] = await kill_at(stage, [never])

    assert troubles([attempt]) == [f"hole: {never}"]
