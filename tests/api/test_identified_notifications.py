"""A signed message is identified by every field in it that names one of our orders."""

from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.alarm import AlarmKind
from domain.notification import NotificationOutcome
from tests.api.genuine import Genuine, reference
from tests.api.house import House, ProviderSide, Shop
from tests.api.test_own_refunds import flagged, refunded

ORDER = uuid4().hex


@pytest.fixture
def genuine(house: House, stranger: Any) -> Genuine:
    return Genuine.of(house, stranger)


async def paid(
    shop: Shop, provider: ProviderSide, house: House, name: str, channel: str = "qr"
) -> dict[str, Any]:
    made = await shop.pending(provider=name, account="main", channel=channel)
    await provider.pay(made)
    assert (await provider.notify(made))["accepted"]
    await shop.reaches(made, "succeeded")
    await house.ended(made)
    return await shop.read(made)


async def alarms(house: House, account: str) -> int:
    raised = await house.dependencies.stores.alarms.list_newest()
    found = [one for one in raised if one.kind is AlarmKind.UNKNOWN_REFERENCE]
    return sum(one.count for one in found if one.subject == account)


@pytest.mark.parametrize("named", ["origQryId", "origOrderId", "reqReserved", "free text"])
async def test_unionpays_refund_of_our_payment_is_identified_by_whatever_names_it(
    shop: Shop, provider: ProviderSide, house: House, genuine: Genuine, named: str
) -> None:
    payment = await paid(shop, provider, house, "unionpay")
    fields = {
        "origQryId": {},
        "origOrderId": {"origQryId": "", "origOrderId": reference(payment)},
        "reqReserved": {"origQryId": "", "reqReserved": reference(payment)},
        "free text": {"reqReserved": "refunded by Ann"},
    }[named]

    for _ in range(2):
        answer = await genuine.unionpay(payment, orderId=ORDER, queryId="4" * 21, **fields)
        assert answer.status_code == 200

    [event] = await flagged(shop, payment)
    assert event["data"]["attention"] == "external_refund"
    found = await shop.read(payment)
    assert (found["refunded"], found["attention"]) == (0, "external_refund")
    stores = house.dependencies.stores
    kept = await stores.notifications.list_for_payment(UUID(payment["id"]))
    assert NotificationOutcome.LATE in [record.outcome for record in kept]


async def test_our_own_refund_is_identified_by_its_own_number_alone(
    shop: Shop, provider: ProviderSide, house: House, genuine: Genuine
) -> None:
    payment = await paid(shop, provider, house, "unionpay")
    ours = UUID((await refunded(shop, payment, 500))["id"]).hex

    answer = await genuine.unionpay(payment, orderId=ours, origQryId="")

    assert answer.status_code == 200
    assert (await shop.read(payment))["attention"] is None


async def test_a_refund_whose_numbers_name_two_trades_is_for_an_operator(
    shop: Shop, provider: ProviderSide, house: House, genuine: Genuine
) -> None:
    payment = await paid(shop, provider, house, "unionpay")
    other = await paid(shop, provider, house, "unionpay")

    answer = await genuine.unionpay(payment, orderId=uuid4().hex, reqReserved=reference(other))

    assert answer.status_code == 200
    [event] = await flagged(shop, other)
    assert event["data"]["attention"] == "reference_mismatch"


async def test_a_refund_of_no_order_of_ours_is_acknowledged_and_raises_an_alarm(
    shop: Shop, provider: ProviderSide, house: House, genuine: Genuine
) -> None:
    payment = await paid(shop, provider, house, "unionpay")
    before = await alarms(house, "unionpay/main")

    answer = await genuine.unionpay(payment, origQryId="44" + "9" * 19)

    assert answer.status_code == 200
    assert await alarms(house, "unionpay/main") == before + 1
    assert (await shop.read(payment))["attention"] is None


async def test_a_trade_of_ours_under_another_order_number_is_for_an_operator(
    shop: Shop, provider: ProviderSide, house: House, genuine: Genuine
) -> None:
    payment = await paid(shop, provider, house, "alipay")

    answer = await genuine.alipay(payment, out_trade_no="A-FOREIGN-ORDER")

    assert answer.content == b"fail"
    [event] = await flagged(shop, payment)
    assert event["data"]["attention"] == "reference_mismatch"


async def test_a_payment_of_no_order_of_ours_is_sent_again_and_raises_an_alarm(
    shop: Shop, provider: ProviderSide, house: House, genuine: Genuine
) -> None:
    payment = await paid(shop, provider, house, "alipay")
    before = await alarms(house, "alipay/main")

    answer = await genuine.alipay(payment, out_trade_no=uuid4().hex, trade_no="2026112200000000")

    assert answer.content == b"fail"
    assert await alarms(house, "alipay/main") == before + 1
