import json
from typing import Any

import pytest

from domain.errors import InvalidSignature, Unreadable
from domain.report import Attention
from providers.apple_iap.provider import AppleIapProvider
from tests.providers.apple_iap.appstore import (
    BUNDLE,
    FakeAppStore,
    Keys,
    Signer,
    hear,
    hear_change,
)


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


async def test_any_other_report_about_another_app_is_marked(
    provider: AppleIapProvider, store: FakeAppStore
) -> None:
    foreign = store.transaction(bundleId="com.example.coffee")
    for data in ({"bundleId": "com.example.coffee"}, {"signedTransactionInfo": foreign}):
        told = await hear(provider, store.message("REFUND", **data))
        assert (told.is_foreign, told.change, told.payment) == (True, None, None)


@pytest.mark.parametrize("environment", ["Xcode", "LocalTesting", "Production", "", "sandbox"])
async def test_another_environments_report_counts_for_nothing(
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


async def test_production_reads_sandbox_purchases_and_marks_them_as_test(
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
        found = await hear_change(production, signed)
        assert found.purchase is not None
        assert found.purchase.test is test


@pytest.mark.parametrize("environment", ["Xcode", "LocalTesting"])
async def test_production_rejects_what_is_made_on_a_developers_machine(
    production: AppleIapProvider, store: FakeAppStore, environment: str
) -> None:
    with pytest.raises(InvalidSignature, match="counts for nothing"):
        await production.verify_purchase(store.transaction(environment=environment))


async def test_productions_report_names_our_apps_number(
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
async def test_a_transaction_that_is_not_as_documented_is_rejected(
    provider: AppleIapProvider, store: FakeAppStore, changes: dict[str, Any]
) -> None:
    with pytest.raises(InvalidSignature, match=f"documented form: {next(iter(changes))}"):
        await provider.verify_purchase(store.transaction(**changes))


@pytest.mark.parametrize("missing", ["notificationType", "notificationUUID"])
async def test_a_message_without_its_name_or_number_is_rejected(
    provider: AppleIapProvider, store: FakeAppStore, missing: str
) -> None:
    envelope = store.envelope("TEST", data={"environment": "Sandbox", "bundleId": BUNDLE})
    del envelope[missing]
    with pytest.raises(Unreadable, match=missing):
        await hear(provider, store.signer.sign(envelope))


@pytest.mark.parametrize("missing", ["notificationType", "notificationUUID"])
@pytest.mark.parametrize("data", [{}, {"bundleId": "com.example.coffee"}])
async def test_what_names_no_app_of_ours_never_calls_an_operator(
    provider: AppleIapProvider, store: FakeAppStore, missing: str, data: dict[str, str]
) -> None:
    """Apple signs it all: every buyer in the world holds a transaction of some app."""
    envelope = store.envelope("TEST", data={"environment": "Sandbox"} | data)
    del envelope[missing]
    of_another_app = store.transaction(bundleId="com.example.coffee")
    for signed in (store.signer.sign(envelope), of_another_app, store.transaction()):
        with pytest.raises(InvalidSignature) as refused:
            await hear(provider, signed)
        assert not isinstance(refused.value, Unreadable)


@pytest.mark.parametrize(
    "posted",
    [b"", b"{}", b"[]", b'{"signedPayload":1}', b"\xff", b'{"signedPayload":"' + b"a" * 300_000],
)
async def test_a_body_that_executes_nothing_signed_is_rejected(
    provider: AppleIapProvider, posted: bytes
) -> None:
    with pytest.raises(InvalidSignature):
        await provider.parse_notification({}, posted)
