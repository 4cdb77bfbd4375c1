"""The rehearsal's processes are the compose file's services, with this machine's places."""

import re
from collections import Counter
from pathlib import Path

import pytest

from verification.rehearsal.compose import ROOT, Compose
from verification.rehearsal.load import Seen
from verification.rehearsal.report import Row, markdown
from verification.rehearsal.shape import Shape
from verification.rehearsal.toolchain import Servers
from verification.rehearsal.two_builds import _FIRST_STEP

# What a container calls the others, where a value leads there.
CONTAINER = re.compile(r"(?:@|//|^)(?:postgres|temporal|sandbox|api):\d|/run/secrets|^/paysaga/")


@pytest.fixture
def shape(tmp_path: Path) -> Shape:
    nowhere = Path("/nowhere")
    return Shape(tmp_path, Servers(nowhere, nowhere, nowhere, nowhere))


@pytest.mark.parametrize(
    "service",
    ["temporal-schema", "temporal-namespace", "temporal-indexes", "migrate", "promote", "sandbox"],
)
def test_no_place_of_a_container_is_left(shape: Shape, service: str) -> None:
    words = [*shape.compose.command(service), *shape.compose.environment(service).values()]
    assert [word for word in words if CONTAINER.search(word)] == []


def test_each_process_listens_on_this_machine_alone(shape: Shape) -> None:
    for process in (shape.api(1), shape.api(2), shape.worker(1)):
        words = [*process.command, *process.environment.values()]
        assert [word for word in words if CONTAINER.search(word) or "0.0.0.0" in word] == []  # noqa: S104
    first, second = shape.api(1), shape.api(2)
    assert first.command != second.command
    assert first.environment["PAYSAGA_BUILD_ID"] == second.environment["PAYSAGA_BUILD_ID"]


def test_a_variable_that_must_be_set_is_missed() -> None:
    with pytest.raises(KeyError, match="PAYSAGA_PUBLIC_URL"):
        Compose({}, {}, Path())


def test_a_service_stops_as_compose_stops_it(shape: Shape) -> None:
    assert shape.compose.stop_seconds("api") == 45
    assert shape.compose.stop_seconds("sandbox") == 10


def test_the_changed_build_is_changed_where_a_payment_begins() -> None:
    assert (ROOT / "workflows/payment.py").read_text().count(_FIRST_STEP) == 1


def test_the_table_names_what_broke() -> None:
    seen = Seen(payments={"p1": "alipay"}, failures=Counter({"503": 2}), seconds=[0.2, 1.25])
    rows = [Row("fine", Seen()), Row("broken", seen, ["p1: pending"])]

    lines = markdown(rows).splitlines()

    assert lines[2] == "| fine | 0 | none | 0.0 s | kept |"
    assert lines[3] == "| broken | 1 | 2 × 503 | 1.2 s | p1: pending |"
