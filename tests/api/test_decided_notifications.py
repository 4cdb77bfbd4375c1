"""Money that an operator has decided on: the provider's repeats call nobody again."""

from typing import Any

import pytest

from domain.decided import is_decided
from domain.payment import Payment, PaymentStatus
from domain.report import Attention
from domain.resolution import Resolution, ResolveAction
from tests.api.house import House, ProviderSide, Shop, eventually
from tests.domain import making


async def closed_by_operator(
    shop: Shop, provider: ProviderSide, house: House, name: str
) -> dict[str, Any]:
    """A payment that was paid with another sum, and closed by an operator."""
    account = "pubkey" if name == "wechatpay" else "main"
    made = await shop.pending(provider=name, account=account)
    await provider.control.post(
        "/_sandbox/pay",
        json={
            "provider": name,
            "reference": made["id"].replace("-", ""),
            "checkout": made["checkout"]["value"],
            "notify": False,
            "amount": made["amount"] + 1,
        },
    )
    assert not (await provider.notify(made))["accepted"]

    async def flagged() -> bool:
        return bool((await shop.read(made))["attention"] == "amount_mismatch")

    await eventually(flagged)
    handle = house.dependencies.temporal.get_workflow_handle(
        f"payment-{made['id'].replace('-', '')}", result_type=Payment
    )
    decision = Resolution(action=ResolveAction.CLOSE, note="Ann: refunded in the console")
    await handle.execute_update("resolve", decision)
    await house.ended(made)
    return made


@pytest.mark.parametrize("name", ["alipay", "wechatpay", "unionpay"])
async def test_a_repeat_of_money_that_an_operator_closed_over_is_acknowledged_and_calls_nobody(
    shop: Shop, provider: ProviderSide, house: House, name: str
) -> None:
    made = await closed_by_operator(shop, provider, house, name)

    for _ in range(2):
        assert (await provider.notify(made))["accepted"]

    found = await shop.read(made)
    assert (found["status"], found["attention"], found["captured"]) == ("closed", None, 0)
    params = {"payment_id": made["id"], "type": "payment.attention"}
    events = (await shop.http.get("/v1/events", params=params)).json()["data"]
    assert len(events) == 1


def test_only_the_trade_that_was_decided_on_is_decided() -> None:
    report = making.report(amount=500)
    closed = making.payment().resolve(ResolveAction.CLOSE, report)
    assert closed.status is PaymentStatus.CLOSED
    assert is_decided(closed, report, Attention.AMOUNT_MISMATCH)
    assert is_decided(closed, report, Attention.EXTERNAL_REFUND)
    assert not is_decided(closed, report, Attention.REFERENCE_MISMATCH)
    other = report.model_copy(update={"provider_reference": "another-trade"})
    assert not is_decided(closed, other, Attention.AMOUNT_MISMATCH)
    unnamed = report.model_copy(update={"provider_reference": None})
    assert not is_decided(closed, unnamed, Attention.AMOUNT_MISMATCH)
    undecided = making.payment(status=PaymentStatus.CLOSED, provider_reference="2026050122001")
    assert not is_decided(undecided, report, Attention.AMOUNT_MISMATCH)


def test_a_payment_that_nothing_was_reported_of_is_closed_over_nothing() -> None:
    closed = making.payment().resolve(ResolveAction.CLOSE, None)
    assert (closed.status, closed.raw_status) == (PaymentStatus.CLOSED, None)
