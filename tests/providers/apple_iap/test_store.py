import json
from datetime import timedelta
from typing import Any

import httpx
import pytest

from domain.consumption import Consumption, Delivery, RefundPreference
from domain.errors import OutcomeUnknown, ProviderRejected
from domain.notification import NotificationKind
from domain.report import Outcome
from providers.apple_iap import store as module
from providers.apple_iap.provider import AppleIapProvider
from providers.base import Provider, Store
from tests.providers.apple_iap.appstore import (
    NOW,
    PRODUCTION,
    SANDBOX,
    FakeAppStore,
    Keys,
    ms,
)
from tests.providers.apple_iap.conftest import Order

NUMBER = "2000000000000001"


def asked(store: FakeAppStore) -> list[str]:
    return [f"{call.method} {call.url}" for call in store.calls]


def sent(call: httpx.Request) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(call.content)
    return found


def test_the_provider_is_a_store(provider: Provider) -> None:
    assert isinstance(provider, Store)


async def test_one_transaction_is_asked_for_by_its_number(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    store.then({"signedTransactionInfo": store.transaction(revocationDate=ms(NOW))})
    found = await provider.ask_purchase(NUMBER)
    assert (found.transaction_id, found.revoked_at) == (NUMBER, NOW)
    assert asked(store) == [f"GET {SANDBOX}/inApps/v1/transactions/{NUMBER}"]


async def test_an_answer_about_another_transaction_is_no_answer(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    store.then({"signedTransactionInfo": store.transaction(transactionId="2")})
    with pytest.raises(OutcomeUnknown, match="another transaction"):
        await provider.ask_purchase(NUMBER)


@pytest.mark.parametrize("changes", [{"bundleId": "com.example.coffee"}, {"environment": "Xcode"}])
async def test_an_answer_must_verify_like_anything_else(
    provider: AppleIapProvider, store: FakeAppStore, keys: Keys, changes: dict[str, Any]
) -> None:
    forged = keys.signer(marks=()).sign(store.payload())
    for signed in (store.transaction(**changes), forged, "a.b.c", None, 1):
        store.then({"signedTransactionInfo": signed}, {"signedTransactions": [signed]})
        with pytest.raises(OutcomeUnknown):
            await provider.ask_purchase(NUMBER)
        with pytest.raises(OutcomeUnknown):
            await provider.find_purchases(NUMBER)


async def test_a_production_account_finds_a_reviewers_purchase_in_the_sandbox(
    production: AppleIapProvider, store: FakeAppStore
) -> None:
    store.then_error(404, 4040010)
    store.then({"signedTransactionInfo": store.transaction()})
    assert (await production.ask_purchase(NUMBER)).test
    assert asked(store) == [
        f"GET {PRODUCTION}/inApps/v1/transactions/{NUMBER}",
        f"GET {SANDBOX}/inApps/v1/transactions/{NUMBER}",
    ]


async def test_only_a_transaction_that_is_not_there_is_looked_for_elsewhere(
    production: AppleIapProvider, store: FakeAppStore
) -> None:
    store.then_error(400, 4000006)
    with pytest.raises(ProviderRejected):
        await production.ask_purchase(NUMBER)
    store.then_error(500, 5000001)
    with pytest.raises(OutcomeUnknown):
        await production.ask_purchase(NUMBER)
    assert len(store.calls) == 2


async def test_a_transaction_that_no_environment_knows_is_refused(
    production: AppleIapProvider, store: FakeAppStore
) -> None:
    store.then_error(404, 4040010)
    store.then_error(404, 4040010)
    with pytest.raises(ProviderRejected) as caught:
        await production.find_purchases(NUMBER)
    assert caught.value.provider_code == "4040010"


async def test_a_customers_history_is_read_to_its_end(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    signed = [store.transaction(transactionId=str(number)) for number in range(1, 6)]
    store.then(
        {"signedTransactions": signed[:2], "hasMore": True, "revision": "one"},
        {"signedTransactions": [], "hasMore": True, "revision": "two"},
        {"signedTransactions": signed[2:], "hasMore": False, "revision": "three"},
    )
    found = await provider.find_purchases(NUMBER)
    assert [purchase.transaction_id for purchase in found] == ["1", "2", "3", "4", "5"]
    assert asked(store) == [
        f"GET {SANDBOX}/inApps/v2/history/{NUMBER}",
        f"GET {SANDBOX}/inApps/v2/history/{NUMBER}?revision=one",
        f"GET {SANDBOX}/inApps/v2/history/{NUMBER}?revision=two",
    ]


@pytest.mark.parametrize(
    "page",
    [
        {"signedTransactions": [], "hasMore": True},
        {"signedTransactions": [], "hasMore": True, "revision": 5},
        {"signedTransactions": [], "hasMore": True, "revision": "same"},
        {"signedTransactions": {}, "hasMore": False},
    ],
)
async def test_a_history_that_goes_nowhere_is_given_up(
    provider: AppleIapProvider, store: FakeAppStore, page: dict[str, Any]
) -> None:
    store.then(page, page, page)
    with pytest.raises(OutcomeUnknown):
        await provider.find_purchases(NUMBER)


async def test_a_history_without_an_end_is_given_up(
    provider: AppleIapProvider, store: FakeAppStore, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(module, "_MOST_PAGES", 3)
    pages = [
        {"hasMore": True, "revision": str(number), "paginationToken": str(number)}
        for number in range(4)
    ]
    store.then(*pages)
    with pytest.raises(OutcomeUnknown, match="no end"):
        await provider.find_purchases(NUMBER)
    store.replies.clear()
    store.then(*pages)
    with pytest.raises(OutcomeUnknown, match="no end"):
        await provider.find_lost(NOW - timedelta(days=1))


async def test_what_never_reached_us_is_found_in_the_order_of_its_signing(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    late = store.signer.sign(store.envelope("TEST", signedDate=ms(NOW - timedelta(hours=1))))
    store.then(
        store.told(store.message(), hasMore=True, paginationToken="next"),
        store.told(late),
    )
    found = await provider.find_lost(NOW - timedelta(days=1))
    assert [told.kind for told in found] == [NotificationKind.STORE, NotificationKind.PAYMENT]
    begin, end = NOW - timedelta(days=1, minutes=5), NOW + timedelta(days=1)
    span = {"startDate": ms(begin), "endDate": ms(end)}
    assert [sent(call) for call in store.calls] == [span, span]
    path = f"POST {SANDBOX}/inApps/v1/notifications/history"
    assert asked(store) == [path, f"{path}?paginationToken=next"]


async def test_a_history_is_asked_for_no_further_back_than_it_reaches(
    production: AppleIapProvider, store: FakeAppStore
) -> None:
    store.then(store.told(), store.told())
    assert await production.find_lost(NOW - timedelta(days=400)) == []
    assert [call.url.host for call in store.calls] == ["production.test", "sandbox.test"]
    assert [ms(NOW) - sent(call)["startDate"] for call in store.calls] == [
        timedelta(days=days) // timedelta(milliseconds=1) for days in (179, 29)
    ]


async def test_an_environment_is_not_asked_for_what_it_has_forgotten(
    production: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    store.then(*[store.told()] * 500)
    created_at = NOW - timedelta(days=31)
    report = await production.query(payment(created_at=created_at))
    assert report.outcome is Outcome.NOT_FOUND
    begins: dict[str, int] = {}
    for call in store.calls:
        begins.setdefault(call.url.host, sent(call)["startDate"])
    assert begins == {
        "production.test": ms(created_at - timedelta(minutes=5)),
        "sandbox.test": ms(NOW - timedelta(days=29)),
    }


@pytest.mark.parametrize("entry", [None, {}, {"signedPayload": 1}, "text"])
async def test_an_entry_without_its_text_makes_the_answer_worthless(
    provider: AppleIapProvider, store: FakeAppStore, entry: object
) -> None:
    store.then({"notificationHistory": [entry], "hasMore": False})
    with pytest.raises(OutcomeUnknown):
        await provider.find_lost(NOW)


async def test_an_entry_that_does_not_verify_is_not_passed_over_in_silence(
    provider: AppleIapProvider, store: FakeAppStore, keys: Keys
) -> None:
    forged = keys.signer(marks=()).sign(store.envelope("TEST"))
    store.then(store.told(forged, store.message()))
    with pytest.raises(OutcomeUnknown, match="nobody can verify"):
        await provider.find_lost(NOW)


@pytest.mark.parametrize(
    ("consumption", "expected"),
    [
        (Consumption(), {"deliveryStatus": "DELIVERED", "sampleContentProvided": False}),
        (
            Consumption(
                consumed=25_000,
                sample_provided=True,
                refund_preference=RefundPreference.GRANT_PRORATED,
            ),
            {
                "deliveryStatus": "DELIVERED",
                "sampleContentProvided": True,
                "consumptionPercentage": 25_000,
                "refundPreference": "GRANT_PRORATED",
            },
        ),
        (
            Consumption(delivery=Delivery.SERVER_OUTAGE, consumed=25_000),
            {
                "deliveryStatus": "UNDELIVERED_SERVER_OUTAGE",
                "sampleContentProvided": False,
                "consumptionPercentage": 0,
            },
        ),
    ],
)
async def test_what_became_of_a_purchase_is_told_with_the_customers_consent(
    provider: AppleIapProvider,
    store: FakeAppStore,
    consumption: Consumption,
    expected: dict[str, Any],
) -> None:
    store.replies.append(lambda _: httpx.Response(202))
    await provider.send_consumption(NUMBER, consumption)
    assert asked(store) == [f"PUT {SANDBOX}/inApps/v2/transactions/consumption/{NUMBER}"]
    assert sent(store.calls[0]) == expected | {"customerConsented": True}
