from typing import Any

import pytest

from tests.api.house import ProviderSide, Shop, eventually


async def test_pages_follow_each_other_without_gaps_or_repeats(shop: Shop) -> None:
    made = [(await shop.pending())["id"] for _ in range(5)]
    seen: list[str] = []
    params: dict[str, Any] = {"limit": 2}
    while True:
        page = (await shop.http.get("/v1/payments", params=params)).json()
        assert page["result_code"] == 0
        seen += [payment["id"] for payment in page["data"]]
        if page["next_cursor"] is None:
            break
        params["cursor"] = page["next_cursor"]
        if len(seen) == 2:
            await shop.pending()
    assert seen == made[::-1]


async def test_a_list_is_narrowed_by_its_filters(shop: Shop) -> None:
    wanted = await shop.pending(amount=5)
    await shop.http.post(f"/v1/payments/{(await shop.pending())['id']}/cancel")
    for narrowed in (
        {"order_no": wanted["order_no"]},
        {"status": "pending"},
        {"created_to": "2999-01-01T00:00:00Z", "status": "pending", "provider": "wechatpay"},
    ):
        page = (await shop.http.get("/v1/payments", params=narrowed)).json()
        assert [p["id"] for p in page["data"]] == [wanted["id"]], narrowed
    none = (await shop.http.get("/v1/payments", params={"attention": True})).json()
    assert none["data"] == []


@pytest.mark.parametrize(
    ("params", "param"),
    [
        ({"cursor": "made-up"}, "cursor"),
        ({"limit": 101}, "limit"),
        ({"status": "paid"}, "status"),
        ({"created_from": "2026-01-01T00:00:00"}, "created_from"),
    ],
)
async def test_a_wrong_filter_is_named(shop: Shop, params: dict[str, Any], param: str) -> None:
    response = await shop.http.get("/v1/payments", params=params)
    assert (response.status_code, response.json()["param"]) == (422, param)


async def test_events_send_what_happened(shop: Shop, provider: ProviderSide) -> None:
    made = await shop.pending()
    await provider.pay(made)
    await provider.notify(made)
    await shop.reaches(made, "succeeded")

    async def delivered() -> list[dict[str, Any]]:
        page = (await shop.http.get("/v1/events", params={"payment_id": made["id"]})).json()
        return [event for event in page["data"] if event["delivery"] == "no_endpoint"]

    [event] = await eventually(delivered)
    assert (event["type"], event["sequence"]) == ("payment.succeeded", 1)
    assert event["data"]["status"] == "succeeded"
    other = await shop.http.get("/v1/events", params={"type": "payment.failed"})
    assert other.json()["data"] == []
