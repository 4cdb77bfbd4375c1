"""The auditor on a real stack: what is planted there is found, by the command as by the library."""

import asyncio
import sys
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from audit.auditor import Audit, Scope, audit
from audit.finding import Promise
from domain.identity import payment_workflow_id
from embedded.config import StackConfig
from embedded.stack import Stack
from storage.database import Database
from tests.stack.books import books_agree
from tests.stack.shop import PROVIDERS, Order, Shop, open_shop

pytestmark = pytest.mark.stack


@pytest.fixture
async def stack(tmp_path: Path) -> AsyncIterator[Stack]:
    """A stack of its own for each test: what is planted stays planted."""
    async with Stack(StackConfig(tmp_path / "state", sandbox_time_scale=40)) as stack:
        yield stack


@pytest.fixture
async def shop(stack: Stack) -> AsyncIterator[Shop]:
    async with open_shop(stack) as shop:
        yield shop


async def audited(stack: Stack, **secrets: str) -> Audit:
    database = Database(stack.database_url)
    try:
        return await audit(
            Scope(
                database=database,
                temporal=await stack.temporal_client(),
                sandbox_url=stack.sandbox_url,
                secrets=secrets,
                state_dir=stack.config.state_dir,
            )
        )
    finally:
        await database.close()


async def command(stack: Stack, *options: str) -> tuple[int, str]:
    """The exit code of `./paysaga audit` and what it printed."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "cli", "audit", "--state-dir", str(stack.config.state_dir)),
        *options,
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.STDOUT,
    )
    printed, _ = await process.communicate()
    return process.returncode or 0, printed.decode()


async def paid(order: Order) -> Order:
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")
    return order


async def test_true_books_are_clean_and_false_ones_are_named(shop: Shop, stack: Stack) -> None:
    for provider in PROVIDERS:
        order = await paid(shop.order(provider))
        await order.refund(300)
        await order.refund_shows(status="succeeded")
    await books_agree(shop)

    made = await audited(stack, openid="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")
    assert made.findings == []
    assert made.counts["payments"] == len(PROVIDERS)
    assert made.counts["histories"] == 2 * len(PROVIDERS)
    assert await command(stack) == (0, (await command(stack, "--provider-books", "auto"))[1])

    lost = shop.order("alipay", "qr")
    await lost.create()
    await lost.cancel()
    # It would ask once more when the code can no longer be paid.
    temporal = await stack.temporal_client()
    await temporal.get_workflow_handle(payment_workflow_id(lost.id)).terminate()
    await lost.pay(notify=False)
    log = stack.log("worker")
    log.write_text(log.read_text() + "auth_code=281234567890129999\n")
    (stack.config.state_dir / "planted.json").write_text('{"a code": "281234567890129999"}')

    planted = ("--secrets", str(stack.config.state_dir / "planted.json"))
    code, printed = await command(stack, *planted)
    assert code == 1, printed
    assert str(Promise.CLOSED_BUT_PAID) in printed
    assert lost.reference[:12] in printed
    assert "281234567890129999" not in printed
    assert str(Promise.SECRET_IN_CLEAR) in printed

    code, printed = await command(stack, "--provider-books", "none")
    assert code == 0, "our own books cannot know of money that nobody told us of"


async def test_an_audit_that_cannot_be_made_says_so(stack: Stack, tmp_path: Path) -> None:
    assert (await command(stack, "--provider-books", "http://127.0.0.1:9"))[0] == 2
    await stack.stop("temporal")
    assert (await command(stack))[0] == 2
    stack.config.state_dir.joinpath("env").unlink()
    assert (await command(stack))[0] == 2
