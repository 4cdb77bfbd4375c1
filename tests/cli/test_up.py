import os
import signal
from pathlib import Path

import httpx
import pytest

from tests.cli.embedded.processes import alive, descendants, gone
from tests.cli.running import finish, start

pytestmark = pytest.mark.stack


async def test_up_serves_other_commands_survives_kill_9_and_ends_cleanly(
    command: list[str], tmp_path: Path
) -> None:
    folder = ("--state-dir", str(tmp_path))
    process, printed = await start(command, "up", *folder, until="Ctrl-C")
    docs = next(word for word in printed.split() if word.endswith("/docs"))
    code, output = await finish(command, "merchants", "create", "tea-house", *folder)
    assert code == 0, output
    code, findings = await finish(command, "doctor", *folder)
    assert code == 0, findings
    assert "/readyz answers 200" in findings

    family = descendants(process.pid)
    os.kill(process.pid, signal.SIGKILL)
    await process.wait()
    await gone(family)

    process, printed = await start(command, "up", *folder, until="Ctrl-C")
    family = descendants(process.pid)
    assert docs in printed, "links survive"
    code, output = await finish(command, "keys", "create", "--merchant", "tea-house", *folder)
    assert code == 0, output
    async with httpx.AsyncClient(trust_env=False) as http:
        assert (await http.get(docs)).status_code == httpx.codes.OK

    process.send_signal(signal.SIGTERM)
    assert await process.wait() == 0
    assert not any(alive(pid) for pid in family)
