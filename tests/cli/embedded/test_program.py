import asyncio
import json
import signal
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

from cli.embedded import shim
from cli.embedded.child import Child
from cli.embedded.errors import ProgramFailedError
from cli.embedded.program import Program, run, spawn
from tests.cli.embedded.processes import alive, descendants, gone

DEAF = "import signal, subprocess; signal.signal(signal.SIGTERM, signal.SIG_IGN); "
NewProgram = Callable[..., Program]


def restarts(caplog: pytest.LogCaptureFixture) -> list[str]:
    """What was logged of restarts; the worker that all tests share logs too."""
    return [r.getMessage() for r in caplog.records if r.name == "cli.embedded.child"]


@pytest.fixture
def program(tmp_path: Path) -> NewProgram:
    """A program that runs a line of Python and is ready once it has written `ready`."""

    def new(code: str, **changes: object) -> Program:
        async def ready() -> bool:
            return (tmp_path / "ready").exists()

        fields: dict[str, object] = {
            "name": "line",
            "command": [sys.executable, "-c", code],
            "ready": ready,
            "log": tmp_path / "logs" / "line.log",
            "environment": {"SECRET": "kept"},
            "directory": tmp_path,
        }
        return Program(**(fields | changes))  # type: ignore[arg-type]

    return new


async def test_a_program_sees_only_its_own_environment_and_its_output_is_logged(
    program: NewProgram,
) -> None:
    line = program("import os; print(sorted(set(os.environ) - {'LC_CTYPE'}))")
    await run(line)

    assert line.log_tail().endswith("['SECRET']")


async def test_a_failure_says_what_the_log_says(program: NewProgram) -> None:
    with pytest.raises(ProgramFailedError, match=r"line ended with 3:(.|\n)*no money"):
        await run(program("print('no money'); raise SystemExit(3)"))


async def test_a_program_that_ignores_the_stop_is_killed_with_all_it_started(
    program: NewProgram,
) -> None:
    wait = "subprocess.Popen(['sleep', '600']); open('ready', 'w'); signal.pause()"
    child = Child(program(DEAF + wait, stop_seconds=0.2))
    await child.start()
    family = {child.pid} | descendants(child.pid)
    assert len(family) == 2

    await child.stop()

    await gone(family)
    with pytest.raises(LookupError):
        _ = child.pid


async def test_a_program_that_keeps_dying_is_started_later_and_later(
    program: NewProgram, caplog: pytest.LogCaptureFixture
) -> None:
    child = Child(program("open('ready', 'w')"))
    await child.start()
    async with asyncio.timeout(30):
        while len(restarts(caplog)) < 4:  # noqa: ASYNC110 - a log has no event
            await asyncio.sleep(0.02)
    await child.stop()

    waits = [float(message.split()[-2]) for message in restarts(caplog)]
    assert waits[:4] == [0.2, 0.4, 0.8, 1.6]


async def test_a_program_whose_probe_raises_is_not_waited_for(program: NewProgram) -> None:
    async def never() -> bool:
        raise ProgramFailedError("this can't work")

    child = Child(program("import signal; signal.pause()", ready=never))
    with pytest.raises(ProgramFailedError, match="this can't work"):
        await child.start()
    pid = child.pid
    await child.stop()

    assert not alive(pid)


async def test_a_stopped_program_is_not_waited_for(program: NewProgram) -> None:
    child = Child(program("pass"))

    with pytest.raises(ProgramFailedError, match="line is stopped"):
        await child.wait_ready()


async def test_a_log_that_grew_large_is_kept_once_next_to_a_new_one(
    program: NewProgram, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("cli.embedded.program.LOG_BYTES", 10)
    line = program("print('second')")
    await run(program("print('first')"))
    await run(line)

    assert "first" not in line.log_tail()
    assert "first" in line.log.with_suffix(".log.1").read_text()


async def test_a_program_is_not_spawned_from_another_thread(program: NewProgram) -> None:
    with pytest.raises(RuntimeError, match="main thread"):
        await asyncio.to_thread(asyncio.run, spawn(program("pass")))


async def test_a_child_of_a_dead_supervisor_does_not_begin(tmp_path: Path) -> None:
    orders = shim.Orders(
        command=["/bin/touch", str(tmp_path / "begun")],
        parent=1,
        death_signal=signal.SIGKILL,
        user=None,
        lock=None,
    )
    process = await asyncio.create_subprocess_exec(
        sys.executable, shim.__file__, json.dumps(orders), stderr=asyncio.subprocess.PIPE
    )
    _, complaint = await process.communicate()

    assert b"the supervisor is gone" in complaint
    assert not (tmp_path / "begun").exists()
