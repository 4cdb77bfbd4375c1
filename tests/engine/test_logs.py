import json
import logging
import sys
from collections.abc import Callable, Iterator

import pytest
from temporalio.testing import ActivityEnvironment

from engine import logs
from engine.logs import REPEATS, JsonLines, Repeats


def _record(message: str, *arguments: object) -> logging.LogRecord:
    record = logging.LogRecord("api.x", logging.WARNING, "x.py", 1, message, arguments, None)
    record.created = 1796083200.25
    return record


@pytest.fixture(autouse=True)
def _no_request() -> None:
    logs.begin()


def test_a_line_has_its_time_in_utc_its_level_and_its_logger() -> None:
    assert json.loads(JsonLines().format(_record("%d of %s", 2, "x"))) == {
        "time": "2026-12-01T00:00:00.250Z",
        "level": "warning",
        "logger": "api.x",
        "message": "2 of x",
    }


def test_what_a_stranger_sent_is_never_a_line_of_its_own() -> None:
    line = JsonLines().format(_record("%s", '\n{"level": "info"}\r\x1b[2J'))
    assert not set("\n\r\x1b") & set(line)


def test_a_request_is_in_its_lines_and_in_no_other_requests() -> None:
    logs.begin(request_id="1", peer="192.0.2.1")
    logs.bind(merchant_id="m")
    line = json.loads(JsonLines().format(_record("x")))
    assert (line["request_id"], line["peer"], line["merchant_id"]) == ("1", "192.0.2.1", "m")
    logs.begin(request_id="2")
    line = json.loads(JsonLines().format(_record("x")))
    assert line["request_id"] == "2"
    assert not {"peer", "merchant_id"} & set(line)


def test_an_error_is_in_its_line() -> None:
    record = _record("x")
    try:
        json.loads("{")
    except ValueError:
        record.exc_info = sys.exc_info()
    assert "JSONDecodeError: Expecting" in json.loads(JsonLines().format(record))["exception"]


def test_a_warning_that_strangers_repeat_does_not_flood_the_log_and_is_counted() -> None:
    repeats = Repeats()

    def passed(record: logging.LogRecord, seconds: float) -> bool:
        record.created += seconds
        return repeats.filter(record)

    flood = [passed(_record("forged at %s", n), 0) for n in range(100)]
    assert sum(flood) == REPEATS
    assert passed(_record("another"), 0.1)
    assert sum(passed(_record("forged at %s", n), 0.1) for n in range(10)) == 0
    later = _record("forged at %s", "x")
    assert passed(later, 1)
    assert json.loads(JsonLines().format(later))["left_out"] == 10


def test_errors_are_distinguished_by_where_they_were_raised() -> None:
    """One message of the web server's stands for all errors of an application."""
    repeats = Repeats()

    def failed(raise_: Callable[[], None]) -> bool:
        record = _record("Exception in ASGI application")
        record.levelno, record.created = logging.ERROR, 1000.0
        try:
            raise_()
        except ValueError as error:
            record.exc_info = (type(error), error, error.__traceback__)
        return repeats.filter(record)

    def one() -> None:
        raise ValueError("one")

    def another() -> None:
        raise ValueError("another")

    assert sum(failed(one) for _ in range(100)) == REPEATS
    assert failed(another)


async def test_an_activitys_line_names_its_workflow() -> None:
    def line() -> str:
        return JsonLines().format(_record("x"))

    found = json.loads(ActivityEnvironment().run(line))
    assert (found["workflow_id"], found["activity"]) == ("test", "unknown")


@pytest.fixture
def handlers() -> Iterator[logging.Logger]:
    root, uvicorn = logging.getLogger(), logging.getLogger("uvicorn")
    kept, level, propagates = root.handlers[:], root.level, uvicorn.propagate
    uvicorn.addHandler(logging.StreamHandler())
    uvicorn.propagate = False
    logging.getLogger("uvicorn.error").setLevel(logging.INFO)
    yield uvicorn
    root.handlers[:] = kept
    root.setLevel(level)
    uvicorn.handlers.clear()
    uvicorn.propagate = propagates


def test_the_web_servers_lines_are_ours(
    handlers: logging.Logger, capsys: pytest.CaptureFixture[str]
) -> None:
    logs.install()
    logging.getLogger("uvicorn.error").info("started")
    logging.getLogger("httpx").info("GET https://provider/?sign=secret")
    [line] = capsys.readouterr().err.splitlines()
    assert json.loads(line)["message"] == "started"
    assert not handlers.handlers
