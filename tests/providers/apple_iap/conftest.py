from collections.abc import Callable
from datetime import timedelta
from hashlib import sha256
from pathlib import Path
from typing import Any

import pytest

from domain.payment import Channel, Payment
from providers.apple_iap.provider import AppleIapProvider
from tests.providers.apple_iap.appstore import (
    BUNDLE,
    NOW,
    PRODUCTION,
    SANDBOX,
    TOKEN,
    FakeAppStore,
    Keys,
    Signer,
    make_keys,
    pem,
)

VECTORS = Path(__file__).parents[4] / "shared" / "vectors" / "apple"


@pytest.fixture(scope="session")
def vectors() -> Path:
    if not VECTORS.is_dir():
        pytest.skip("the published vectors are not on this machine")
    return VECTORS


@pytest.fixture(scope="session")
def keys() -> Keys:
    return make_keys()


@pytest.fixture(scope="session")
def signer(keys: Keys) -> Signer:
    return keys.signer()


@pytest.fixture
def account(keys: Keys) -> dict[str, Any]:
    """A sandbox account as `Settings.read_accounts` hands it over."""
    return {
        "name": "main",
        "environment": "Sandbox",
        "bundle_id": BUNDLE,
        "issuer_id": "57246542-96fe-1a63-e053-0824d011072a",
        "key_id": "2X9R4HXF34",
        "private_key": pem(keys.api),
        "root_certificate": keys.root_text,
        "base_url": SANDBOX,
    }


@pytest.fixture
def store(keys: Keys, signer: Signer) -> FakeAppStore:
    return FakeAppStore(keys, signer)


@pytest.fixture
def provider(store: FakeAppStore, account: dict[str, Any]) -> AppleIapProvider:
    return store.provider(account)


@pytest.fixture
def production(
    store: FakeAppStore, account: dict[str, Any], keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> AppleIapProvider:
    """A production account, in a world where our root is Apple's."""
    pin = sha256(keys.root_der).digest()
    monkeypatch.setattr("providers.apple_iap.keys.APPLE_ROOT_G3", pin)
    changes = {
        "environment": "Production",
        "app_apple_id": 1234567890,
        "root_certificate": None,
        "base_url": PRODUCTION,
        "sandbox_base_url": SANDBOX,
        "sandbox_testers": ["app-review"],
    }
    return store.provider(account | changes)


Order = Callable[..., Payment]


@pytest.fixture
def payment() -> Order:
    def make(**changes: Any) -> Payment:
        values: dict[str, Any] = {
            "id": TOKEN,
            "merchant_id": "shop",
            "order_no": "order-1",
            "idempotency_key": "key",
            "request_hash": "hash",
            "provider": "apple_iap",
            "account": "main",
            "channel": Channel.IAP,
            "amount": 600,
            "subject": "Ten credits",
            "product_id": "tea.credits.10",
            "created_at": NOW - timedelta(minutes=5),
            "expires_at": NOW + timedelta(hours=25),
        }
        return Payment(**values | changes)

    return make
