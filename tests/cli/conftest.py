import asyncio
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from cli.embedded.config import Service, StackConfig
from cli.embedded.environment import Wiring, keep_identity_key, keep_payload_keys, write_variables
from cli.embedded.stack import ENV_FILE, Stack
from domain.merchant import Merchant
from domain.payment import Channel, Payment
from domain.refund import Refund
from storage.database import Database
from storage.merchants import MerchantStore

Invoke = Callable[..., Awaitable[Result]]


@pytest.fixture(scope="session")
async def state_dir(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Path]:
    """The folder of a stack whose database runs, and which says so in its variables."""
    folder = tmp_path_factory.mktemp("cli")
    async with Stack(StackConfig(folder, services=frozenset({Service.POSTGRES}))) as stack:
        await stack.migrate()
        wiring = Wiring(
            database_url=stack.database_url,
            api_url=stack.api_url,
            keys_file=keep_payload_keys(folder / "payload-keys.toml"),
            identity_key_file=keep_identity_key(folder / "identity-key"),
            accounts_file=folder / "accounts.toml",
            temporal=None,
            ui_origin=None,
        )
        write_variables(folder / ENV_FILE, wiring)
        yield folder


@pytest.fixture
async def database(state_dir: Path) -> AsyncIterator[Database]:
    """The stack's database, as the commands find it."""
    (line,) = (
        line
        for line in (state_dir / ENV_FILE).read_text().splitlines()
        if line.startswith("PAYSAGA_DATABASE_URL=")
    )
    database = Database(line.partition("=")[2].strip('"'))
    yield database
    await database.close()


@pytest.fixture
async def merchant(database: Database) -> Merchant:
    """A merchant that no other test knows."""
    merchant = Merchant(id=f"m-{uuid4().hex[:8]}", name="Tea house")
    await MerchantStore(database).create(merchant)
    return merchant


@pytest.fixture
def payment(merchant: Merchant) -> Payment:
    """A payment of 12.34 yuan, not yet recorded."""
    now = datetime.now(UTC)
    return Payment(
        id=uuid4(),
        merchant_id=merchant.id,
        order_no="tea-1",
        idempotency_key="tea-1",
        request_hash="0" * 64,
        provider="alipay",
        account="main",
        channel=Channel.QR,
        amount=1234,
        subject="A pot of tea",
        created_at=now,
        expires_at=now + timedelta(minutes=15),
    )


def refund_of(payment: Payment, *, amount: int) -> Refund:
    """A refund of the payment, not yet reserved; `amount` in minor units."""
    return Refund(
        id=uuid4(),
        payment_id=payment.id,
        merchant_id=payment.merchant_id,
        idempotency_key="r-1",
        request_hash="0" * 64,
        provider=payment.provider,
        account=payment.account,
        amount=amount,
        reason="spilt",
        created_at=payment.created_at,
    )


@pytest.fixture
def invoke() -> Invoke:
    """Run a command in a thread: commands bring their own event loop."""

    async def run(*line: str) -> Result:
        return await asyncio.to_thread(CliRunner().invoke, app, line, env={"COLUMNS": "200"})

    return run


@pytest.fixture
def paysaga(invoke: Invoke, state_dir: Path) -> Invoke:
    """Run a command on the stack's folder."""

    async def run(*line: str) -> Result:
        return await invoke(*line, "--state-dir", str(state_dir))

    return run


@pytest.fixture
def command() -> list[str]:
    """The command line as a process of its own."""
    return [sys.executable, "-m", "cli"]
