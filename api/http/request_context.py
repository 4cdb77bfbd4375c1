"""What identifies a request: an id of ours, and the address that it comes from."""

import secrets

from starlette.types import ASGIApp, Message, Receive, Scope, Send

from api.http.peers import PeerRule
from engine import logs

HEADER = "X-Request-Id"


class RequestContext:
    """Middleware: `state.request_id` and `state.peer`, the log lines' fields and the header."""

    def __init__(self, app: ASGIApp, peers: PeerRule) -> None:
        self._app = app
        self._peers = peers

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Handle one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id, peer = secrets.token_hex(8), self._peers.address(scope)
        scope.setdefault("state", {}).update(request_id=request_id, peer=peer)
        logs.begin(request_id=request_id, peer=peer)

        async def identified(message: Message) -> None:
            if message["type"] == "http.response.start":
                header = (HEADER.lower().encode(), request_id.encode())
                message = {**message, "headers": [*message.get("headers", ()), header]}
            await send(message)

        await self._app(scope, receive, identified)
