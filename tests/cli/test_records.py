import asyncio
import os
from datetime import UTC, datetime, timedelta
from pathlib import Path
from uuid import uuid4

import pytest

from cli.console import money
from cli.ledger import stored_secrets
from domain.errors import Conflict, NotFound
from domain.event import DeliveryStatus
from domain.merchant import Merchant
from domain.payment import Payment
from storage.database import Database
from storage.events import EventStore
from storage.keys import ApiKeyStore
from storage.merchants import MerchantStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore
from tests.cli.conftest import Invoke, refund_of
from tests.storage.making import succeeded

pytestmark = pytest.mark.stack


async def test_a_created_merchant_has_a_webhook_secret_of_its_own(
    paysaga: Invoke, database: Database, state_dir: Path
) -> None:
    merchant_id = f"m-{uuid4().hex[:8]}"
    result = await paysaga("merchants", "create", merchant_id, "--name", "Tea house")

    merchant = await MerchantStore(database).get(merchant_id)
    assert merchant is not None
    assert merchant.name == "Tea house"
    stored = merchant.webhook_secret
    assert stored is not None
    assert stored not in result.stdout
    secret = stored_secrets(state_dir).decrypt(merchant_id, stored)
    assert str(secret) in result.stdout


async def test_a_new_webhook_secret_signs_next_to_the_old_one_for_a_while(
    paysaga: Invoke, database: Database, state_dir: Path
) -> None:
    name = f"m-{uuid4().hex[:8]}"
    made = await paysaga("merchants", "create", name)
    await paysaga("merchants", "new-secret", name)
    result = await paysaga("merchants", "new-secret", name, "--overlap-hours", "2")

    merchant = await MerchantStore(database).get(name)
    assert merchant is not None
    now, stored = datetime.now(UTC), merchant.webhook_secret
    new, older = stored_secrets(state_dir).signing(name, stored, now + timedelta(hours=1))
    assert (new in result.stdout, older in result.stdout) == (True, False)
    assert older not in made.stdout, "of two that were replaced, only the last one goes on"
    assert stored_secrets(state_dir).signing(name, stored, now + timedelta(hours=3)) == [new]

    result = await paysaga("merchants", "new-secret", name, "--overlap-hours", "0")
    merchant = await MerchantStore(database).get(name)
    assert merchant is not None
    [alone] = stored_secrets(state_dir).signing(name, merchant.webhook_secret, now)
    assert alone in result.stdout


async def test_a_secret_whose_key_is_lost_is_replaced_alone(
    paysaga: Invoke, database: Database, state_dir: Path
) -> None:
    name = f"m-{uuid4().hex[:8]}"
    await MerchantStore(database).create(
        Merchant(id=name, name="Tea", webhook_secret="encrypted:lost:AAAA")
    )
    result = await paysaga("merchants", "encrypt-secrets")
    assert result.exit_code == 1
    assert name in result.stdout

    await paysaga("merchants", "new-secret", name)

    merchant = await MerchantStore(database).get(name)
    assert merchant is not None
    assert len(stored_secrets(state_dir).all_of(name, merchant.webhook_secret)) == 1
    assert (await paysaga("merchants", "encrypt-secrets")).exit_code == 0
    assert isinstance((await paysaga("merchants", "new-secret", "none")).exception, NotFound)


async def test_a_payment_that_is_over_is_forgotten_by_its_id(
    paysaga: Invoke, database: Database, payment: Payment
) -> None:
    payments = PaymentStore(database)
    await payments.record(payment)
    open_ = await paysaga("payments", "forget", str(payment.id))
    assert isinstance(open_.exception, Conflict)
    _, event = await payments.finalise(succeeded(payment))
    assert event is not None
    await EventStore(database).mark(event, DeliveryStatus.DELIVERED)

    assert (await paysaga("payments", "forget", str(payment.id))).exit_code == 0

    stored = await payments.get(payment.id)
    assert stored is not None
    assert (stored.subject, stored.captured) == ("", payment.amount)
    result = await paysaga("payments", "forget-notifications", "--days", "180")
    assert "of 0 notifications" in result.stdout
    assert (await paysaga("payments", "forget-notifications", "--days", "1")).exit_code == 2


async def test_a_merchant_is_not_created_twice(paysaga: Invoke, merchant: Merchant) -> None:
    result = await paysaga("merchants", "create", merchant.id)

    assert isinstance(result.exception, Conflict)


async def test_a_created_key_is_printed_alone_and_opens_the_door(
    paysaga: Invoke, database: Database, merchant: Merchant
) -> None:
    result = await paysaga("keys", "create", "--merchant", merchant.id, "--label", "till")

    key = result.stdout.strip()
    found = await ApiKeyStore(database).authenticate(key)
    assert found is not None
    assert found.id == merchant.id
    listed = await paysaga("keys", "list", "--merchant", merchant.id)
    assert "till" in listed.stdout
    assert key not in listed.stdout


async def test_a_revoked_key_opens_nothing(
    paysaga: Invoke, database: Database, merchant: Merchant
) -> None:
    key = (await paysaga("keys", "create", "--merchant", merchant.id)).stdout.strip()
    (made,) = await ApiKeyStore(database).list_for_merchant(merchant.id)
    await paysaga("keys", "revoke", made.prefix)

    assert await ApiKeyStore(database).authenticate(key) is None


async def test_a_key_for_nobody_is_rejected(paysaga: Invoke) -> None:
    result = await paysaga("keys", "create", "--merchant", "nobody")

    assert isinstance(result.exception, NotFound)
    assert result.stdout == ""


async def test_a_payment_is_listed_and_shown_with_its_amount_and_workflow(
    paysaga: Invoke, database: Database, payment: Payment
) -> None:
    await PaymentStore(database).record(payment)

    listed = await paysaga("payments", "list", "--merchant", payment.merchant_id)
    shown = await paysaga("payments", "show", str(payment.id))

    assert str(payment.id) in listed.stdout
    assert "¥12.34" in listed.stdout
    assert f"payment-{payment.id.hex}" in shown.stdout
    assert "pending" in shown.stdout


async def test_a_list_is_narrowed_by_status(
    paysaga: Invoke, database: Database, payment: Payment
) -> None:
    await PaymentStore(database).record(payment)
    line = ("payments", "list", "--merchant", payment.merchant_id, "--status")

    assert str(payment.id) in (await paysaga(*line, "pending")).stdout
    assert str(payment.id) not in (await paysaga(*line, "succeeded")).stdout


async def test_a_refund_is_shown_by_itself_and_below_its_payment(
    paysaga: Invoke, database: Database, payment: Payment
) -> None:
    await PaymentStore(database).record(payment)
    await PaymentStore(database).finalise(succeeded(payment))
    refund = refund_of(payment, amount=234)
    await RefundStore(database).reserve(refund)

    shown = await paysaga("refunds", "show", str(refund.id))
    above = await paysaga("payments", "show", str(payment.id))

    assert "¥2.34" in shown.stdout
    assert f"refund-{refund.id.hex}" in shown.stdout
    assert "spilt" in shown.stdout
    assert str(refund.id) in above.stdout


@pytest.mark.parametrize("noun", ["payments", "refunds"])
async def test_what_is_not_there_is_said_so(paysaga: Invoke, noun: str) -> None:
    result = await paysaga(noun, "show", str(uuid4()))

    assert isinstance(result.exception, NotFound)


@pytest.mark.parametrize(
    ("amount", "currency", "text"),
    [(1, "CNY", "¥0.01"), (123456789, "CNY", "¥1,234,567.89"), (500, "EUR", "5.00 EUR")],
)
def test_minor_units_are_shown_as_people_read_them(amount: int, currency: str, text: str) -> None:
    assert money(amount, currency) == text


async def test_a_terminal_without_the_letter_for_money_is_no_error(
    command: list[str], state_dir: Path, payment: Payment, database: Database
) -> None:
    await PaymentStore(database).record(payment)
    environment = dict(os.environ) | {"PYTHONIOENCODING": "gbk", "PYTHONUTF8": "0"}
    process = await asyncio.create_subprocess_exec(
        *command,
        "payments",
        "list",
        "--merchant",
        payment.merchant_id,
        "--state-dir",
        str(state_dir),
        stdout=asyncio.subprocess.PIPE,
        env=environment,
    )
    printed, _ = await process.communicate()

    assert process.returncode == 0
    assert "?12.34" in printed.decode("gbk")
