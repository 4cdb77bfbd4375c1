"""Apple's App Store Server Library against the sandbox.

Usage: check.py MANIFEST.
"""

import sys
import time
import uuid
from collections.abc import Callable
from pathlib import Path

import requests
from appstoreserverlibrary.api_client import (
    APIError,
    APIException,
    GetTransactionHistoryVersion,
)
from appstoreserverlibrary.models.ConsumptionRequest import ConsumptionRequest
from appstoreserverlibrary.models.DeliveryStatus import DeliveryStatus
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.models.ExtendReasonCode import ExtendReasonCode
from appstoreserverlibrary.models.ExtendRenewalDateRequest import ExtendRenewalDateRequest
from appstoreserverlibrary.models.NotificationHistoryRequest import NotificationHistoryRequest
from appstoreserverlibrary.models.NotificationTypeV2 import NotificationTypeV2
from appstoreserverlibrary.models.OrderLookupStatus import OrderLookupStatus
from appstoreserverlibrary.models.RevocationType import RevocationType
from appstoreserverlibrary.models.SendAttemptResult import SendAttemptResult
from appstoreserverlibrary.models.Status import Status
from appstoreserverlibrary.models.Subtype import Subtype
from appstoreserverlibrary.models.TransactionHistoryRequest import (
    ProductType,
    TransactionHistoryRequest,
)
from appstoreserverlibrary.models.UpdateAppAccountTokenRequest import UpdateAppAccountTokenRequest
from appstoreserverlibrary.signed_data_verifier import VerificationException, VerificationStatus
from oracle import Receiver, Sandbox, check, holds, same
from sdk import client, verifier
from store import COINS, MONTHLY, RECIPES, YEARLY, Store

WRONG_KEYS = ("unsigned", "alg_hs256", "bad_signature", "tamper_body", "foreign_key")
WRONG_CHAINS = (
    "foreign_ca",
    "leaf_without_oid",
    "intermediate_without_oid",
    "two_certificates",
    "expired_certificate",
)


def refused(action: Callable[[], object], *statuses: VerificationStatus) -> None:
    """Raise unless the library refuses with one of these."""
    try:
        action()
    except VerificationException as error:
        holds(error.status in statuses, error.status)
        return
    raise AssertionError("the library believed it")


def failure(action: Callable[[], object]) -> APIException:
    """What the API answers; raises unless it is a refusal."""
    try:
        action()
    except APIException as error:
        return error
    raise AssertionError("the call was not refused")


def check_words(store: Store) -> None:
    """The strict verifier believes what is genuine and nothing else."""
    token = str(uuid.uuid4())
    number = store.buy(app_account_token=token, quantity=2)
    with check("a signed transaction verifies, strictly, by the public constructor"):
        held = store.act("jws", transaction_id=number)["signed_transaction"]
        claims = store.words.verify_and_decode_signed_transaction(held)
        same((claims.transactionId, claims.appAccountToken), (number, token))
        same((claims.quantity, claims.productId, claims.rawType), (2, COINS, "Consumable"))
        same((claims.price, claims.currency, claims.rawEnvironment), (6000, "CNY", "Sandbox"))
    with check("signed renewal info verifies"):
        held = store.act("jws", transaction_id=store.buy(MONTHLY))["signed_renewal"]
        claims = store.words.verify_and_decode_renewal_info(held)
        same((claims.autoRenewProductId, claims.rawAutoRenewStatus), (MONTHLY, 1))
    for flaw in (*WRONG_KEYS, *WRONG_CHAINS):
        with check(f"refused: {flaw}"):
            held = store.act("jws", transaction_id=number, flaw=flaw)["signed_transaction"]
            refused(
                lambda text=held: store.words.verify_and_decode_signed_transaction(text),
                VerificationStatus.VERIFICATION_FAILURE,
                VerificationStatus.INVALID_CERTIFICATE,
                VerificationStatus.INVALID_CHAIN,
                VerificationStatus.INVALID_CHAIN_LENGTH,
            )
    for flaw, status in (
        ("foreign_app", VerificationStatus.INVALID_APP_IDENTIFIER),
        ("wrong_environment", VerificationStatus.INVALID_ENVIRONMENT),
    ):
        with check(f"refused by its claims: {flaw}"):
            held = store.act("jws", transaction_id=number, flaw=flaw)["signed_transaction"]
            refused(
                lambda text=held: store.words.verify_and_decode_signed_transaction(text), status
            )


def check_lookups(store: Store) -> None:
    """Every question about transactions."""
    with check("transaction info, and an unknown number"):
        same(store.transaction(store.buy()).productId, COINS)
        found = failure(lambda: store.api.get_transaction_info("20999999999999"))
        same((found.http_status_code, found.api_error), (404, APIError.TRANSACTION_ID_NOT_FOUND))
    with check("history v2: three pages, each transaction verified"):
        bought = [store.buy(customer="oracle") for _ in range(41)]
        same([item.transactionId for item in store.history(bought[5])], bought)
    with check("history v2: filters, v1 without finished consumables"):
        number = store.buy(RECIPES, customer="oracle")
        wanted = TransactionHistoryRequest(productTypes=[ProductType.NON_CONSUMABLE], revoked=False)
        same([item.transactionId for item in store.history(number, wanted)], [number])
        store.api.finish_transaction(bought[0])
        first = store.history(number, version=GetTransactionHistoryVersion.V1)[0]
        same(first.transactionId, bought[1])


def check_other_lookups(store: Store) -> None:
    """Subscriptions, invoices and the app itself."""
    with check("subscription statuses, with both signed parts"):
        number = store.buy(MONTHLY)
        store.act("fail-renewal", transaction_id=number, grace=True, notify=False)
        [group] = store.api.get_all_subscription_statuses(
            number, [Status.BILLING_GRACE_PERIOD]
        ).data
        [item] = group.lastTransactions
        same((item.status, item.originalTransactionId), (Status.BILLING_GRACE_PERIOD, number))
        holds(store.words.verify_and_decode_renewal_info(item.signedRenewalInfo))
    with check("the number on an invoice, known and unknown"):
        order_id = store.order_id(number)
        found = store.api.look_up_order_id(order_id)
        same((found.status, len(found.signedTransactions)), (OrderLookupStatus.VALID, 1))
        same(store.api.look_up_order_id("MNOTHING").status, OrderLookupStatus.INVALID)
    with check("the app transaction verifies"):
        answer = store.api.get_app_transaction_info(number)
        claims = store.words.verify_and_decode_app_transaction(answer.signedAppTransactionInfo)
        same(claims.bundleId, "com.paysaga.tea")


def check_changes(store: Store) -> None:
    """What the developer tells Apple."""
    with check("consumption information, with and without consent"):
        number = store.buy()
        body = ConsumptionRequest(
            True, False, DeliveryStatus.DELIVERED, consumptionPercentage=40_000
        )
        store.api.send_consumption_information(number, body)
        body.customerConsented = False
        found = failure(lambda: store.api.send_consumption_information(number, body))
        same(found.api_error, APIError.INVALID_CUSTOMER_CONSENTED)
    with check("the app account token can be set later"):
        token = str(uuid.uuid4())
        store.api.set_app_account_token(number, UpdateAppAccountTokenRequest(token))
        same(store.transaction(number).appAccountToken, token)
    with check("a subscription is extended, coins are not"):
        reason = ExtendReasonCode.CUSTOMER_SATISFACTION
        body = ExtendRenewalDateRequest(5, reason, str(uuid.uuid4()))
        subscription = store.buy(MONTHLY)
        holds(store.api.extend_subscription_renewal_date(subscription, body).success)
        found = failure(lambda: store.api.extend_subscription_renewal_date(number, body))
        same(found.api_error, APIError.SUBSCRIPTION_EXTENSION_INELIGIBLE)


def check_refunds(store: Store) -> None:
    """Apple gives money back, and takes it again."""
    number = store.buy()
    with check("a prorated refund is on the transaction, in the refund history, and reversed"):
        store.act("refund", transaction_id=number, percentage=50_000, notify=False)
        claims = store.transaction(number)
        same(
            (claims.revocationType, claims.revocationPercentage),
            (RevocationType.REFUND_PRORATED, 50_000),
        )
        same(len(store.api.get_refund_history(number, None).signedTransactions), 1)
        store.act("reverse-refund", transaction_id=number, notify=False)
        same(store.transaction(number).revocationDate, None)
        same(store.api.get_refund_history(number, None).signedTransactions, [])


def check_notifications(store: Store) -> None:
    """What is pushed, and what can be looked up later."""
    section = store.sandbox.manifest["apple_iap"]
    address = {"notification_url": store.receiver.url}
    requests.post(section["apps"]["main"]["settings_url"], json=address, timeout=10)
    with check("a one-time charge: outside and inside verify"):
        number = store.act("buy", product_id=COINS)["transaction_id"]
        told = store.told()
        same(told.notificationType, NotificationTypeV2.ONE_TIME_CHARGE)
        same(store.inside(told).transactionId, number)
    with check("a subscription's life: bought, renewed, upgraded, failed, expired, refunded"):
        first = store.act("buy", product_id=MONTHLY)["transaction_id"]
        for deed, more in (
            ("renew", {}),
            ("change-plan", {"product_id": YEARLY}),
            ("fail-renewal", {"grace": True}),
            ("expire", {"reason": "BILLING_RETRY"}),
            ("refund", {}),
        ):
            store.act(deed, transaction_id=first, **more)
        kinds = [(item.notificationType, item.subtype) for item in store.all_told(6)]
        same(
            kinds,
            [
                (NotificationTypeV2.SUBSCRIBED, Subtype.INITIAL_BUY),
                (NotificationTypeV2.DID_RENEW, None),
                (NotificationTypeV2.DID_CHANGE_RENEWAL_PREF, Subtype.UPGRADE),
                (NotificationTypeV2.DID_FAIL_TO_RENEW, Subtype.GRACE_PERIOD),
                (NotificationTypeV2.EXPIRED, Subtype.BILLING_RETRY),
                (NotificationTypeV2.REFUND, None),
            ],
        )


def check_strange_notifications(store: Store) -> None:
    """What is not as it always is: unknown, half forged, lost, or a test."""
    number, begun = store.buy(), int(time.time() * 1000) - 60_000
    with check("a type that nobody knows keeps its name"):
        store.act("notify", type="BRAND_NEW", transaction_id=number)
        told = store.told()
        same((told.notificationType, told.rawNotificationType), (None, "BRAND_NEW"))
    with check("a transaction by a foreign authority inside a genuine notification is refused"):
        fault = {"provider": "apple_iap", "operation": "notify", "kind": "nested_foreign_ca"}
        store.sandbox.do("faults", **fault)
        store.act("notify", type="REFUND", transaction_id=number)
        told = store.told()
        refused(lambda: store.inside(told), VerificationStatus.VERIFICATION_FAILURE)
    with check("the history of notifications, with how sending went"):
        lost = store.buy()
        wanted = NotificationHistoryRequest(
            startDate=begun, endDate=int(time.time() * 1000) + 60_000, transactionId=lost
        )
        [item] = store.api.get_notification_history(None, wanted).notificationHistory
        told = store.words.verify_and_decode_notification(item.signedPayload)
        same(store.inside(told).transactionId, lost)
        same(item.sendAttempts[0].sendAttemptResult, SendAttemptResult.NO_RESPONSE)
    with check("a test notification is sent and followed"):
        token = store.api.request_test_notification().testNotificationToken
        same(store.told().notificationType, NotificationTypeV2.TEST)
        holds(store.api.get_test_notification_status(token).signedPayload)


def check_refusals(store: Store) -> None:
    """Who is not the developer gets an empty 401; who asks too often is told so."""
    number = store.buy()
    for name, change in (
        ("key id", {"key_id": "0000000000"}),
        ("issuer", {"issuer_id": str(uuid.uuid4())}),
        ("bundle", {"bundle_id": "com.example.another"}),
    ):
        with check(f"another {name} gets an empty 401"):
            stranger = client(store.sandbox, **change)
            found = failure(lambda api=stranger: api.get_transaction_info(number))
            same((found.http_status_code, found.raw_api_error), (401, None))
    for kind, error in (
        ("rate_limited", APIError.RATE_LIMIT_EXCEEDED),
        ("system_error", APIError.GENERAL_INTERNAL_RETRYABLE),
        ("server_error", APIError.GENERAL_INTERNAL),
        ("not_found", APIError.TRANSACTION_ID_NOT_FOUND),
    ):
        with check(f"{kind} is read as {error.name}"):
            store.sandbox.do("faults", provider="apple_iap", operation="query", kind=kind)
            same(failure(lambda: store.api.get_transaction_info(number)).api_error, error)
    with check("a production purchase is found at production alone, and verifies there"):
        number = store.buy(environment="Production")
        found = failure(lambda: store.api.get_transaction_info(number))
        same(found.api_error, APIError.TRANSACTION_ID_NOT_FOUND)
        answer = client(store.sandbox, Environment.PRODUCTION).get_transaction_info(number)
        words = verifier(store.sandbox, Environment.PRODUCTION)
        holds(words.verify_and_decode_signed_transaction(answer.signedTransactionInfo))


def main() -> None:
    """Every check."""
    with Receiver(status=200, body=b"") as receiver:
        store = Store(Sandbox(Path(sys.argv[1])), receiver)
        check_words(store)
        check_lookups(store)
        check_other_lookups(store)
        check_changes(store)
        check_refunds(store)
        check_notifications(store)
        check_strange_notifications(store)
        check_refusals(store)


if __name__ == "__main__":
    main()
