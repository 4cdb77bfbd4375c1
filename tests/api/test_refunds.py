import asyncio
from typing import Any
from uuid import UUID

import pytest

from providers.base import refundable
from tests.api.house import House, ProviderSide, Shop, eventually


@pytest.fixture
def paid(shop: Shop, provider: ProviderSide) -> Any:
    """Makes a payment that succeeded."""

    async def make(**changes: Any) -> dict[str, Any]:
        made = await shop.pending(**changes)
        await provider.pay(made)
        assert (await provider.notify(made))["accepted"]
        return await shop.reaches(made, "succeeded")

    return make


async def settled(shop: Shop, refund: dict[str, Any]) -> dict[str, Any]:
    async def ended() -> dict[str, Any] | None:
        found: dict[str, Any] = (await shop.http.get(f"/v1/refunds/{refund['id']}")).json()
        return found if found["status"] != "pending" else None

    found: dict[str, Any] = await eventually(ended)
    return found


async def test_a_refund_is_made_notified_and_settled(
    shop: Shop, provider: ProviderSide, paid: Any
) -> None:
    payment = await paid()
    response = await shop.refund(payment, "r1", amount=500, reason="one ticket")
    refund = response.json()
    assert (response.status_code, refund["result_code"]) == (201, 0)
    assert (refund["payment_id"], refund["amount"]) == (payment["id"], 500)
    assert (refund["cause"], refund["reason"]) == ("requested", "one ticket")
    await provider.control.post(
        "/_sandbox/refunds/complete",
        json={"provider": "wechatpay", "refund_reference": refund["id"].replace("-", "")},
    )
    answer = await provider.notify(
        payment, kind="refund", refund_reference=refund["id"].replace("-", "")
    )
    assert answer["accepted"]
    assert (await settled(shop, refund))["status"] == "succeeded"
    assert (await shop.read(payment))["refunded"] == 500
    listed = (await shop.http.get(f"/v1/payments/{payment['id']}/refunds")).json()
    assert [found["id"] for found in listed["data"]] == [refund["id"]]
    again = await provider.notify(
        payment, kind="refund", refund_reference=refund["id"].replace("-", "")
    )
    assert again["accepted"]


async def test_no_amount_refunds_all_that_is_left_and_a_repeat_refunds_nothing_more(
    shop: Shop, paid: Any
) -> None:
    payment = await paid()
    assert (await shop.refund(payment, "part", amount=999)).status_code == 201
    rest = await shop.refund(payment, "rest")
    again = await shop.refund(payment, "rest")
    assert (rest.status_code, rest.json()["amount"]) == (201, 1000)
    assert (again.status_code, again.json()["id"]) == (200, rest.json()["id"])
    found = await shop.read(payment)
    assert found["refund_reserved"] + found["refunded"] == found["captured"]


async def test_fifty_parallel_identical_refunds_are_one(shop: Shop, paid: Any) -> None:
    payment = await paid()
    responses = await asyncio.gather(*(shop.refund(payment, "same") for _ in range(50)))
    assert sorted(r.status_code for r in responses) == [200] * 49 + [201]
    assert len({r.json()["id"] for r in responses}) == 1


async def test_parallel_refunds_never_exceed_what_was_captured(shop: Shop, paid: Any) -> None:
    payment = await paid(amount=1000)
    responses = await asyncio.gather(
        *(shop.refund(payment, f"r{n}", amount=300) for n in range(10))
    )
    refused = [r.json() for r in responses if r.status_code == 409]
    assert [r.status_code for r in responses].count(201) == 3
    assert {problem["code"] for problem in refused} == {"refund_exceeds_captured"}
    found = await shop.read(payment)
    assert found["refund_reserved"] + found["refunded"] == 900


async def test_a_refund_without_a_key_is_refused_before_money_moves(shop: Shop, paid: Any) -> None:
    payment = await paid()
    response = await shop.http.post(f"/v1/payments/{payment['id']}/refunds", json={})
    problem = response.json()
    assert (response.status_code, problem["code"]) == (400, "idempotency_key_required")
    assert (problem["param"], problem["id"]) == ("Idempotency-Key", payment["id"])


@pytest.mark.parametrize("key", ["automatic:late_payment", "with space", "x" * 256, ""])
async def test_a_key_that_we_cannot_take_is_refused(shop: Shop, paid: Any, key: str) -> None:
    response = await shop.refund(await paid(), key)
    assert response.status_code == 422
    assert response.json()["param"].lower() == "idempotency-key"


async def test_another_amount_under_the_same_key_is_refused(shop: Shop, paid: Any) -> None:
    payment = await paid()
    first = await shop.refund(payment, "r1", amount=1)
    other = await shop.refund(payment, "r1", amount=2)
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")
    assert other.json()["id"] == first.json()["id"]


async def test_what_was_not_paid_cannot_be_refunded(shop: Shop) -> None:
    response = await shop.refund(await shop.pending(), "r1")
    assert (response.status_code, response.json()["code"]) == (409, "payment_not_paid")


async def test_more_than_was_paid_cannot_be_refunded(shop: Shop, paid: Any) -> None:
    payment = await paid()
    response = await shop.refund(payment, "r1", amount=payment["amount"] + 1)
    assert (response.status_code, response.json()["code"]) == (409, "refund_exceeds_captured")
    assert response.json()["id"] == payment["id"]
    assert "1999" in response.json()["detail"]


async def test_a_refund_that_the_provider_refuses_is_told_with_its_words(
    shop: Shop, provider: ProviderSide, paid: Any
) -> None:
    payment = await paid()
    await provider.fault("refund", "server_error", code="USER_ACCOUNT_ABNORMAL", status=403)
    for _ in range(2):
        response = await shop.refund(payment, "r1")
        problem = response.json()
        assert (response.status_code, problem["code"]) == (422, "provider_rejected")
        assert problem["provider"]["code"] == "USER_ACCOUNT_ABNORMAL"
        found = (await shop.http.get(f"/v1/refunds/{problem['id']}")).json()
        assert found["status"] == "failed"
    assert (await shop.read(payment))["refundable"] == payment["captured"]


async def test_a_refund_without_balance_is_pending_with_attention_and_not_refused(
    shop: Shop, provider: ProviderSide, paid: Any
) -> None:
    payment = await paid()
    fault = {"operation": "refund", "kind": "error_code", "params": {"code": "NOT_ENOUGH"}}
    always = {"provider": provider.provider, "times": -1}
    await provider.control.post("/_sandbox/faults", json=fault | always)
    response = await shop.refund(payment, "r1", amount=500)
    refund = response.json()
    assert response.status_code in (201, 202)
    assert (refund["status"], refund["failure"]) == ("pending", None)

    async def flagged() -> Any:
        found = (await shop.http.get(f"/v1/refunds/{refund['id']}")).json()
        return found["attention"]

    assert await eventually(flagged) == "refund_blocked"
    assert (await shop.read(payment))["refund_reserved"] == 500


async def test_without_a_worker_a_refund_is_taken_on_and_readable(
    shop: Shop, house_without_worker: House, paid: Any
) -> None:
    payment = await paid()
    async with house_without_worker.as_merchant(shop) as idle:
        response = await idle.post(
            f"/v1/payments/{payment['id']}/refunds",
            json={"amount": 500},
            headers={"Idempotency-Key": "r1"},
        )
    assert (response.status_code, response.json()["status"]) == (202, "pending")
    found = await shop.http.get(f"/v1/refunds/{response.json()['id']}")
    assert found.json()["status"] == "pending"
    assert (await shop.read(payment))["refund_reserved"] == 500


async def test_after_the_refunds_run_has_ended_our_books_answer(
    shop: Shop, provider: ProviderSide, house: House, paid: Any
) -> None:
    payment = await paid()
    refund = (await shop.refund(payment, "r1", amount=500)).json()
    reference = refund["id"].replace("-", "")
    await provider.control.post(
        "/_sandbox/refunds/complete",
        json={"provider": "wechatpay", "refund_reference": reference},
    )
    await provider.notify(payment, kind="refund", refund_reference=reference)
    await settled(shop, refund)
    again = await shop.refund(payment, "r1", amount=500)
    other = await shop.refund(payment, "r1", amount=501)
    assert (again.status_code, again.json()["status"]) == (200, "succeeded")
    assert (other.status_code, other.json()["code"]) == (409, "idempotency_key_reused")


async def test_a_refund_notification_with_another_sum_is_never_acknowledged(
    shop: Shop, provider: ProviderSide, paid: Any
) -> None:
    payment = await paid()
    refund = (await shop.refund(payment, "r1", amount=500)).json()
    reference = refund["id"].replace("-", "")
    await provider.control.post(
        "/_sandbox/refunds/complete",
        json={"provider": "wechatpay", "refund_reference": reference, "status": "SUCCESS"},
    )
    await settled(shop, refund)
    answer = await provider.notify(
        payment, kind="refund", refund_reference=reference, fault="wrong_amount"
    )
    assert not answer["accepted"]

    async def flagged() -> Any:
        return (await shop.read(payment))["attention"]

    assert await eventually(flagged)
    assert (await shop.read(payment))["refunded"] == 500


async def test_a_providers_success_for_a_refund_that_we_failed_calls_a_person(
    shop: Shop, provider: ProviderSide, house: House, paid: Any
) -> None:
    payment = await paid()
    await provider.fault("refund", "server_error", code="USER_ACCOUNT_ABNORMAL", status=403)
    refused = await shop.refund(payment, "r1", amount=500)
    assert refused.status_code == 422
    stores = house.dependencies.stores
    refund = await stores.refunds.get(UUID(refused.json()["id"]))
    ours = await stores.payments.get(UUID(payment["id"]))
    assert refund is not None
    assert ours is not None
    source = house.dependencies.registry.get("wechatpay", "pubkey")
    await refundable(source).refund(refund, ours)
    await provider.control.post(
        "/_sandbox/refunds/complete",
        json={"provider": "wechatpay", "refund_reference": refund.reference},
    )
    answer = await provider.notify(payment, kind="refund", refund_reference=refund.reference)
    assert answer["accepted"]

    async def flagged() -> Any:
        return (await shop.read(payment))["attention"]

    assert await eventually(flagged) == "external_refund"
