from typing import Any

import pytest

from providers.apple_iap.config import AppleIapConfig, Environment
from tests.providers.apple_iap.appstore import FakeAppStore


def test_an_account_without_an_environment_is_production_and_apples(
    account: dict[str, Any],
) -> None:
    del account["environment"], account["root_certificate"]
    del account["base_url"]
    config = AppleIapConfig.model_validate(account | {"app_apple_id": 1})
    assert config.environments == (Environment.PRODUCTION,)
    config = AppleIapConfig.model_validate(
        account | {"app_apple_id": 1, "sandbox_testers": ["app-review"]}
    )
    assert config.environments == (Environment.PRODUCTION, Environment.SANDBOX)
    assert [config.address(one) for one in config.environments] == [
        "https://api.storekit.apple.com",
        "https://api.storekit-sandbox.apple.com",
    ]


@pytest.mark.parametrize(
    ("changes", "complaint"),
    [
        ({"environment": "Xcode"}, "environment"),
        ({"environment": "LocalTesting"}, "environment"),
        ({"environment": "Production"}, "leave root_certificate out"),
        ({"environment": "Production", "root_certificate": None}, "app_apple_id"),
        ({"bundle_id": ""}, "bundle_id"),
        ({"bundle_id": "com.example tea"}, "bundle_id"),
        ({"base_url": "storekit"}, "base_url"),
        ({"sandbox_base_url": "https://sandbox.test"}, "own address is base_url"),
        ({"sandbox_testers": ["app-review"]}, "leave sandbox_testers out"),
        ({"sandbox_testers": [" "]}, "1 to 500 characters"),
        ({"sandbox_testers": ["x" * 501]}, "1 to 500 characters"),
        ({"sandbox_testers": "app-review"}, "sandbox_testers"),
        ({"takes_sandbox": True}, "takes_sandbox"),
        ({"root_certificate": "?"}, "account 'main': root_certificate is neither"),
        ({"private_key": "?"}, "account 'main': private_key"),
        ({"surprise": 1}, "surprise"),
        ({"name": ""}, "name"),
    ],
)
def test_a_wrong_account_stops_the_start(
    store: FakeAppStore, account: dict[str, Any], changes: dict[str, Any], complaint: str
) -> None:
    with pytest.raises(ValueError, match=complaint):
        store.provider(account | changes)


def test_no_key_shows_in_what_a_log_may_print(store: FakeAppStore, account: dict[str, Any]) -> None:
    config = AppleIapConfig.model_validate(account)
    provider = store.provider(account)
    shown = f"{config!r} {provider!r} {vars(provider)!r}"
    assert account["private_key"].splitlines()[1] not in shown


async def test_two_accounts_are_two_apps(store: FakeAppStore, account: dict[str, Any]) -> None:
    other = store.provider(account | {"name": "other", "bundle_id": "com.example.coffee"})
    found = await other.verify_purchase(store.transaction(bundleId="com.example.coffee"))
    assert (found.account, found.provider) == ("other", "apple_iap")
