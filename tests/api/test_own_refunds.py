"""Refunds that the provider tells of: which are ours, and which were made without us."""

from typing import Any
from uuid import UUID

import pytest

from tests.api.genuine import Genuine
from tests.api.house import House, ProviderSide, Shop, eventually, order
from tests.payer_codes import new_code


@pytest.fixture
def genuine(house: House, stranger: Any) -> Genuine:
    return Genuine.of(house, stranger)


@pytest.fixture
async def paid(shop: Shop, provider: ProviderSide, house: House) -> dict[str, Any]:
    made = await shop.pending(provider="alipay", account="main")
    await provider.pay(made)
    assert (await provider.notify(made))["accepted"]
    await shop.reaches(made, "succeeded")
    await house.ended(made)
    return await shop.read(made)


async def refunded(shop: Shop, payment: dict[str, Any], amount: int) -> dict[str, Any]:
    """Our own refund, done."""
    made = (await shop.refund(payment, f"r-{amount}", amount=amount)).json()

    async def is_done() -> bool:
        found = await shop.http.get(f"/v1/refunds/{made['id']}")
        return bool(found.json()["status"] == "succeeded")

    await eventually(is_done)
    return dict(made)


async def flagged(shop: Shop, payment: dict[str, Any]) -> list[dict[str, Any]]:
    """The events that call an operator, once there are any."""

    async def events() -> list[dict[str, Any]]:
        params = {"payment_id": payment["id"], "type": "payment.attention"}
        found = await shop.http.get("/v1/events", params=params)
        return list(found.json()["data"])

    return list(await eventually(events))


async def test_more_than_our_own_refunds_is_an_external_refund(
    shop: Shop, genuine: Genuine, paid: dict[str, Any]
) -> None:
    await refunded(shop, paid, 300)

    answer = await genuine.alipay(paid, refund_fee="5.00", gmt_refund="2026-11-22 10:00:00")

    assert answer.content == b"success"
    [event] = await flagged(shop, paid)
    assert event["data"]["attention"] == "external_refund"
    assert "500" in event["data"]["detail"]
    found = await shop.read(paid)
    assert (found["attention"], found["refunded"]) == ("external_refund", 300)


async def test_more_than_our_own_refunds_shows_next_to_our_own_refunds_number(
    shop: Shop, genuine: Genuine, paid: dict[str, Any]
) -> None:
    ours = UUID((await refunded(shop, paid, 300))["id"]).hex

    answer = await genuine.alipay(
        paid, out_biz_no=ours, refund_fee="5.00", gmt_refund="2026-11-22 10:00:00"
    )

    assert answer.content == b"success"
    [event] = await flagged(shop, paid)
    assert event["data"]["attention"] == "external_refund"


@pytest.mark.parametrize("number", [False, True])
async def test_what_our_own_refunds_gave_back_calls_nobody(
    *, shop: Shop, genuine: Genuine, paid: dict[str, Any], number: bool
) -> None:
    ours = UUID((await refunded(shop, paid, 300))["id"]).hex if number else ""
    await refunded(shop, paid, 200)
    await refunded(shop, paid, 100)
    told = "6.00" if number else "3.00"

    for _ in range(3):
        answer = await genuine.alipay(
            paid, out_biz_no=ours, refund_fee=told, gmt_refund="2026-11-22 10:00:00"
        )
        assert answer.content == b"success"

    assert (await shop.read(paid))["attention"] is None


async def test_our_own_full_refund_is_acknowledged_at_every_repeat(
    shop: Shop, genuine: Genuine, paid: dict[str, Any]
) -> None:
    await refunded(shop, paid, 999)
    await refunded(shop, paid, 1000)

    for _ in range(3):
        answer = await genuine.alipay(
            paid,
            notify_id="the-same",
            trade_status="TRADE_CLOSED",
            refund_fee="19.99",
            gmt_refund="2026-11-22 10:00:00",
        )
        assert (answer.status_code, answer.content) == (200, b"success")

    found = await shop.read(paid)
    assert (found["attention"], found["status"], found["refunded"]) == (None, "succeeded", 1999)


async def test_a_trade_refunded_in_full_without_us_is_an_external_refund(
    shop: Shop, genuine: Genuine, paid: dict[str, Any]
) -> None:
    await refunded(shop, paid, 300)

    answer = await genuine.alipay(
        paid, trade_status="TRADE_CLOSED", refund_fee="19.99", gmt_refund="2026-11-22 10:00:00"
    )

    assert answer.content == b"success"
    [event] = await flagged(shop, paid)
    assert event["data"]["attention"] == "external_refund"


@pytest.mark.parametrize("number", ["", "7" * 32])
async def test_our_own_cancel_in_store_is_no_external_refund(
    shop: Shop, genuine: Genuine, house: House, number: str
) -> None:
    body = order(provider="alipay", account="main", channel="barcode")
    made = (await shop.create(body | {"payer": {"auth_code": new_code("alipay", "0003")}})).json()
    await shop.http.post(f"/v1/payments/{made['id']}/cancel")
    await shop.reaches(made, "closed")
    await house.ended(made)

    for _ in range(3):
        answer = await genuine.alipay(
            made,
            notify_id="the-same",
            out_biz_no=number,
            trade_status="TRADE_CLOSED",
            refund_fee="19.99",
            gmt_refund="2026-11-22 10:00:00",
        )
        assert (answer.status_code, answer.content) == (200, b"success")

    found = await shop.read(made)
    assert (found["attention"], found["status"], found["captured"]) == (None, "closed", 0)
