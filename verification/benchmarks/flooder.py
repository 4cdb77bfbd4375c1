"""A merchant's client that never pauses, in a process of its own: `python -m bench.flooder`.

It reads the `Flood` as one line of JSON from its input once it is ready, floods, and writes the
`Flooded`. Its timing and its garbage collector are then no part of what is measured.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from contextlib import AsyncExitStack
from http import HTTPStatus
from typing import Any, TypedDict
from uuid import uuid4

import aiohttp
import uvloop

READY = "ready"
_ANSWER = b"HTTP/1.1 429 Too Many Requests\r\nContent-Length: 2\r\n\r\n{}"
_SOURCE = "127.0.0.2"
_HEAD_END = b"\r\n\r\n"


class Flood(TypedDict):
    """What to send. Without a `url` the answers come from a trivial server in this process."""

    url: str | None
    path: str
    key: str
    body: dict[str, Any]
    connections: int
    seconds: float


class Flooded(TypedDict):
    """Answers by status, and the payments that were created."""

    answers: dict[str, int]
    seconds: float
    created: list[dict[str, Any]]


async def flood(wanted: Flood) -> Flooded:
    """Post new orders on every connection, each as soon as the one before it was answered."""
    answers: Counter[str] = Counter()
    created: list[dict[str, Any]] = []
    begun = time.monotonic()

    async def on_one_connection(http: aiohttp.ClientSession) -> None:
        while time.monotonic() < begun + wanted["seconds"]:
            body = wanted["body"] | {"order_no": f"flood-{uuid4().hex}"}
            try:
                async with http.post(wanted["path"], json=body) as answer:
                    said = await answer.read()
                    answers[str(answer.status)] += 1
                    if answer.status in (HTTPStatus.CREATED, HTTPStatus.ACCEPTED):
                        created.append(json.loads(said))
            except aiohttp.ClientError as error:
                answers[type(error).__name__] += 1

    async with AsyncExitStack() as held:
        url = wanted["url"] or await _trivial(held)
        # Another peer than the sandbox, whose notifications must not share the flood's limits.
        connector = aiohttp.TCPConnector(limit=wanted["connections"], local_addr=(_SOURCE, 0))
        headers = {"Authorization": f"Bearer {wanted['key']}"}
        http = aiohttp.ClientSession(url, connector=connector, headers=headers)
        await held.enter_async_context(http)
        await asyncio.gather(*(on_one_connection(http) for _ in range(wanted["connections"])))
        seconds = round(time.monotonic() - begun, 2)
    return Flooded(answers=dict(answers), seconds=seconds, created=created)


async def _trivial(held: AsyncExitStack) -> str:
    """Serve the control: an answer that costs next to nothing, at once."""

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            while head := await reader.readuntil(_HEAD_END):
                await reader.readexactly(_length(head))
                writer.write(_ANSWER)
        except (asyncio.IncompleteReadError, ConnectionError):
            writer.close()

    server = await asyncio.start_server(serve, "127.0.0.1", 0)
    held.callback(server.close)
    return f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"


def _length(head: bytes) -> int:
    _, _, rest = head.lower().partition(b"content-length:")
    return int(rest.split(b"\r\n", 1)[0])


def main() -> None:
    """Say that it is ready, wait for the order, carry it out, and write what came of it."""
    sys.stdout.write(f"{READY}\n")
    sys.stdout.flush()
    wanted: Flood = json.loads(sys.stdin.readline())
    sys.stdout.write(json.dumps(uvloop.run(flood(wanted))))


if __name__ == "__main__":
    main()
