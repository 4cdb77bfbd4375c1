from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
from fastapi import FastAPI

from sandbox.books import Books
from sandbox.cashier import Cashier
from sandbox.clock import Clock
from sandbox.context import Context
from sandbox.control import control_router
from sandbox.database import Database
from sandbox.faults import FaultBook
from sandbox.manifest import write_manifest
from sandbox.merchant import MerchantInbox, merchant_router
from sandbox.notifier import Notifier
from sandbox.side import ProviderSide
from sandbox.sides import find_sides
from sandbox.strictness import Strictness
from sandbox.sweeper import sweeping

HTTP_PORT = 80


def create_app(
    data_dir: Path,
    base_url: str,
    *,
    production_url: str | None = None,
    time_scale: float = 1.0,
    transport: httpx.AsyncBaseTransport | None = None,
) -> FastAPI:
    """Build the sandbox over `data_dir`; keys and state there are reused.

    `base_url` is the origin that clients reach it under, `production_url` that of the App Store's
    production host: another port of the same app, by default the next one. `transport` carries
    the notifications, for tests without a network. Run the app's lifespan, or nothing expires by
    itself.
    """
    data_dir.mkdir(parents=True, exist_ok=True)
    database = Database(data_dir / "sandbox.sqlite3")
    clock, faults = Clock(time_scale), FaultBook(database)
    context = Context(
        data_dir=data_dir.resolve(),
        base_url=base_url.rstrip("/"),
        production_url=production_url or _on_next_port(base_url),
        clock=clock,
        books=Books(database),
        faults=faults,
        notifier=Notifier(database, clock, faults, transport),
        strictness=Strictness(),
    )
    sides = {name: build(context) for name, build in find_sides().items()}
    inbox = MerchantInbox(database, clock)
    app = FastAPI(title="Paysaga sandbox", lifespan=_lifespan(context, sides, database))
    for side in sides.values():
        context.notifier.register(side)
        app.include_router(side.router())
    app.include_router(control_router(context, sides, inbox, database))
    app.include_router(Cashier(context, sides).router())
    app.include_router(merchant_router(inbox))
    app.add_api_route("/healthz", _healthy)
    write_manifest(context, sides)
    database.close()  # An app may be built and never run.
    return app


def _on_next_port(base_url: str) -> str:
    url = httpx.URL(base_url)
    return str(url.copy_with(port=(url.port or HTTP_PORT) + 1)).rstrip("/")


async def _healthy() -> dict[str, str]:
    return {"status": "ok"}


def _lifespan(context: Context, sides: dict[str, ProviderSide], database: Database) -> Any:
    @asynccontextmanager
    async def lifespan(_app: FastAPI) -> AsyncIterator[None]:
        async with AsyncExitStack() as running:
            running.callback(database.close)
            running.push_async_callback(context.notifier.stop)
            context.notifier.resume()
            await running.enter_async_context(sweeping(sides))
            yield

    return lifespan
