"""One account at a provider under two names here would be paid, granted and notified twice."""

from typing import Any

import httpx
import pytest

from providers import registry


@pytest.mark.parametrize(
    ("provider", "identity"),
    [
        ("alipay", {"app_id": "2021"}),
        ("wechatpay", {"mchid": "1900", "appid": "wx1"}),
        ("unionpay", {"mer_id": "8981"}),
        ("apple_iap", {"bundle_id": "com.shop.app"}),
    ],
)
async def test_two_accounts_of_one_identity_are_not_started(
    provider: str, identity: dict[str, Any]
) -> None:
    twins = [{"name": "first"} | identity, {"name": "second"} | identity]
    async with httpx.AsyncClient() as http:
        with pytest.raises(ValueError, match="'first' and 'second' have the same"):
            registry.build(
                {provider: twins},
                http=http,
                clock=lambda: pytest.fail("nothing is signed"),
                public_url="https://pay.shop.com",
            )
