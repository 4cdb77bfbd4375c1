"""Exact copies of one genuine notification never cost what the first one did."""

import pytest

from api.notifications import acknowledged
from api.notifications.acknowledged import Acknowledged, digest_of
from storage.notifications import NotificationStore
from tests.api.house import House, ProviderSide, Shop
from tests.security.foreign import pay, pending
from tests.security.requests import caller

HEADERS = {"content-type": "application/json", "wechatpay-serial": "1", "host": "paysaga.test"}


async def test_a_copy_of_what_was_acknowledged_is_never_looked_up_again(
    shop: Shop, provider: ProviderSide, house: House, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await pending(shop, "alipay")
    await pay(provider, made)
    assert (await provider.notify(made))["accepted"]
    await shop.reaches(made, "succeeded")
    stored = house.dependencies.stores.notifications
    [kept] = await stored.list_for_payment(made["id"])

    def none(*_: object, **__: object) -> None:
        raise AssertionError("a statement")

    for name in ("record", "addressee"):
        monkeypatch.setattr(NotificationStore, name, none)
    path = f"/notify/{made['provider']}/{made['account']}"
    async with caller(house.app, "198.51.100.7") as copying:
        answers = [
            await copying.post(path, content=kept.body, headers=kept.headers) for _ in range(5)
        ]
        altered = await copying.post(path, content=kept.body + b"&x=1", headers=kept.headers)

    assert {(answer.status_code, answer.text) for answer in answers} == {(200, "success")}
    assert altered.text != "success"


def test_only_an_exact_copy_at_the_same_account_counts() -> None:
    first = digest_of("wechatpay", "main", HEADERS, b"body")

    assert digest_of("wechatpay", "main", HEADERS | {"host": "other"}, b"body") == first
    others = [
        digest_of("wechatpay", "other", HEADERS, b"body"),
        digest_of("wechatpay", "main", HEADERS, b"bodx"),
        digest_of("wechatpay", "main", HEADERS | {"wechatpay-serial": "2"}, b"body"),
        digest_of("wechatpay", "main", HEADERS | {"content-type": "text/plain"}, b"body"),
    ]
    assert first not in others


def test_copies_are_remembered_for_a_while_and_not_without_a_bound(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(acknowledged, "MOST", 2)
    lately = Acknowledged()
    for digest in (b"1", b"2", b"3"):
        lately.add(digest)
    assert [digest in lately for digest in (b"1", b"2", b"3")] == [False, True, True]

    monkeypatch.setattr(acknowledged, "SECONDS", -1.0)
    lately.add(b"3")
    assert b"3" not in lately
