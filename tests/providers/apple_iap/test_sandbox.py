"""The App Store's own ways of going on and going wrong; the rest is the contract's."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from domain.consumption import Consumption
from domain.errors import InvalidSignature, OutcomeUnknown, ProviderRejected, ProviderUnavailable
from domain.notification import Notification, NotificationKind
from domain.purchase import Ownership, Purchase
from domain.report import Attention, Outcome
from domain.store_change import Change
from providers.base import Store
from tests.providers.apple_iap.harness import AppleIapHarness
from tests.providers.conftest import Make
from tests.providers.stand import Stand

FORGERIES = (
    "unsigned",
    "alg_hs256",
    "bad_signature",
    "tamper_body",
    "foreign_key",
    "foreign_ca",
    "leaf_without_oid",
    "intermediate_without_oid",
    "two_certificates",
    "expired_certificate",
    "unknown_serial",
    "wrong_environment",
)


@pytest.fixture
def main(make_stand: Make) -> Stand:
    return make_stand(AppleIapHarness(), "main")


@pytest.fixture
def store(main: Stand) -> Store:
    assert isinstance(main.provider, Store)
    return main.provider


async def do(stand: Stand, deed: str, **content: Any) -> dict[str, Any]:
    """What a buyer, a parent, a family or Apple does on a device or a desk."""
    response = await stand.control.post(f"/_sandbox/apple_iap/{deed}", json=content)
    assert response.is_success, response.text
    found: dict[str, Any] = response.json()
    return found


async def told(stand: Stand) -> list[Notification]:
    """Everything that Apple has told since yesterday."""
    assert isinstance(stand.provider, Store)
    return await stand.provider.find_lost(stand.time() - timedelta(days=1))


async def bought(stand: Stand, product: str = "coins", **content: Any) -> dict[str, Any]:
    wanted = {"product_id": f"com.paysaga.tea.{product}", "notify": False}
    return await do(stand, "buy", **wanted | content)


@pytest.mark.parametrize("forgery", [*FORGERIES, "nested_foreign_ca"])
async def test_a_word_that_is_not_apples_changes_nothing_and_is_not_taken(
    main: Stand, forgery: str
) -> None:
    payment = await main.paid()
    headers, body = await main.notified(payment, fault=forgery)
    with pytest.raises(InvalidSignature):
        await main.provider.parse_notification(headers, body)


@pytest.mark.parametrize("forgery", FORGERIES)
async def test_a_proof_that_is_not_apples_is_no_proof(
    main: Stand, store: Store, forgery: str
) -> None:
    sold = await bought(main)
    number = sold["transaction_id"]
    forged = await do(main, "jws", transaction_id=number, flaw=forgery)
    with pytest.raises(InvalidSignature):
        await store.verify_purchase(forged["signed_transaction"])
    genuine = await store.verify_purchase(sold["signed_transaction"])
    assert genuine.change is not None


@pytest.mark.parametrize("forgery", [*FORGERIES, "nested_foreign_ca", "foreign_app"])
async def test_an_answer_that_is_not_apples_is_an_unknown_outcome(
    main: Stand, store: Store, forgery: str
) -> None:
    payment = await main.paid()
    known = payment.model_copy(update=await provider_reference(main, payment.id))
    await main.fault("query", forgery, payment)
    with pytest.raises(OutcomeUnknown):
        await main.provider.query(known)
    assert (await main.provider.query(known)).outcome is Outcome.PAID


async def provider_reference(stand: Stand, token: UUID) -> dict[str, Any]:
    report = await stand.provider.query(stand.payment(id=token))
    return {"provider_reference": report.provider_reference}


@pytest.mark.parametrize(
    ("fault", "attention"),
    [
        ("quantity", Attention.PRODUCT_MISMATCH),
        ("wrong_product", Attention.PRODUCT_MISMATCH),
        ("foreign_token", Attention.REFERENCE_MISMATCH),
        ("foreign_app", Attention.ACCOUNT_MISMATCH),
        ("upper_case_token", None),
        ("wrong_amount", None),
        ("stale", None),
    ],
)
async def test_what_a_genuine_word_says_is_held_against_the_payment(
    main: Stand, fault: str, attention: Attention | None
) -> None:
    payment = await main.paid()
    headers, body = await main.notified(payment, fault=fault)
    found = await main.provider.parse_notification(headers, body)
    assert found.payment is not None
    assert payment.mismatch(found.payment) is attention


@pytest.mark.parametrize(
    ("fault", "change"), [("missing_token", Change.PURCHASED), ("unknown_type", Change.RECORDED)]
)
async def test_a_word_that_names_no_sale_of_ours_is_only_a_word(
    main: Stand, fault: str, change: Change
) -> None:
    payment = await main.paid()
    headers, body = await main.notified(payment, fault=fault)
    found = await main.provider.parse_notification(headers, body)
    assert (found.kind, found.payment) == (NotificationKind.STORE, None)
    assert found.change is not None
    assert found.change.change is change


async def test_a_subscriptions_whole_life_is_told_in_our_words(main: Stand) -> None:
    payment = main.payment(product_id="com.paysaga.tea.monthly")
    first = await bought(main, "monthly", app_account_token=str(payment.id))
    number = {"transaction_id": first["transaction_id"], "notify": False}
    await do(main, "renew", **number)
    await do(main, "auto-renew", enabled=False, **number)
    await do(main, "auto-renew", enabled=True, **number)
    await do(main, "fail-renewal", grace=True, **number)
    await do(main, "end-grace", **number)
    await do(main, "renew", **number)
    await do(main, "extend", days=7, **number)
    await do(main, "expire", **number)
    words = [word for word in await told(main) if word.reference == payment.reference]
    assert [word.kind for word in words[:2]] == [NotificationKind.PAYMENT, NotificationKind.STORE]
    assert [word.change.change for word in words if word.change] == [
        Change.PURCHASED,
        Change.RENEWED,
        Change.RENEWAL_PREFERENCE,
        Change.RENEWAL_PREFERENCE,
        Change.GRACE,
        Change.BILLING_RETRY,
        Change.RENEWED,
        Change.EXTENDED,
        Change.EXPIRED,
    ]
    switched = [word.change.auto_renews for word in words[2:4] if word.change]
    assert switched == [False, True]
    assert words[4].change is not None
    assert words[4].change.grace_until is not None


async def test_a_refund_and_its_reversal_are_apples_own_words(main: Stand, store: Store) -> None:
    payment = await main.paid()
    number = (await provider_reference(main, payment.id))["provider_reference"]
    await do(main, "request-refund", transaction_id=number)
    await do(main, "refund", transaction_id=number, percentage=50_000, notify=False)
    refunded = await store.ask_purchase(number)
    assert (refunded.transaction_id, refunded.revoked_share) == (number, 50_000)
    await do(main, "reverse-refund", transaction_id=number, notify=False)
    assert (await store.ask_purchase(number)).revoked_share is None
    words = [word.change for word in await told(main) if word.reference == payment.reference]
    assert [word.change for word in words if word] == [
        Change.PURCHASED,
        Change.CONSUMPTION_REQUESTED,
        Change.REFUNDED,
        Change.REFUND_REVERSED,
    ]
    assert words[1] is not None
    assert words[1].reason == "UNINTENDED_PURCHASE"


async def test_a_families_purchase_is_shared_and_taken_back(main: Stand, store: Store) -> None:
    owner = await bought(main, "recipes")
    shared = await do(main, "family-share", transaction_id=owner["transaction_id"], notify=False)
    found = await store.ask_purchase(shared["transaction_id"])
    assert (found.ownership, found.token) == (Ownership.FAMILY_SHARED, None)
    await do(main, "family-revoke", transaction_id=shared["transaction_id"], notify=False)
    last = (await told(main))[-1].change
    assert last is not None
    assert last.change is Change.REVOKED


async def test_a_customers_whole_history_is_found_from_any_purchase(
    main: Stand, store: Store
) -> None:
    customer = "700000000000000042"
    sold = [await bought(main, customer=customer) for _ in range(23)]
    await bought(main, customer="700000000000000043")
    found: list[Purchase] = await store.find_purchases(sold[7]["transaction_id"])
    numbers = [one["transaction_id"] for one in sold]
    assert sorted(purchase.transaction_id for purchase in found) == sorted(numbers)


async def test_apple_hears_what_became_of_a_purchase(main: Stand, store: Store) -> None:
    number = (await bought(main))["transaction_id"]
    await store.send_consumption(number, Consumption(consumed=50_000))
    with pytest.raises(ProviderRejected) as caught:
        await store.send_consumption("2000000000000000", Consumption())
    assert caught.value.provider_code == "4040010"


async def test_ask_to_buy_is_money_only_once_a_parent_agrees(main: Stand) -> None:
    payment = main.payment()
    await bought(main, app_account_token=str(payment.id), ask_to_buy=True)
    assert (await main.provider.query(payment)).outcome is Outcome.NOT_FOUND
    assert (await main.provider.close(payment)).outcome is Outcome.CLOSED
    await do(main, "approve", reference=payment.reference, notify=False)
    assert (await main.provider.query(payment)).outcome is Outcome.PAID


async def test_a_busy_store_is_asked_again_at_its_own_time(main: Stand, store: Store) -> None:
    payment = await main.paid()
    await main.fault("query", "rate_limited", payment)
    with pytest.raises(ProviderUnavailable) as caught:
        await main.provider.query(payment)
    assert caught.value.retry_after is not None
    assert 1 <= caught.value.retry_after <= 60


async def test_a_store_that_does_not_know_our_key_is_no_verdict_on_the_payment(
    main: Stand,
) -> None:
    payment = await main.paid()
    await main.fault("query", "unauthorized", payment)
    with pytest.raises(ProviderUnavailable, match="401"):
        await main.provider.query(payment)
    assert (await main.provider.query(payment)).outcome is Outcome.PAID


async def test_a_store_whose_parts_do_not_agree_yet_is_asked_again(
    main: Stand, store: Store
) -> None:
    sold = await bought(main)
    for fault, error in (("not_found", ProviderRejected), ("error_code", ProviderUnavailable)):
        content = {"provider": "apple_iap", "operation": "query", "kind": fault}
        content |= {"reference": sold["transaction_id"]}
        assert (await main.control.post("/_sandbox/faults", json=content)).is_success
        with pytest.raises(error):
            await store.ask_purchase(sold["transaction_id"])
    assert (await store.ask_purchase(sold["transaction_id"])).test


async def test_another_key_is_not_the_apps(make_stand: Make, main: Stand) -> None:
    payment = await main.paid()
    for change in ({"key_id": "ABCDEFGHIJ"}, {"issuer_id": "nobody"}, {"bundle_id": "com.other"}):
        stranger = make_stand(AppleIapHarness(), "main", **change)
        with pytest.raises(ProviderUnavailable, match="401"):
            await stranger.provider.query(payment)


async def test_a_token_of_an_hour_ago_opens_nothing(make_stand: Make, main: Stand) -> None:
    payment = await main.paid()
    late = make_stand(AppleIapHarness(), "main", clock=lambda: main.time() - timedelta(hours=1))
    with pytest.raises(ProviderUnavailable, match="401"):
        await late.provider.query(payment)
