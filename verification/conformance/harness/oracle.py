"""What each independent client needs beside itself. Standard library only; nothing of Paysaga.

The runner puts this folder on the path of each SDK's own interpreter. A check script speaks with
the runner by lines of JSON on its standard output.
"""

import json
import queue
import sys
import threading
import urllib.request
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, Self
from urllib.parse import parse_qsl, urlencode

WAIT_SECONDS = 20


@dataclass(frozen=True)
class Message:
    """A notification as it arrived: header names as sent, the raw body."""

    headers: dict[str, str]
    body: bytes

    def form(self) -> dict[str, str]:
        """The fields of a form, decoded as the page of a merchant would."""
        return dict(parse_qsl(self.body.decode(), keep_blank_values=True))


class Sandbox:
    """The sandbox's manifest and its control API: what the payer does."""

    def __init__(self, manifest: Path) -> None:
        self.manifest: dict[str, Any] = json.loads(manifest.read_text())
        self._control = self.manifest["control_url"]

    def do(self, path: str, **content: object) -> Any:
        """POST to the control API."""
        request = urllib.request.Request(  # noqa: S310 - our own sandbox
            f"{self._control}/{path}",
            data=json.dumps(content).encode(),
            headers={"Content-Type": "application/json"},
        )
        return _read(request)

    def look(self, path: str, **query: str) -> Any:
        """GET from the control API."""
        return _read(urllib.request.Request(f"{self._control}/{path}?{urlencode(query)}"))  # noqa: S310

    def refunded(self, reference: str) -> list[int]:
        """The refunds of an order that moved money, in fen, as the sandbox's own ledger says."""
        moves = self.look("ledger")
        return [
            move["amount"]
            for move in moves
            if (move["reference"], move["kind"]) == (reference, "refund")
        ]


class Receiver:
    """A merchant's endpoint on a free port: keeps what comes, answers as the provider wants."""

    def __init__(self, *, status: int, body: bytes) -> None:
        self._messages: queue.Queue[Message] = queue.Queue()
        messages = self._messages

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                length = int(self.headers.get("Content-Length", 0))
                messages.put(Message(dict(self.headers.items()), self.rfile.read(length)))
                self.send_response(status)
                self.send_header("Content-Length", str(len(body)))
                self.end_headers()
                self.wfile.write(body)

            def log_message(self, *_: object) -> None:
                """Say nothing: standard output belongs to the checks."""

        self._server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self._server.server_address[1]}/notify"

    def __enter__(self) -> Self:
        threading.Thread(target=self._server.serve_forever, daemon=True).start()
        return self

    def __exit__(self, *_: object) -> None:
        self._server.shutdown()
        self._server.server_close()

    def next(self, about: Callable[[Message], bool] = lambda _message: True) -> Message:
        """The next message that is about this; others are dropped. Raises queue.Empty."""
        while True:
            message = self._messages.get(timeout=WAIT_SECONDS)
            if about(message):
                return message


@contextmanager
def check(name: str) -> Iterator[None]:
    """One line of the table: passes where the block ends without an exception."""
    try:
        yield
    # The boundary of a check: whatever an SDK raises is the check's failure, and the next one runs.
    except Exception as error:  # noqa: BLE001
        _say(name, passed=False, detail=f"{type(error).__name__}: {error}"[:600])
    else:
        _say(name, passed=True, detail="")


def same(found: object, wanted: object) -> None:
    """Raise unless both are equal."""
    if found != wanted:
        raise AssertionError(f"{found!r} instead of {wanted!r}")


def holds(fact: object, otherwise: object = "") -> None:
    """Raise unless the fact is true."""
    if not fact:
        raise AssertionError(f"does not hold: {otherwise!r}")


def fails(action: Callable[[], object], kind: type[Exception]) -> None:
    """Raise unless the action raises that kind."""
    try:
        result = action()
    except kind:
        return
    raise AssertionError(f"{result!r} instead of {kind.__name__}")


def new_reference() -> str:
    """An order or refund number of our own form."""
    return uuid.uuid4().hex


def serve(verbs: dict[str, Callable[..., Any]]) -> None:
    """Answer lines `{"verb": …, arguments}` with `{"result": …}` until the input ends."""
    for line in sys.stdin:
        request = json.loads(line)
        try:
            answer = {"result": verbs[request.pop("verb")](**request)}
        # The other interpreter hears of it and decides.
        except Exception as error:  # noqa: BLE001
            answer = {"error": f"{type(error).__name__}: {error}"}
        sys.stdout.write(json.dumps(answer) + "\n")
        sys.stdout.flush()


def _say(name: str, *, passed: bool, detail: str) -> None:
    sys.stdout.write(json.dumps({"name": name, "passed": passed, "detail": detail}) + "\n")
    sys.stdout.flush()


def _read(request: urllib.request.Request) -> Any:
    opener = urllib.request.build_opener(urllib.request.ProxyHandler({}))
    with opener.open(request, timeout=WAIT_SECONDS) as answer:
        return json.loads(answer.read())
