from typing import Any
from uuid import uuid4

import pytest

from domain.errors import InvalidSignature
from domain.notification import NotificationKind
from domain.store_change import Change
from providers.apple_iap.provider import AppleIapProvider
from tests.providers.apple_iap.appstore import NOW, FakeAppStore, ms
from tests.providers.apple_iap.conftest import Order


async def test_what_the_app_brings_is_read_like_what_the_store_sends(
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
