from collections.abc import Callable
from datetime import timedelta
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from domain.payment import Channel, Payer, Payment
from domain.refund import Refund
from providers.unionpay.provider import UnionpayProvider
from tests.providers.unionpay.gateway import MER_ID, NOW, PASSWORD, FakeGateway, Keys, make_keys

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "unionpay"


@pytest.fixture(scope="session")
def vectors() -> Path:
    if not VECTORS.is_dir():
        pytest.skip("the published vectors are not on this machine")
    return VECTORS


@pytest.fixture(scope="session")
def keys() -> Keys:
    return make_keys()


@pytest.fixture
def account(keys: Keys) -> dict[str, Any]:
    """A certificate account as `Settings.read_accounts` hands it over."""
    return {
        "name": "main",
        "base_url": "https://unionpay.test/gateway/api",
        "mer_id": MER_ID,
        "pfx": keys.pfx,
        "pfx_password": PASSWORD,
        "root_certificate": keys.root_pem,
        "middle_certificate": keys.middle_pem,
    }


@pytest.fixture
def gateway(keys: Keys) -> FakeGateway:
    return FakeGateway(keys)


@pytest.fixture
def provider(gateway: FakeGateway, account: dict[str, Any]) -> UnionpayProvider:
    return gateway.provider(account)


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
            "provider": "unionpay",
            "account": "main",
            "channel": channel,
            "amount": 1999,
            "subject": "Tea {a=1&b=[2]}",
            "payer": Payer(auth_code="6220000000000000000"),
            "created_at": NOW,
            "expires_at": NOW + timedelta(minutes=15),
        }
        return Payment(**values | changes)

    return make


@pytest.fixture
def refund(payment: Order) -> Callable[[int], Refund]:
    def make(amount: int = 700) -> Refund:
        return Refund(
            id=UUID("99999999-2222-3333-4444-555555555555"),
            payment_id=payment().id,
            merchant_id="shop",
            idempotency_key="key",
            request_hash="hash",
            provider="unionpay",
            account="main",
            amount=amount,
            created_at=NOW,
        )

    return make
