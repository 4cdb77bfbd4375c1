"""`demo`: the whole stack, real payments through every channel, and a table that must be right."""

import asyncio
import time
from contextlib import AsyncExitStack
from typing import Annotated

import httpx
import typer
from rich.live import Live
from rich.table import Table

from cli import lifetime
from cli.console import STATE_DIR, StateDir, console, money, status
from cli.demo_lines import Line, Step, lines
from cli.demo_shop import Shop
from cli.embedded.config import StackConfig
from cli.embedded.stack import Stack
from cli.up import links_table, stack_config
from domain.merchant import Merchant
from storage.database import Database
from storage.keys import ApiKeyStore
from storage.merchants import MerchantStore
from webhooks.signing import new_secret

MERCHANT = "demo"


def demo(
    state_dir: StateDir = STATE_DIR,
    once: Annotated[  # noqa: FBT002 - typer turns it into a flag
        bool, typer.Option("--once", help="Exit after the table; non-zero if a line is wrong.")
    ] = False,
) -> None:
    """Start everything, push one payment per channel through, show what became of each."""
    config = stack_config(state_dir, None, time_scale=1, set_temporal_aside=False)
    good: list[bool] = []
    lifetime.run(_demo(config, good, once=once))
    if not good or not all(good):
        raise typer.Exit(1)


async def _demo(config: StackConfig, good: list[bool], *, once: bool) -> None:
    begun = time.monotonic()
    async with AsyncExitStack() as held:
        with console.status("Starting PostgreSQL, Temporal, the sandbox, the API and the worker"):
            stack = await held.enter_async_context(Stack(config))
        console.print(f"Everything is up after {time.monotonic() - begun:.1f} s.")
        opened = time.monotonic() - begun
        taken = lines(stack.manifest)
        await _take_all(stack, taken)
        good.extend(not line.problem for line in taken)
        console.print(_verdict(taken, opened))
        console.print(links_table(stack))
        if once:
            return
        console.print("Everything stays up; pay by hand at the cashier. Ctrl-C stops it.")
        held.callback(console.print, "Stopping")
        await stack.watch()


async def _take_all(stack: Stack, taken: list[Line]) -> None:
    key = await _merchant_key(stack)
    async with (
        httpx.AsyncClient(
            base_url=stack.api_url, headers={"Authorization": f"Bearer {key}"}, timeout=30
        ) as api,
        httpx.AsyncClient(base_url=stack.sandbox_url, timeout=30) as sandbox,
    ):
        shop = Shop(api, sandbox, MERCHANT)
        with Live(_table(taken), console=console, refresh_per_second=4) as live:
            buying = asyncio.gather(*(shop.take(line) for line in taken))
            while not buying.done():
                live.update(_table(taken))
                await asyncio.wait([buying], timeout=0.25)
            await buying
            live.update(_table(taken))


async def _merchant_key(stack: Stack) -> str:
    """The demo's merchant, told at the sandbox's own inbox, and a fresh key for it."""
    database = Database(stack.database_url)
    try:
        merchants = MerchantStore(database)
        merchant = Merchant(
            id=MERCHANT,
            name="The demo's tea shop",
            webhook_url=f"{stack.sandbox_url}/merchant/{MERCHANT}/webhooks",
            webhook_secret=stack.stored_secrets.encrypt(MERCHANT, new_secret()),
        )
        if await merchants.get(MERCHANT) is None:
            await merchants.create(merchant)
        else:
            await merchants.update(merchant)
        return await ApiKeyStore(database).create(MERCHANT, "demo")
    finally:
        await database.close()


def _table(taken: list[Line]) -> Table:
    table = Table(title="Payments (seconds since the first)", title_justify="left")
    table.add_column("Payment", no_wrap=True)
    table.add_column("Amount", justify="right", no_wrap=True)
    for step in Step:
        table.add_column(step.capitalize(), justify="right", no_wrap=True)
    table.add_column("Result")
    for line in taken:
        table.add_row(
            f"{line.provider} {line.channel}",
            money(line.amount, "CNY"),
            *(_cell(line, step) for step in Step),
            _result(line),
        )
    return table


def _cell(line: Line, step: Step) -> str:
    if step in line.reached:
        return f"{line.reached[step]:.1f}"
    if step is Step.NOTIFIED and line.silent and Step.FINAL in line.reached:
        return f"[dim]{line.instead}[/]"
    return ""


def _result(line: Line) -> str:
    if line.problem:
        return f"[red]{line.problem}[/]"
    if Step.DELIVERED not in line.reached:
        return f"[dim]{line.status or '…'}, {line.course}[/]"
    back = f", {money(line.refunded, 'CNY')} back" if line.refunded else ""
    return f"{status(line.status)} ✓ {line.course}{back}"


def _verdict(taken: list[Line], opened: float) -> str:
    wrong = [line for line in taken if line.problem]
    if wrong:
        return f"[red]{len(wrong)} of {len(taken)} payments are not as they should be.[/]"
    first = opened + min(line.reached[Step.FINAL] for line in taken)
    return (
        f"[green]All {len(taken)} payments are as they should be[/];"
        f" the first had succeeded {first:.1f} s after the command."
    )
