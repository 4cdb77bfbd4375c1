"""The auditor on a real stack: what is planted there is found, by the command as by the library."""

import asyncio
import sys
from collections.abc import AsyncIterator
from datetime import datetime
from pathlib import Path
from typing import Any
from uuid import uuid4

import pytest

from cli.embedded.config import StackConfig
from cli.embedded.stack import ENV_FILE, Stack
from domain.identity import payment_workflow_id
from providers.unionpay.wire import settlement_day
from reconciliation.audit.auditor import Audit, Scope, audit
from reconciliation.audit.finding import Promise
from settings import Settings
from storage.database import Database
from storage.erasure import forget_payment
from tests.providers.unionpay import settlement
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


async def test_true_records_are_clean_and_false_ones_are_named(shop: Shop, stack: Stack) -> None:
    for provider in PROVIDERS:
        order = await paid(shop.order(provider))
        await order.refund(300)
        await order.refund_shows(status="succeeded")
    await books_agree(shop)

    made = await audited(stack, openid="oUpF8uMuAJO_M2pxb1Q9zNjWeS6o")
    assert made.findings == []
    assert made.counts["payments"] == len(PROVIDERS)
    assert made.counts["histories"] == 2 * len(PROVIDERS)
    assert await command(stack) == (0, (await command(stack, "--provider-records", "auto"))[1])

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

    code, printed = await command(stack, "--provider-records", "none")
    assert code == 0, "our own records cannot know of money that nobody told us of"


async def test_forgotten_payments_are_no_finding(shop: Shop, stack: Stack) -> None:
    database = Database(stack.database_url)
    try:
        for provider in PROVIDERS:
            order = await paid(shop.order(provider))
            await order.refund(300)
            await order.refund_shows(status="succeeded")
            await books_agree(shop)
            await forget_payment(database, order.id)
            await order.notify()
            await order.refund(200, "after-erasure")
        await books_agree(shop)
        shown = await order.shows(refunded=500)
        assert (shown["subject"], shown["metadata"]) == ("", {})
    finally:
        await database.close()

    assert (await audited(stack)).findings == []


async def test_a_settlement_file_is_compared_by_the_command(
    shop: Shop, stack: Stack, tmp_path: Path
) -> None:
    order = await paid(shop.order("unionpay"))
    [account] = [a for a in unionpay_accounts(stack) if a["name"] == order.body["account"]]
    shown = await order.shows(status="succeeded")
    day = settlement_day(datetime.fromisoformat(shown["paid_at"]))

    def file(*orders: str) -> tuple[str, str]:
        rows = (
            settlement.row(number, order.amount, c12=name, c28=account["mer_id"])
            for number, name in enumerate(orders)
        )
        name = f"INN{day[2:]}88ZM_{account['mer_id']}"
        path = tmp_path / f"{len(orders)}.zip"
        path.write_bytes(settlement.zipped(settlement.detail(*rows), name))
        return "--statement", str(path)

    code, printed = await command(stack, *file(order.reference))
    assert (code, "1 lines of statements" in printed) == (0, True), printed
    assert "person's list" not in printed

    code, printed = await command(stack, *file())
    assert (code, str(Promise.SUCCESS_WITHOUT_MONEY) in printed) == (0, True), printed

    unknown = uuid4().hex
    code, printed = await command(stack, *file(order.reference), *file(order.reference, unknown))
    assert (code, str(Promise.LOST_PAYMENT) in printed) == (1, True), printed
    assert unknown[:12] in printed

    (tmp_path / "[bold]cut.zip").write_bytes(b"PK")
    code, printed = await command(stack, "--statement", str(tmp_path / "[bold]cut.zip"))
    assert (code, "[bold]cut.zip" in printed.replace("\n", "")) == (2, True), printed
    assert (await command(stack, "--statement", str(tmp_path / "none.zip")))[0] == 2


def unionpay_accounts(stack: Stack) -> list[dict[str, Any]]:
    settings = Settings(_env_file=stack.config.state_dir / ENV_FILE)
    return settings.read_accounts()["unionpay"]


async def test_an_audit_that_cannot_be_made_says_so(stack: Stack, tmp_path: Path) -> None:
    assert (await command(stack, "--provider-records", "http://127.0.0.1:9"))[0] == 2
    await stack.stop("temporal")
    assert (await command(stack))[0] == 2
    stack.config.state_dir.joinpath("env").unlink()
    assert (await command(stack))[0] == 2
