import json
from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import uuid4

import pytest

from domain.errors import InvalidSignature
from domain.notification import Notification, NotificationKind
from domain.product import ProductType
from domain.purchase import Ownership
from domain.report import Attention, Outcome
from domain.store_change import Change, StoreChange
from providers.apple_iap.provider import AppleIapProvider
from tests.providers.apple_iap.appstore import NOW, TOKEN, FakeAppStore, Keys, Signer, body, ms
from tests.providers.apple_iap.conftest import Order

LATER = NOW + timedelta(days=30)


async def hear(provider: AppleIapProvider, signed: str) -> Notification:
    return await provider.parse_notification({}, body(signed))


async def change(provider: AppleIapProvider, signed: str) -> StoreChange:
    found = (await hear(provider, signed)).change
    assert found is not None
    return found


@pytest.fixture
def production(
    store: FakeAppStore, account: dict[str, Any], keys: Keys, monkeypatch: pytest.MonkeyPatch
) -> AppleIapProvider:
    """A production account, in a world where our root is Apple's."""
    pin = sha256(keys.root_der).digest()
    monkeypatch.setattr("providers.apple_iap.verifier.APPLE_ROOT_G3", pin)
    changes = {"environment": "Production", "app_apple_id": 1234567890, "root_certificate": None}
    return store.provider(account | changes)


async def test_a_purchase_with_our_token_pays_our_payment(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    found = await hear(provider, store.message())
    assert found.kind is NotificationKind.PAYMENT
    assert (found.provider, found.account) == ("apple_iap", "main")
    assert found.notification_id == "002e14d5-51f5-4503-b5a8-c3a1af68eb20"
    assert found.reference == payment().reference
    assert found.payment is not None
    assert found.payment.outcome is Outcome.PAID
    assert payment().mismatch(found.payment) is None
    assert found.payment.provider_reference == "2000000000000001"
    assert found.payment.paid_at == NOW
    assert found.payment.raw_status == "ONE_TIME_CHARGE"
    assert found.change is not None
    assert found.change.change is Change.PURCHASED
    assert found.change.purchase == found.payment.purchase


async def test_another_product_or_another_number_of_it_does_not_fit_the_payment(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    for changes in ({"productId": "tea.credits.1000"}, {"quantity": 3}):
        signed = store.message(signedTransactionInfo=store.transaction(**changes))
        found = await hear(provider, signed)
        assert found.payment is not None
        assert payment().mismatch(found.payment) is Attention.PRODUCT_MISMATCH


async def test_the_token_is_ours_in_any_spelling(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    transaction = store.transaction(appAccountToken=str(TOKEN).upper())
    found = await hear(provider, store.message(signedTransactionInfo=transaction))
    assert (found.kind, found.reference) == (NotificationKind.PAYMENT, payment().reference)


@pytest.mark.parametrize(
    "changes",
    [
        {"appAccountToken": None},
        {"appAccountToken": ""},
        {"appAccountToken": "customer-17"},
        {"inAppOwnershipType": "FAMILY_SHARED", "appAccountToken": None},
        {"inAppOwnershipType": "FAMILY_SHARED"},
        {"transactionReason": "RENEWAL"},
    ],
)
async def test_what_no_payment_of_ours_can_have_bought_is_a_word_of_the_store(
    provider: AppleIapProvider, store: FakeAppStore, changes: dict[str, Any]
) -> None:
    transaction = store.transaction(**changes)
    found = await hear(provider, store.message(signedTransactionInfo=transaction))
    assert (found.kind, found.payment) == (NotificationKind.STORE, None)
    assert found.change is not None
    assert found.change.purchase is not None
    token = found.change.purchase.token
    assert found.reference == (token.hex if token else "")


async def test_all_that_a_transaction_says_is_kept(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    transaction = store.transaction(
        transactionId="2000000000000009",
        type="Auto-Renewable Subscription",
        expiresDate=ms(LATER),
        revocationDate=ms(NOW + timedelta(days=1)),
        revocationPercentage=40_000,
        revocationType="REFUND_PRORATED",
        isUpgraded=True,
        transactionReason="RENEWAL",
        inAppOwnershipType="FAMILY_SHARED",
        quantity=2,
        signedDate=ms(NOW + timedelta(seconds=1.5)),
    )
    found = (await change(provider, store.message(signedTransactionInfo=transaction))).purchase
    assert found is not None
    assert (found.transaction_id, found.original_transaction_id) == (
        "2000000000000009",
        "2000000000000001",
    )
    assert found.product_type is ProductType.SUBSCRIPTION
    assert (found.purchased_at, found.expires_at) == (NOW, LATER)
    assert found.signed_at == NOW + timedelta(seconds=1.5)
    assert (found.revoked_at, found.revoked_share) == (NOW + timedelta(days=1), 40_000)
    assert (found.upgraded, found.renewal, found.test) == (True, True, True)
    assert (found.ownership, found.quantity) == (Ownership.FAMILY_SHARED, 2)
    assert (found.price, found.currency, found.storefront) == (6000, "CNY", "CHN")


async def test_an_old_transaction_may_say_less(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    gone = ("quantity", "inAppOwnershipType", "transactionReason", "price", "currency")
    transaction = store.transaction(**dict.fromkeys((*gone, "storefront", "appTransactionId")))
    found = await hear(provider, store.message(signedTransactionInfo=transaction))
    assert found.payment is not None
    assert found.payment.purchase is not None
    assert (found.payment.purchase.price, found.payment.quantity) == (None, 1)


async def test_a_subscriptions_renewal_says_how_it_will_go_on(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    for status, expected in ((1, True), (0, False), (None, None)):
        renewal = store.renewal(autoRenewStatus=status, gracePeriodExpiresDate=ms(LATER))
        signed = store.message("DID_FAIL_TO_RENEW", "GRACE_PERIOD", signedRenewalInfo=renewal)
        found = await change(provider, signed)
        assert (found.change, found.auto_renews) == (Change.GRACE, expected)
        assert (found.grace_until, found.raw_type) == (LATER, "DID_FAIL_TO_RENEW/GRACE_PERIOD")
        assert found.signed_at == NOW


async def test_a_refund_is_a_word_of_the_store_about_that_transaction(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    for percentage, share in ((None, 100_000), (100_000, 100_000), (25_000, 25_000), (-1, 100_000)):
        transaction = store.transaction(
            revocationDate=ms(NOW), revocationReason=0, revocationPercentage=percentage
        )
        found = await hear(provider, store.message("REFUND", signedTransactionInfo=transaction))
        assert (found.kind, found.reference) == (NotificationKind.STORE, TOKEN.hex)
        assert found.change is not None
        assert found.change.change is Change.REFUNDED
        assert found.change.purchase is not None
        assert found.change.purchase.revoked_share == share


async def test_the_end_of_family_sharing_gives_no_money_back(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    transaction = store.transaction(
        inAppOwnershipType="FAMILY_SHARED", revocationDate=ms(NOW), revocationType="FAMILY_REVOKE"
    )
    found = await change(provider, store.message("REVOKE", signedTransactionInfo=transaction))
    assert found.change is Change.REVOKED
    assert found.purchase is not None
    assert found.purchase.revoked_share is None


async def test_a_consumption_request_says_why(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    signed = store.message("CONSUMPTION_REQUEST", consumptionRequestReason="UNINTENDED_PURCHASE")
    found = await change(provider, signed)
    assert found.change is Change.CONSUMPTION_REQUESTED
    assert found.reason == "UNINTENDED_PURCHASE"


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("BRAND_NEW", None), ("BRAND_NEW", "TOO"), ("TEST", None), ("METADATA_UPDATE", None)],
)
async def test_a_word_that_is_new_to_us_is_kept_and_changes_nothing(
    provider: AppleIapProvider, store: FakeAppStore, kind: str, subtype: str | None
) -> None:
    found = await hear(provider, store.message(kind, subtype))
    assert found.kind is NotificationKind.STORE
    assert found.change is not None
    assert found.change.change is Change.RECORDED
    assert found.change.raw_type.startswith(kind)


@pytest.mark.parametrize(
    "changes", [{"type": "Rental"}, {"inAppOwnershipType": "LENT"}, {"type": "consumable"}]
)
async def test_a_transaction_of_a_new_kind_is_kept_and_grants_nothing(
    provider: AppleIapProvider, store: FakeAppStore, changes: dict[str, Any]
) -> None:
    transaction = store.transaction(**changes)
    found = await hear(provider, store.message(signedTransactionInfo=transaction))
    assert (found.kind, found.reference) == (NotificationKind.STORE, "")
    assert found.change is not None
    assert (found.change.change, found.change.purchase) == (Change.RECORDED, None)
    with pytest.raises(InvalidSignature, match="nothing that we could grant"):
        await provider.verify_purchase(transaction)


async def test_a_change_of_nothing_that_is_named_is_only_kept(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    for kind in ("REFUND", "ONE_TIME_CHARGE", "EXPIRED", "TEST"):
        found = await change(provider, store.message(kind, signedTransactionInfo=None))
        assert (found.change, found.purchase) == (Change.RECORDED, None)


@pytest.mark.parametrize("place", ["summary", "externalPurchaseToken", "appData", "newPlace"])
async def test_a_message_may_be_about_something_else_than_a_transaction(
    provider: AppleIapProvider, store: FakeAppStore, place: str
) -> None:
    about = {"bundleId": "com.example.tea"}
    found = await hear(provider, store.signer.sign(store.envelope("NEW", **{place: about})))
    assert (found.kind, found.reference) == (NotificationKind.STORE, "")
    if place != "newPlace":
        foreign = store.envelope("NEW", **{place: {"bundleId": "com.example.coffee"}})
        with pytest.raises(InvalidSignature, match="another app"):
            await hear(provider, store.signer.sign(foreign))


async def test_a_sale_in_another_app_parks_the_payment_and_changes_nothing(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    foreign = store.transaction(bundleId="com.example.coffee")
    for data in (
        {"bundleId": "com.example.coffee"},
        {"signedTransactionInfo": foreign},
        {"signedTransactionInfo": foreign, "bundleId": "com.example.coffee"},
    ):
        found = await hear(provider, store.message(**data))
        assert found.mismatch is Attention.ACCOUNT_MISMATCH
        assert found.change is None


async def test_any_other_word_about_another_app_is_refused(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    foreign = store.transaction(bundleId="com.example.coffee")
    for data in ({"bundleId": "com.example.coffee"}, {"signedTransactionInfo": foreign}):
        with pytest.raises(InvalidSignature, match="another app"):
            await hear(provider, store.message("REFUND", **data))


@pytest.mark.parametrize("environment", ["Xcode", "LocalTesting", "Production", "", "sandbox"])
async def test_another_environments_word_counts_for_nothing(
    provider: AppleIapProvider, store: FakeAppStore, environment: str
) -> None:
    transaction = store.transaction(environment=environment)
    for signed in (
        store.message(environment=environment),
        store.message(environment=environment, signedTransactionInfo=transaction),
        store.message(signedTransactionInfo=transaction),
        store.message("EXPIRED", signedRenewalInfo=store.renewal(environment=environment)),
        store.signer.sign(store.envelope("NEW", summary={"environment": environment or "?"})),
    ):
        with pytest.raises(InvalidSignature):
            await hear(provider, signed)
    with pytest.raises(InvalidSignature):
        await provider.verify_purchase(transaction)


async def test_production_takes_sandbox_purchases_and_marks_them_as_test(
    production: AppleIapProvider, store: FakeAppStore
) -> None:
    real = store.transaction(environment="Production")
    for environment, transaction, test in (
        ("Sandbox", store.transaction(), True),
        ("Production", real, False),
    ):
        signed = store.message(
            environment=environment, signedTransactionInfo=transaction, appAppleId=1234567890
        )
        found = await change(production, signed)
        assert found.purchase is not None
        assert found.purchase.test is test


@pytest.mark.parametrize("environment", ["Xcode", "LocalTesting"])
async def test_production_refuses_what_is_made_on_a_developers_machine(
    production: AppleIapProvider, store: FakeAppStore, environment: str
) -> None:
    with pytest.raises(InvalidSignature, match="counts for nothing"):
        await production.verify_purchase(store.transaction(environment=environment))


async def test_production_may_be_told_to_refuse_sandbox_purchases(
    production: AppleIapProvider, store: FakeAppStore, account: dict[str, Any]
) -> None:
    changes = {"environment": "Production", "app_apple_id": 1, "root_certificate": None}
    strict = store.provider(account | changes | {"takes_sandbox": False})
    with pytest.raises(InvalidSignature, match="'Sandbox' counts for nothing"):
        await strict.verify_purchase(store.transaction())


async def test_productions_word_names_our_apps_number(
    production: AppleIapProvider, store: FakeAppStore
) -> None:
    transaction = store.transaction(environment="Production")
    for number in (None, 1):
        signed = store.message(
            environment="Production", signedTransactionInfo=transaction, appAppleId=number
        )
        assert (await hear(production, signed)).mismatch is Attention.ACCOUNT_MISMATCH


async def test_a_message_and_its_transaction_are_of_one_environment(
    production: AppleIapProvider, store: FakeAppStore
) -> None:
    signed = store.message(environment="Production", appAppleId=1234567890)
    with pytest.raises(InvalidSignature, match="two environments"):
        await hear(production, signed)


async def test_a_text_inside_is_believed_by_its_own_signature_alone(
    provider: AppleIapProvider, store: FakeAppStore, keys: Keys
) -> None:
    stranger = FakeAppStore(keys, Signer(keys.api, keys.signer().chain))
    unmarked = FakeAppStore(keys, keys.signer(marks=()))
    for other in (stranger, unmarked):
        for data in (
            {"signedTransactionInfo": other.transaction()},
            {"signedRenewalInfo": other.renewal()},
            {"signedTransactionInfo": "a.b.c"},
            {"signedTransactionInfo": json.dumps(store.payload())},
        ):
            with pytest.raises(InvalidSignature):
                await hear(provider, store.message("DID_RENEW", **data))
        with pytest.raises(InvalidSignature):
            await hear(provider, other.message(signedTransactionInfo=store.transaction()))
        with pytest.raises(InvalidSignature):
            await provider.verify_purchase(other.transaction())


@pytest.mark.parametrize(
    "changes",
    [
        {"transactionId": None},
        {"transactionId": ""},
        {"transactionId": 5},
        {"quantity": 0},
        {"quantity": "1"},
        {"purchaseDate": "2026-01-01"},
        {"purchaseDate": None},
        {"revocationDate": -5},
        {"productId": None},
    ],
)
async def test_a_transaction_that_is_not_as_documented_is_refused(
    provider: AppleIapProvider, store: FakeAppStore, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidSignature, match=f"documented form: {next(iter(changes))}"):
        await provider.verify_purchase(store.transaction(**changes))


@pytest.mark.parametrize("missing", ["notificationType", "notificationUUID"])
async def test_a_message_without_its_name_or_number_is_refused(
    provider: AppleIapProvider, store: FakeAppStore, missing: str
) -> None:
    envelope = store.envelope("TEST", data={"environment": "Sandbox"})
    del envelope[missing]
    with pytest.raises(InvalidSignature, match=missing):
        await hear(provider, store.signer.sign(envelope))


@pytest.mark.parametrize(
    "posted",
    [b"", b"{}", b"[]", b'{"signedPayload":1}', b"\xff", b'{"signedPayload":"' + b"a" * 300_000],
)
async def test_a_body_that_carries_nothing_signed_is_refused(
    provider: AppleIapProvider, posted: bytes
) -> None:
    with pytest.raises(InvalidSignature):
        await provider.parse_notification({}, posted)


async def test_what_the_app_brings_is_read_like_what_the_store_tells(
    provider: AppleIapProvider, store: FakeAppStore, payment: Order
) -> None:
    signed = store.transaction()
    found = await provider.verify_purchase(signed)
    assert found == await provider.verify_purchase(signed)
    assert (found.kind, found.reference) == (NotificationKind.PAYMENT, payment().reference)
    assert found.payment is not None
    assert payment().mismatch(found.payment) is None
    again = await provider.verify_purchase(store.transaction(signedDate=ms(NOW) + 1))
    assert again.notification_id != found.notification_id


@pytest.mark.parametrize(
    ("changes", "expected"),
    [
        ({}, Change.PURCHASED),
        ({"isUpgraded": True}, Change.PURCHASED),
        ({"transactionReason": "RENEWAL"}, Change.RENEWED),
        ({"revocationDate": ms(NOW)}, Change.REFUNDED),
        ({"revocationDate": ms(NOW), "inAppOwnershipType": "FAMILY_SHARED"}, Change.REVOKED),
    ],
)
async def test_what_the_app_brings_says_what_has_become_of_it(
    provider: AppleIapProvider, store: FakeAppStore, changes: dict[str, Any], expected: Change
) -> None:
    found = await provider.verify_purchase(store.transaction(**changes))
    assert found.change is not None
    assert (found.change.change, found.change.signed_at) == (expected, NOW)


async def test_a_purchase_in_another_app_is_not_taken_from_a_buyers_hand(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    with pytest.raises(InvalidSignature, match="another app"):
        await provider.verify_purchase(store.transaction(bundleId="com.example.coffee"))


async def test_another_payments_token_names_that_payment(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    other = uuid4()
    found = await provider.verify_purchase(store.transaction(appAccountToken=str(other)))
    assert found.reference == other.hex
