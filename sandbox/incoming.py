from collections.abc import Mapping
from dataclasses import dataclass

from starlette.requests import Request


@dataclass(frozen=True, kw_only=True)
class Incoming:
    """A request as it came over the wire; `target` is path and query, undecoded."""

    method: str
    target: bytes
    headers: Mapping[str, str]
    body: bytes


async def read_incoming(request: Request) -> Incoming:
    """Read the request's body and all that a signature may cover."""
    path, query = request.scope["raw_path"], request.scope["query_string"]
    return Incoming(
        method=request.method,
        target=path + b"?" + query if query else path,
        headers=request.headers,
        body=await request.body(),
    )
