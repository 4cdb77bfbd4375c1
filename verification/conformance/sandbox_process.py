"""A fresh sandbox of our own, on a free port, for as long as the oracles need it."""

import re
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from verification.conformance.environments import ROOT

# A refund's bank takes two seconds, a notification's retry minutes: nobody waits that long here.
TIME_SCALE = 60


@contextmanager
def running_sandbox(folder: Path) -> Iterator[Path]:
    """Start it and yield its manifest."""
    command = [sys.executable, "-m", "sandbox", "--port", "0", "--data", str(folder)]
    with subprocess.Popen(  # noqa: S603 - our own module
        [*command, "--time-scale", str(TIME_SCALE)], cwd=ROOT, stdout=subprocess.PIPE, text=True
    ) as process:
        try:
            line = process.stdout.readline() if process.stdout else ""
            if not re.search(r"ready at http", line):
                raise RuntimeError(f"the sandbox did not start: {line!r}")
            yield folder / "sandbox.json"
        finally:
            process.terminate()
