"""The matrix as a person reads it: scenarios by what died where, holes and losses by name."""

from collections import defaultdict
from collections.abc import Iterable
from itertools import chain

from rich.table import Table

from cli.embedded.config import Service
from verification.crash.matrix import Attempt
from verification.crash.point import Kind, Point

SERVERS = (Service.POSTGRES, Service.TEMPORAL)


def column(point: Point) -> str:
    """Where a point is counted."""
    return str(point.victim if point.victim in SERVERS else point.step.kind)


COLUMNS = (
    *map(str, Kind),
    *map(str, SERVERS),
)


def table(attempts: Iterable[Attempt]) -> Table:
    """Counts a cell: `survived`, or `survived/points` where they differ."""
    cells: dict[tuple[str, str], list[Attempt]] = defaultdict(list)
    for attempt in attempts:
        cells[attempt.point.scenario, column(attempt.point)].append(attempt)
    title = "Points where the step's process, or a server, was killed, and the books agreed"
    shown = Table("scenario", title=title)
    for name in (*COLUMNS, "all"):
        shown.add_column(name, justify="right")
    names = list(dict.fromkeys(scenario for scenario, _ in cells))
    for name in names:
        row = [cells[name, where] for where in COLUMNS]
        shown.add_row(name, *(_count(cell) for cell in row), _count([*chain(*row)]))
    columns = [[*chain(*(cells[name, where] for name in names))] for where in COLUMNS]
    shown.add_section()
    shown.add_row("all", *(_count(cell) for cell in columns), _count([*chain(*columns)]))
    return shown


def troubles(attempts: Iterable[Attempt]) -> list[str]:
    """Holes (points that the kill did not meet) and wrong ends, each by its point's name."""
    holes = [f"hole: {attempt.point}" for attempt in attempts if not attempt.met]
    return holes + [f"{a.point}: {wrong}" for a in attempts for wrong in a.wrong]


def _count(cell: list[Attempt]) -> str:
    survived = sum(attempt.met and not attempt.wrong for attempt in cell)
    return str(survived) if survived == len(cell) else f"{survived}/{len(cell)}"
