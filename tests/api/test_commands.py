import asyncio
from typing import Any

from tests.api.house import House, ProviderSide, Shop, eventually, order


async def test_cancelling_closes_the_order_and_a_repeat_changes_nothing(
    shop: Shop, provider: ProviderSide
) -> None:
    made = await shop.pending()
    path = f"/v1/payments/{made['id']}/cancel"
    cancelled = await shop.http.post(path, json={"reason": "out of stock"})
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "closed")
    again = await shop.http.post(path)
    assert (again.status_code, again.json()["status"]) == (200, "closed")
    assert (await provider.orders(made))[0]["status"] == "CLOSED"


async def test_cancelling_after_the_payer_paid_reports_the_money(
    shop: Shop, provider: ProviderSide
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    cancelled = await shop.http.post(f"/v1/payments/{made['id']}/cancel")
    assert (cancelled.status_code, cancelled.json()["status"]) == (200, "succeeded")
    await shop.reaches(made, "succeeded")
    again = await shop.http.post(f"/v1/payments/{made['id']}/cancel")
    assert (again.status_code, again.json()["code"]) == (409, "not_cancellable")
    assert again.json()["id"] == made["id"]


async def test_sync_finds_a_payment_whose_notification_was_lost(
    shop: Shop, provider: ProviderSide
) -> None:
    made = await shop.pending()
    path = f"/v1/payments/{made['id']}/sync"
    first = (await shop.http.post(path)).json()
    assert (first["status"], first["synced_at"] > made["created_at"]) == ("pending", True)
    await provider.pay(made)

    async def synced() -> dict[str, Any] | None:
        answer = await shop.http.post(path)
        assert answer.status_code == 200
        found: dict[str, Any] = answer.json()
        return found if found["status"] != "pending" else None

    # Not before the window of the first call is over.
    found = await eventually(synced)
    assert (found["status"], found["captured"]) == ("succeeded", made["amount"])
    await shop.reaches(made, "succeeded")
    assert (await shop.http.post(path)).json()["status"] == "succeeded"


async def test_after_the_run_has_ended_the_database_answers(
    shop: Shop, provider: ProviderSide, house: House
) -> None:
    closed, paid = await shop.pending(), await shop.pending()
    await shop.http.post(f"/v1/payments/{closed['id']}/cancel")
    await provider.pay(paid)
    await provider.notify(paid)
    for made in (closed, paid):
        await house.ended(made)
    answers = {
        (name, verb): await shop.http.post(f"/v1/payments/{made['id']}/{verb}")
        for name, made in (("closed", closed), ("paid", paid))
        for verb in ("cancel", "sync")
    }
    refused = answers.pop(("paid", "cancel"))
    assert (refused.status_code, refused.json()["code"]) == (409, "not_cancellable")
    assert refused.json()["id"] == paid["id"]
    assert {key: answer.json()["status"] for key, answer in answers.items()} == {
        ("closed", "cancel"): "closed",
        ("closed", "sync"): "closed",
        ("paid", "sync"): "succeeded",
    }


async def test_without_a_worker_commands_are_taken_on_but_not_promised(
    house_without_worker: House,
) -> None:
    shop = await house_without_worker.shop()
    made = (await shop.create(order())).json()
    verbs = ("cancel", "sync")
    answers = await asyncio.gather(
        *(shop.http.post(f"/v1/payments/{made['id']}/{verb}") for verb in verbs)
    )
    assert [answer.status_code for answer in answers] == [202, 202]
    assert {answer.json()["status"] for answer in answers} == {"pending"}


async def test_without_temporal_commands_say_try_again(
    shop: Shop, house_without_temporal: House
) -> None:
    made = await shop.pending()
    async with house_without_temporal.as_merchant(shop) as away:
        for verb in ("cancel", "sync"):
            response = await away.post(f"/v1/payments/{made['id']}/{verb}")
            problem = response.json()
            assert (response.status_code, problem["code"]) == (503, "temporal_unavailable")
            assert problem["retryable"] is True
