from datetime import timedelta
from typing import Any

import pytest

from domain.errors import InvalidSignature
from domain.notification import NotificationKind
from domain.product import ProductType
from domain.purchase import Ownership
from domain.report import Attention, Outcome
from domain.store_change import Change
from providers.apple_iap.provider import AppleIapProvider
from tests.providers.apple_iap.appstore import NOW, TOKEN, FakeAppStore, hear, hear_change, ms
from tests.providers.apple_iap.conftest import Order

LATER = NOW + timedelta(days=30)


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
async def test_what_no_payment_of_ours_can_have_bought_is_a_report_of_the_store(
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
    found = (await hear_change(provider, store.message(signedTransactionInfo=transaction))).purchase
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
        found = await hear_change(provider, signed)
        assert (found.change, found.auto_renews) == (Change.GRACE, expected)
        assert (found.grace_until, found.raw_type) == (LATER, "DID_FAIL_TO_RENEW/GRACE_PERIOD")
        assert found.signed_at == NOW


async def test_a_refund_is_a_report_of_the_store_about_that_transaction(
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
    found = await hear_change(provider, store.message("REVOKE", signedTransactionInfo=transaction))
    assert found.change is Change.REVOKED
    assert found.purchase is not None
    assert found.purchase.revoked_share is None


async def test_a_consumption_request_says_why(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    signed = store.message("CONSUMPTION_REQUEST", consumptionRequestReason="UNINTENDED_PURCHASE")
    found = await hear_change(provider, signed)
    assert found.change is Change.CONSUMPTION_REQUESTED
    assert found.reason == "UNINTENDED_PURCHASE"


@pytest.mark.parametrize(
    ("kind", "subtype"),
    [("BRAND_NEW", None), ("BRAND_NEW", "TOO"), ("TEST", None), ("METADATA_UPDATE", None)],
)
async def test_a_report_that_is_new_to_us_is_kept_and_changes_nothing(
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
        found = await hear_change(provider, store.message(kind, signedTransactionInfo=None))
        assert (found.change, found.purchase) == (Change.RECORDED, None)


@pytest.mark.parametrize("place", ["summary", "externalPurchaseToken", "appData", "newPlace"])
async def test_a_message_may_be_about_something_else_than_a_transaction(
    provider: AppleIapProvider, store: FakeAppStore, place: str
) -> None:
    envelope = store.envelope("NEW")
    about = {place: {"bundleId": "com.example.tea"}}
    found = await hear(provider, store.signer.sign(envelope | about))
    assert (found.kind, found.reference) == (NotificationKind.STORE, "")
    if place != "newPlace":
        foreign = {place: {"bundleId": "com.example.coffee"}}
        told = await hear(provider, store.signer.sign(envelope | foreign))
        assert (told.is_foreign, told.change) == (True, None)
