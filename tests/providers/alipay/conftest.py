import json
from collections.abc import Callable
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.payment import Channel, Payer, Payment
from domain.refund import Refund
from providers.alipay.provider import AlipayProvider
from tests.providers.alipay.fake import FakeAlipay, Keys, make_keys

VECTORS = Path(__file__).parents[4] / "shared" / "vectors"
NOW = datetime(2026, 3, 1, 4, 5, 6, tzinfo=UTC)


@pytest.fixture(scope="session")
def vectors() -> Callable[[str], dict[str, Any]]:
    """A published vector by its id; files that it names are read into `*_text`."""
    if not VECTORS.is_dir():
        pytest.skip("the published vectors are not on this machine")
    found: dict[str, dict[str, Any]] = {}
    for file in VECTORS.glob("alipay_*.json"):
        for entry in json.loads(file.read_text()):
            for name in [key for key in entry if key.endswith("file")]:
                entry[name.replace("file", "text")] = (VECTORS / entry[name]).read_text()
            found[entry["id"]] = entry
    return found.__getitem__


@pytest.fixture(scope="session")
def keys() -> Keys:
    return make_keys()


@pytest.fixture
def account(keys: Keys) -> dict[str, Any]:
    """A public-key account as `Settings.read_accounts` hands it over."""
    return {
        "name": "main",
        "app_id": "2021000000000001",
        "seller_id": "2088000000000001",
        "gateway_url": "https://alipay.test/gateway.do",
        "app_private_key": keys.app_private,
        "alipay_public_key": keys.alipay_public,
    }


@pytest.fixture
def certificate_account(account: dict[str, Any], keys: Keys) -> dict[str, Any]:
    del account["alipay_public_key"]
    return account | {
        "app_cert": keys.app_cert,
        "alipay_cert": keys.alipay_cert,
        "alipay_root_cert": keys.root_cert,
    }


@pytest.fixture
def alipay(keys: Keys) -> FakeAlipay:
    return FakeAlipay(keys)


@pytest.fixture
def provider(alipay: FakeAlipay, account: dict[str, Any]) -> AlipayProvider:
    return alipay.provider(account)


Order = Callable[..., Payment]


@pytest.fixture
def payment() -> Order:
    def make(channel: Channel = Channel.QR, **changes: Any) -> Payment:
        values: dict[str, Any] = {
            "id": UUID("11111111-2222-3333-4444-555555555555"),
            "merchant_id": "shop",
            "order_no": "order-1",
            "idempotency_key": "key",
            "request_hash": "hash",
            "provider": "alipay",
            "account": "main",
            "channel": channel,
            "amount": 1999,
            "subject": "Tea",
            "payer": Payer(open_id="ou_1", auth_code="287654321098760000"),
            "created_at": NOW,
            "expires_at": NOW + timedelta(minutes=15),
        }
        return Payment(**values | changes)

    return make


@pytest.fixture
def refund(payment: Order) -> Refund:
    return Refund(
        id=UUID("99999999-2222-3333-4444-555555555555"),
        payment_id=payment().id,
        merchant_id="shop",
        idempotency_key="key",
        request_hash="hash",
        provider="alipay",
        account="main",
        amount=700,
        reason="cold tea",
        created_at=NOW,
    )
