import asyncio
import contextlib

import httpx
from starlette.responses import Response
from starlette.types import Receive, Scope, Send


class LostAnswer(Response):
    """The call was executed and its answer never arrives.

    Hangs `seconds` or until the client gives up, then breaks the connection in the middle of the
    response: a client over TCP sees a broken read, one over ASGI the same exception.
    """

    def __init__(self, seconds: float = 0.0) -> None:
        super().__init__()
        self._seconds = seconds

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:  # noqa: ARG002, D102 - ASGI's signature
        with contextlib.suppress(TimeoutError):
            await asyncio.wait_for(receive(), timeout=self._seconds)
        headers = [(b"content-length", b"1")]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        raise httpx.ReadError("the sandbox dropped the connection")
