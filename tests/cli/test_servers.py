import json
import os
import signal
import socket
from pathlib import Path

import httpx
import pytest

from tests.cli.conftest import Invoke
from tests.cli.embedded.processes import alive, descendants
from tests.cli.running import finish, start

pytestmark = pytest.mark.stack


@pytest.mark.parametrize("ending", [signal.SIGINT, signal.SIGTERM, signal.SIGHUP])
async def test_the_sandbox_alone_serves_until_it_is_notified_to_end(
    command: list[str], tmp_path: Path, ending: signal.Signals
) -> None:
    process, printed = await start(
        command, "sandbox", "--state-dir", str(tmp_path), until="sandbox.json"
    )
    family = descendants(process.pid)
    (cashier,) = (word for word in printed.split() if word.endswith("/cashier/"))
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(cashier)).status_code == httpx.codes.OK

    process.send_signal(ending)

    assert await process.wait() == 0
    assert family
    assert not any(alive(pid) for pid in family)


async def test_a_second_one_on_the_folder_is_rejected_in_one_line(
    command: list[str], tmp_path: Path
) -> None:
    process, _ = await start(command, "sandbox", "--state-dir", str(tmp_path), until="sandbox.json")

    code, output = await finish(command, "sandbox", "--state-dir", str(tmp_path))
    process.terminate()
    await process.wait()

    assert code == 1
    assert f"process {process.pid} already runs" in output
    assert "Traceback" not in output


async def test_without_a_stack_the_missing_settings_are_named(
    command: list[str], tmp_path: Path
) -> None:
    code, output = await finish(
        command, "payments", "list", "--merchant", "m", "--state-dir", str(tmp_path)
    )

    assert code == 1
    assert "PAYSAGA_DATABASE_URL" in output
    assert "Traceback" not in output


async def test_a_port_of_no_service_is_rejected(invoke: Invoke, tmp_path: Path) -> None:
    result = await invoke("up", "--port", "mail=25", "--state-dir", str(tmp_path / "s"))

    assert result.exit_code == 2
    assert "mail=25" in result.output
    assert not (tmp_path / "s").exists()


async def test_the_doctor_finds_a_fresh_checkout_well(invoke: Invoke, tmp_path: Path) -> None:
    result = await invoke("doctor", "--state-dir", str(tmp_path / "new"))

    assert result.exit_code == 0, result.output
    assert "PostgreSQL) 18" in result.output
    assert not (tmp_path / "new").exists()


async def test_the_doctor_sees_a_file_of_another_temporal(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "temporal").mkdir()
    (tmp_path / "temporal" / "version").write_text("1.0.0\n")

    result = await invoke("doctor", "--state-dir", str(tmp_path))

    assert result.exit_code == 1
    assert "--set-temporal-aside" in result.output


async def test_the_doctor_names_a_remembered_port_that_another_program_took(
    invoke: Invoke, tmp_path: Path
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as rival:
        port = rival.getsockname()[1]
        (tmp_path / "ports.json").write_text(json.dumps({"api": port}))
        result = await invoke("doctor", "--state-dir", str(tmp_path))

    assert result.exit_code == 1
    assert f"api {port}" in result.output


async def test_the_doctor_sees_that_a_running_stack_does_not_answer(
    invoke: Invoke, state_dir: Path
) -> None:
    result = await invoke("doctor", "--state-dir", str(state_dir))

    assert result.exit_code == 1
    assert "ConnectError" in result.output


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
async def test_the_doctor_names_the_user_whose_folder_it_is(invoke: Invoke, tmp_path: Path) -> None:
    (tmp_path / "lock").touch()
    os.chown(tmp_path / "lock", 61234, 61234)

    result = await invoke("doctor", "--state-dir", str(tmp_path))

    assert result.exit_code == 1
    assert "the user with id 61234" in result.output
