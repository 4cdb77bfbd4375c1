from datetime import timedelta
from typing import Any
from uuid import uuid4

import pytest

from domain.checkout import CheckoutKind
from domain.errors import OutcomeUnknown, ProviderRejected
from domain.payment import Channel
from domain.report import Attention, Outcome
from providers.apple_iap.provider import AppleIapProvider
from tests.providers.apple_iap.appstore import NOW, TOKEN, FakeAppStore, Keys, ms
from tests.providers.apple_iap.conftest import Order

NUMBER = "2000000000000001"


async def test_the_app_is_told_what_to_buy_and_for_which_payment(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    created = await provider.create(payment(quantity=3))
    assert created.checkout.kind is CheckoutKind.SDK
    assert created.checkout.parameters == {
        "productId": "tea.credits.10",
        "appAccountToken": str(TOKEN),
        "quantity": "3",
    }
    assert created.checkout.expires_at == payment().expires_at
    assert created.report is None
    assert store.calls == []


async def test_a_payment_of_no_product_is_refused(
    provider: AppleIapProvider, payment: Order
) -> None:
    with pytest.raises(ProviderRejected, match="product of the catalogue"):
        await provider.create(payment(product_id=None))


async def test_a_purchase_whose_notification_was_lost_is_found(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    other = store.message(signedTransactionInfo=store.transaction(appAccountToken=str(uuid4())))
    renewed = store.message("DID_RENEW", signedTransactionInfo=store.transaction())
    store.then(
        store.told(other, renewed, hasMore=True, paginationToken="2"),
        store.told(store.message()),
        {"signedTransactionInfo": store.transaction()},
    )
    report = await provider.query(payment())
    assert (report.outcome, report.provider_reference) == (Outcome.PAID, NUMBER)
    assert payment().mismatch(report) is None


async def test_a_purchase_that_nobody_made_is_not_found(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    store.then(store.told())
    report = await provider.query(payment())
    assert (report.outcome, report.reference) == (Outcome.NOT_FOUND, payment().reference)


async def test_a_word_that_cannot_be_verified_leaves_the_payment_unknown(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order, keys: Keys
) -> None:
    forged = FakeAppStore(keys, keys.signer(marks=())).message()
    store.then(store.told(forged), store.told(forged, store.message()))
    store.then({"signedTransactionInfo": store.transaction()})
    with pytest.raises(OutcomeUnknown):
        await provider.query(payment())
    assert (await provider.query(payment())).outcome is Outcome.PAID


async def test_a_known_purchase_is_asked_for_by_its_number(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    store.then({"signedTransactionInfo": store.transaction()})
    known = payment(provider_reference=NUMBER)
    report = await provider.query(known)
    assert report.outcome is Outcome.PAID
    assert known.mismatch(report) is None
    assert store.calls[0].url.path == f"/inApps/v1/transactions/{NUMBER}"


async def test_a_claimed_purchase_without_a_token_is_the_payments(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    store.then({"signedTransactionInfo": store.transaction(appAccountToken=None)})
    known = payment(provider_reference=NUMBER)
    assert known.mismatch(await provider.query(known)) is None


async def test_a_known_purchase_of_another_payment_does_not_fit(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    store.then({"signedTransactionInfo": store.transaction(appAccountToken=str(uuid4()))})
    known = payment(provider_reference=NUMBER)
    assert known.mismatch(await provider.query(known)) is Attention.REFERENCE_MISMATCH


@pytest.mark.parametrize(
    ("tester", "outcome"),
    [(None, Outcome.NOT_FOUND), ("me", Outcome.NOT_FOUND), ("app-review", Outcome.PAID)],
)
async def test_a_test_purchase_pays_by_a_query_for_a_listed_tester_alone(
    production: AppleIapProvider,
    store: FakeAppStore,
    payment: Order,
    tester: str | None,
    outcome: Outcome,
) -> None:
    store.then_error(404, 4040010)
    store.then({"signedTransactionInfo": store.transaction()})
    asked = payment(
        provider_reference=NUMBER, metadata={} if tester is None else {"tester": tester}
    )
    assert (await production.query(asked)).outcome is outcome


@pytest.mark.parametrize(
    ("said", "offer"),
    [
        (None, None),
        (1, "introductory"),
        (2, "promotional"),
        (3, "code"),
        (4, "win_back"),
        (9, "other"),
    ],
)
async def test_an_offer_is_kept_by_its_name(
    provider: AppleIapProvider, store: FakeAppStore, said: int | None, offer: str | None
) -> None:
    store.then({"signedTransactionInfo": store.transaction(offerType=said)})
    assert (await provider.ask_purchase(NUMBER)).offer == offer


async def test_a_known_purchase_that_the_store_denies_is_not_found(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    store.then_error(404, 4040010)
    report = await provider.query(payment(provider_reference=NUMBER))
    assert (report.outcome, report.raw_status) == (Outcome.NOT_FOUND, "4040010")


async def test_a_refused_question_says_nothing_of_the_money(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    for known in (payment(), payment(provider_reference=NUMBER)):
        store.then_error(400, 4000012)
        with pytest.raises(OutcomeUnknown) as caught:
            await provider.query(known)
        assert caught.value.provider_code == "4000012"


async def test_closing_looks_once_more_and_reports_the_money(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    store.then(store.told(), store.told(store.message()))
    store.then({"signedTransactionInfo": store.transaction()})
    assert (await provider.close(payment())).outcome is Outcome.CLOSED
    assert (await provider.close(payment())).outcome is Outcome.PAID


async def test_closing_without_an_answer_closes_nothing(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    store.then_error(500, 5000001)
    with pytest.raises(OutcomeUnknown):
        await provider.close(payment())


def test_the_channel_waits_a_day_for_a_parent(provider: AppleIapProvider) -> None:
    (channel,) = provider.channels
    rules = provider.channels[channel]
    assert channel is Channel.IAP
    assert (rules.local, rules.refundable, rules.closable) == (True, False, True)
    assert rules.shortest_expiry >= timedelta(hours=24)
    assert rules.default_expiry > timedelta(hours=24)


def test_the_status_alone_acknowledges(provider: AppleIapProvider) -> None:
    assert provider.acknowledge(accepted=True).status == 200
    assert provider.acknowledge(accepted=False, message="later").status == 503


async def test_a_refunded_purchase_was_paid_first(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    store.then({"signedTransactionInfo": store.transaction(revocationDate=ms(NOW))})
    report: Any = await provider.query(payment(provider_reference=NUMBER))
    assert report.outcome is Outcome.PAID
    assert report.purchase.revoked_at == NOW
