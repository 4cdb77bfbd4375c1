"""Genuine messages about nothing that we do, and genuine ones that nobody can read."""

import re

import httpx
import pytest

from domain.alarm import AlarmKind
from tests.api.genuine import Genuine
from tests.api.house import House, ProviderSide, Shop

BACK = "alipay.trade.refund.depositback.completed"


@pytest.fixture
def genuine(house: House, stranger: httpx.AsyncClient) -> Genuine:
    return Genuine.of(house, stranger)


class Counters:
    """The counters of notifications, since the test began."""

    def __init__(self, http: httpx.AsyncClient, before: dict[str, float]) -> None:
        self._http = http
        self._before = before

    @classmethod
    async def begin(cls, http: httpx.AsyncClient) -> "Counters":
        return cls(http, await _read(http))

    async def more(self) -> dict[str, float]:
        now = await _read(self._http)
        grown = {name: now[name] - self._before.get(name, 0) for name in now}
        return {name: more for name, more in grown.items() if more}


async def _read(http: httpx.AsyncClient) -> dict[str, float]:
    found: dict[str, float] = {}
    line = r'paysaga_notifications_total\{.*outcome="(\w+)".*\} (\S+)'
    for outcome, count in re.findall(line, (await http.get("/metrics")).text):
        found[outcome] = found.get(outcome, 0) + float(count)
    return found


async def alarms(house: House, kind: AlarmKind) -> int:
    raised = await house.dependencies.stores.alarms.list_newest()
    return sum(one.count for one in raised if one.kind is kind)


@pytest.mark.parametrize("name", ["alipay", "wechatpay", "unionpay"])
async def test_a_genuine_message_about_another_product_is_acknowledged_and_counted_apart(
    shop: Shop, stranger: httpx.AsyncClient, genuine: Genuine, name: str
) -> None:
    payment = (await shop.pending()) | {"provider_reference": "4" * 21}
    counters = await Counters.begin(stranger)

    if name == "alipay":
        answer = await genuine.bare_alipay(notify_id="1", msg_method=BACK, biz_content="{}")
        assert answer.content == b"success"
    elif name == "wechatpay":
        answer = await genuine.wechatpay("PAYSCORE.USER_PAID")
    else:
        answer = await genuine.unionpay(payment, txnType="02")

    assert answer.is_success
    assert await counters.more() == {"ignored": 1}


async def test_another_apps_message_about_another_product_is_foreign(
    stranger: httpx.AsyncClient, genuine: Genuine, shop: Shop, house: House
) -> None:
    payment = (await shop.pending()) | {"provider_reference": "4" * 21}
    counters = await Counters.begin(stranger)
    before = await alarms(house, AlarmKind.FOREIGN_NOTIFICATION)

    answer = await genuine.unionpay(payment, txnType="02", merId="777290058110097")

    assert answer.status_code == 500
    assert await counters.more() == {"foreign": 1}
    assert await alarms(house, AlarmKind.FOREIGN_NOTIFICATION) == before + 1


async def test_a_genuine_message_that_nobody_can_read_is_rejected_and_calls_an_operator(
    stranger: httpx.AsyncClient, genuine: Genuine, house: House
) -> None:
    counters = await Counters.begin(stranger)
    before = await alarms(house, AlarmKind.UNREADABLE_NOTIFICATION)

    answer = await genuine.wechatpay("TRANSACTION.SUCCESS")

    assert answer.status_code == 500
    assert await counters.more() == {"unreadable": 1}
    assert await alarms(house, AlarmKind.UNREADABLE_NOTIFICATION) == before + 1


async def test_a_forged_message_about_another_product_is_still_forged(
    stranger: httpx.AsyncClient, provider: ProviderSide, shop: Shop
) -> None:
    made = await shop.pending()
    await provider.pay(made)
    counters = await Counters.begin(stranger)
    body = f"notify_id=1&msg_method={BACK}&app_id=2021&sign_type=RSA2&sign=AAAA"

    answer = await stranger.post("/notify/alipay/main", content=body)

    assert answer.content == b"fail"
    assert await counters.more() == {"forged": 1}
