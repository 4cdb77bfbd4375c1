"""Filters that exclude each other in the history of notifications."""

import time
from typing import Any

import pytest

from tests.sandbox.apple_iap.conftest import MONTHLY, Step
from tests.sandbox.apple_iap.shop import AppStoreShop

HISTORY = "/v1/notifications/history"


@pytest.mark.parametrize(
    ("filters", "code"),
    [
        ({"notificationType": "SUBSCRIBED", "transactionId": "1"}, 4000019),
        ({"notificationSubtype": "INITIAL_BUY", "transactionId": "1"}, 4000019),
        ({"notificationType": "BRAND_NEW"}, 4000018),
        ({"notificationType": "REFUND", "notificationSubtype": "INITIAL_BUY"}, 4000018),
        ({"notificationSubtype": "BRAND_NEW"}, 4000018),
        ({"transactionId": "nonsense"}, 4000006),
        ({"onlyFailures": "yes"}, 4000000),
    ],
)
@pytest.mark.parametrize("is_empty", [True, False])
async def test_filters_that_exclude_each_other_are_rejected_with_nothing_to_filter_too(
    shop: AppStoreShop, buy: Step, filters: dict[str, Any], code: int, *, is_empty: bool
) -> None:
    if not is_empty:
        await buy(MONTHLY)
    now = int(time.time() * 1000)
    body = {"startDate": now - 3_600_000, "endDate": now + 60_000} | filters
    response = await shop.call("POST", HISTORY, json=body)
    assert (response.status_code, response.json().get("errorCode")) == (400, code)


async def test_filters_that_go_together_find_what_they_name(shop: AppStoreShop, buy: Step) -> None:
    await buy(MONTHLY)
    both = {"notificationType": "SUBSCRIBED", "notificationSubtype": "INITIAL_BUY"}
    assert len(await shop.history(**both)) == 1
    assert len(await shop.history(notificationSubtype="INITIAL_BUY")) == 1
    assert await shop.history(notificationSubtype="RESUBSCRIBE") == []
