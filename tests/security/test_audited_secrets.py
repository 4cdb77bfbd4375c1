"""The audit overlooks no secret of a deployment, wherever one can be read and must not be."""

import json
import re
from datetime import UTC, datetime
from pathlib import Path
from types import UnionType
from typing import Any, Union, get_args, get_origin
from uuid import uuid4

import asyncpg
import pytest
from pydantic import SecretStr
from temporalio.api.common.v1 import Payload, Payloads
from temporalio.api.history.v1 import HistoryEvent, WorkflowExecutionStartedEventAttributes

from cli.audit import all_known_secrets
from crypto.encryption import Encryption
from crypto.key_ring import KeyRing, new_key_file
from domain.merchant import Merchant
from domain.payment import Payment
from providers.registry import PROVIDERS, secret_fields
from reconciliation.audit.known_secrets import key_material, of_settings
from reconciliation.audit.privacy import in_clear
from reconciliation.audit.readers.secrets import search_database, search_files
from settings import Settings
from storage.database import Database
from storage.keys import ApiKeyStore
from storage.merchants import MerchantStore
from storage.payments import PaymentStore
from tests.storage.making import NewPayment
from webhooks.signing import new_secret
from webhooks.stored_secrets import Replaced, StoredSecrets

LOOKS_SECRET = re.compile(r"key|secret|password|pfx|token|credential")
# What names a key or proves one, and is shown to everyone who asks.
PUBLIC = {"alipay_public_key", "public_key", "public_key_id", "key_id"}
SECRET = "0123456789abcdef-secret"
ACCOUNT = {"name": "main", "app_id": "2021", "alipay_public_key": "public"}
FIELDS = {
    "alipay": {"app_private_key": "A" * 100, "aes_key": "B" * 24},
    "wechatpay": {"api_v3_key": "C" * 32, "merchant_private_key": "D" * 100},
    "unionpay": {"pfx": "E" * 500, "pfx_password": "000000", "secure_key": "F" * 32},
    "apple_iap": {"private_key": "G" * 200},
}


@pytest.mark.parametrize("provider", sorted(PROVIDERS))
def test_no_field_that_is_a_secret_is_declared_as_plain_text(provider: str) -> None:
    """What is not declared as secret would be shown in errors, and not looked for."""
    plain = set(PROVIDERS[provider].configuration.model_fields) - secret_fields(provider) - PUBLIC

    assert {name for name in plain if LOOKS_SECRET.search(name)} == set()


@pytest.mark.parametrize("provider", FIELDS)
def test_no_secret_of_an_account_is_overlooked(provider: str) -> None:
    fields = FIELDS[provider]
    assert secret_fields(provider) == fields.keys()
    known = key_material({provider: [ACCOUNT | fields]})
    leaked = json.dumps(ACCOUNT | fields).encode()

    found = [finding.what.partition(" ")[0] for finding in in_clear("a log", leaked, known)]

    assert found == sorted(fields)


@pytest.mark.parametrize(
    "leak",
    [
        "pfx_password='000000'",
        '{"pfx_password": "000000"}',
        "pfx_password=SecretStr('000000')",
        "PFX_PASSWORD=000000",
        "pfxPassword: 000000, more",
    ],
)
def test_no_short_password_hides_behind_its_length(leak: str) -> None:
    secrets = {"pfx_password of unionpay/main": "000000"}

    assert len(list(in_clear("a log", leak.encode(), secrets))) == 1
    for harmless in (b"amount=1000000", b"pfx_password=**********", b"000000", b"pfx_password=0"):
        assert list(in_clear("a log", harmless, secrets)) == []


@pytest.mark.parametrize("short", ["pass", "s3cret!", "a+b/c=", 'a"b', "ü-9"])
def test_no_sign_of_a_short_password_hides_it(short: str) -> None:
    secrets = {"secure_key of unionpay/main": short}

    for leak in (
        json.dumps({"secure_key": short}),
        f"secure_key={short}",
        f"secure_key: {short} x",
    ):
        assert len(list(in_clear("a log", leak.encode(), secrets))) == 1, leak


@pytest.mark.parametrize("leak", ["{}", "?key=0a%2Fb%2Bc0123456789%3D", 'said "0a/b+c0123456789="'])
def test_no_secret_hides_behind_an_encoding(leak: str) -> None:
    secrets = {"a secret": "0a/b+c0123456789="}
    found = list(in_clear("a log", leak.encode(), secrets))
    assert len(found) == (leak != "{}")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Production's, with every file of secrets that there may be."""
    (tmp_path / "accounts.toml").write_text('[[unionpay]]\nname = "main"\nsecure_key = "s3cure"\n')
    (tmp_path / "keys.toml").write_text(new_key_file())
    given: dict[str, Any] = {
        "database_url": SecretStr("postgresql+asyncpg://runtime@db/paysaga"),
        "public_url": "https://pay.example.com",
        "accounts_file": tmp_path / "accounts.toml",
        "payload_keys_file": tmp_path / "keys.toml",
    }
    for name, field in Settings.model_fields.items():
        if name.endswith("_file") and name not in given and name != "products_file":
            assert Path in _types(field.annotation), name
            (tmp_path / name).write_text(f"{name}-{SECRET}\n")
            given[name] = tmp_path / name
    return Settings(**given)


def _types(annotation: object) -> tuple[object, ...]:
    return get_args(annotation) if get_origin(annotation) in (Union, UnionType) else (annotation,)


def test_no_file_of_secrets_that_a_setting_names_is_overlooked(settings: Settings) -> None:
    known = of_settings(settings)

    files = {
        name: path
        for name in Settings.model_fields
        if name.endswith("_file") and (path := getattr(settings, name)) is not None
    }
    assert {"database_password_file", "operator_token_file", "identity_key_file"} <= files.keys()
    for name, path in files.items():
        if name != "accounts_file":
            text = path.read_text()
            assert any(value in text for value in known.values()), name
    [payload_key] = [value for name, value in known.items() if name.startswith("payload_keys")]
    assert f'k1 = "{payload_key}"' in settings.payload_keys_file.read_text()
    assert f"database_password_file-{SECRET}" in known["password of the database URL"]


async def test_no_secret_of_the_database_or_of_an_embedded_server_is_overlooked(
    settings: Settings, tmp_path: Path, database: Database, merchant: Merchant
) -> None:
    (tmp_path / "postgres").mkdir()
    for name in ("password", "runtime-password"):
        (tmp_path / "postgres" / name).write_text(f"{name}-{SECRET}")
    (tmp_path / "accounts.toml").write_text('[[unionpay]]\nname = "main"\nsecure_key = "s3cure"\n')
    stored = StoredSecrets(Encryption(KeyRing.from_file(settings.payload_keys_file)))
    new, older = new_secret(), new_secret()
    replaced = Replaced(older, datetime.now(UTC))
    text = stored.encrypt(merchant.id, new, replaced=replaced)
    await MerchantStore(database).replace_secret(merchant, text)
    lost = Merchant(id=f"m-{uuid4().hex}", name="Tea", webhook_secret="encrypted:lost:AAAA")
    await MerchantStore(database).create(lost)

    known = set((await all_known_secrets(settings, database, stored, tmp_path)).values())

    assert {f"password-{SECRET}", f"runtime-password-{SECRET}", "s3cure", new, older} <= known


async def test_no_api_key_or_webhook_secret_is_overlooked_for_being_unknown(
    tmp_path: Path, database: Database, merchant: Merchant
) -> None:
    key, secret = await ApiKeyStore(database).create(merchant.id, ""), new_secret()
    body = json.dumps({"key": key, "hook": secret}).encode()
    payloads = Payloads(payloads=[Payload(metadata={"encoding": b"json/plain"}, data=body)])
    started = HistoryEvent(
        workflow_execution_started_event_attributes=WorkflowExecutionStartedEventAttributes(
            input=payloads
        )
    )
    log = tmp_path / "api.log"
    log.write_text(f"GET / {key}\n{secret}\n")

    for found in (
        list(in_clear("a history", started.SerializeToString(), {})),
        search_files([log], {}),
    ):
        assert [f.what.partition(" can")[0] for f in found] == ["an API key", "a webhook secret"]
        assert key not in str(found)
    assert list(in_clear("a table", key[:12].encode(), {})) == [], "the visible prefix"


async def test_no_secret_in_our_own_database_is_overlooked(
    database: Database, payments: PaymentStore, new_payment: NewPayment, sql: asyncpg.Connection
) -> None:
    secrets = {name: f"{uuid4()}" for name in ("one", "another", "a payer's id")}
    secrets |= {"pfx_password of unionpay/main": "000000"}
    assert await search_database(database, secrets) == []

    metadata = {"note": secrets["one"], "pfx_password": "000000"}
    payment: Payment = await payments.record(new_payment(metadata=metadata))
    await sql.execute(
        "INSERT INTO notifications (id, provider, account, notification_id, kind, reference,"
        " payment_id, headers, body, received_at)"
        " VALUES ($1, 'alipay', 'main', 'n', 'payment', 'r', $2, $3, $4, now())",
        *(uuid4(), payment.id, json.dumps({"x": secrets["another"]})),
        secrets["a payer's id"].encode(),
    )

    found = {finding.what for finding in await search_database(database, secrets)}
    assert found == {
        "one can be read in table payments",
        "pfx_password of unionpay/main can be read in table payments",
        "another can be read in table notifications",
    }, "a provider may name the payer in its own body, which is kept as evidence"
