"""An SDK in its own interpreter, asked by lines of JSON."""

import json
import subprocess
from types import TracebackType
from typing import Any, Self

from verification.conformance.environments import ROOT, environment, interpreter

STOP_SECONDS = 10


class Peer:
    """`peer.ask("verb", argument=…)`; the process lives as long as the `with` block."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __enter__(self) -> Self:
        script = ROOT / "verification" / "conformance" / self._name / "peer.py"
        self._process = subprocess.Popen(  # noqa: S603 - our own script
            [str(interpreter(self._name)), str(script)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            text=True,
            env=environment(),
        )
        return self

    def __exit__(
        self,
        _kind: type[BaseException] | None,
        _error: BaseException | None,
        _trace: TracebackType | None,
    ) -> None:
        self._process.communicate(timeout=STOP_SECONDS)

    def ask(self, verb: str, **arguments: object) -> Any:
        """The SDK's answer; what it raised there is raised here."""
        if self._process.stdin is None or self._process.stdout is None:
            raise RuntimeError("the peer has no pipes")
        self._process.stdin.write(json.dumps({"verb": verb, **arguments}) + "\n")
        self._process.stdin.flush()
        answer = json.loads(self._process.stdout.readline())
        if "error" in answer:
            raise RuntimeError(f"{self._name} {verb}: {answer['error']}")
        return answer["result"]
