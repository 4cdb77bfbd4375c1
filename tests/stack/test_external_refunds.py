"""Money refunded at a provider's console: its amount is known here once an operator records it."""

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from uuid import uuid4

import pytest
from typer.testing import CliRunner, Result

from cli.app import app
from cli.embedded.stack import ENV_FILE, Stack
from domain.errors import Conflict
from domain.payment import Payment
from domain.refund import Refund
from providers.base import refundable
from providers.kit.bounded_client import BoundedClient
from providers.registry import build
from settings import Settings
from storage.database import Database
from storage.payments import PaymentStore
from tests.stack.shop import PROVIDERS, Order, Shop
from tests.stack.waiting import eventually

pytestmark = pytest.mark.stack


async def refund_at_the_console(stack: Stack, order: Order, amount: int) -> str:
    """Have the provider refund under a number that is not ours; returns the number."""
    database = Database(stack.database_url)
    try:
        payment = await PaymentStore(database).get(order.id)
    finally:
        await database.close()
    assert payment is not None
    refund = at_console(payment, amount)
    accounts = Settings(_env_file=state_dir(stack) / ENV_FILE).read_accounts()
    async with BoundedClient() as http:
        registry = build(
            accounts, http=http, clock=lambda: datetime.now(UTC), public_url=stack.api_url
        )
        provider = registry.get(payment.provider, payment.account)
        await refundable(provider).refund(refund, payment)
    return refund.reference


def state_dir(stack: Stack) -> Path:
    return stack.manifest_path.parent.parent


def at_console(payment: Payment, amount: int) -> Refund:
    return Refund(
        id=uuid4(),
        payment_id=payment.id,
        merchant_id=payment.merchant_id,
        idempotency_key="console",
        request_hash="console",
        provider=payment.provider,
        account=payment.account,
        amount=amount,
        created_at=datetime.now(UTC),
    )


async def record(stack: Stack, order: Order, number: str, amount: int) -> Result:
    """`refunds record`, as an operator types it."""
    line = ["refunds", "record", str(order.id), "--number", number, "--amount", str(amount)]
    line += ["--note", "Ann: broken on arrival", "--state-dir", str(state_dir(stack))]
    return await asyncio.to_thread(CliRunner().invoke, app, line)


@pytest.mark.parametrize("provider", PROVIDERS)
async def test_what_is_refundable_is_right_and_the_attention_ends(
    whole_stack: Stack, shop: Shop, provider: str
) -> None:
    order = shop.order(provider)
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")
    number = await refund_at_the_console(whole_stack, order, 300)

    async def gone() -> None:
        assert ("refund", 300) in await order.moves()

    await eventually(gone)

    first = await record(whole_stack, order, number, 300)
    again = await record(whole_stack, order, number, 300)

    assert (first.exit_code, again.exit_code) == (0, 0), first.output
    assert "7.00 is refundable" in first.output
    found = await order.shows(refunded=300, attention=None)
    assert found["refundable"] == 700
    [refund] = await order.refunds()
    assert (refund["cause"], refund["status"]) == ("provider", "succeeded")

    async def sent_once() -> None:
        assert (await order.heard()).count("refund.succeeded") == 1

    await eventually(sent_once)


async def test_a_complete_notification_records_it_by_itself(whole_stack: Stack, shop: Shop) -> None:
    order = shop.order("wechatpay")
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")

    for _ in range(2):
        await refund_at_the_console(whole_stack, order, 300)

    assert (await order.shows(refunded=600, attention=None))["refundable"] == 400
    assert [refund["cause"] for refund in await order.refunds()] == ["provider"] * 2
    await order.told("payment.succeeded", "refund.succeeded", "refund.succeeded")


async def test_more_than_was_paid_is_not_recorded(whole_stack: Stack, shop: Shop) -> None:
    order = shop.order("alipay")
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")

    result = await record(whole_stack, order, "console-1", 1001)

    assert isinstance(result.exception, Conflict)
    assert "1000 is refundable" in str(result.exception)
    assert await order.refunds() == []
