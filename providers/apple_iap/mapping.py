"""Between the App Store's words and ours. Pure: words and their meaning, nothing is sent."""

from datetime import timedelta
from uuid import UUID

from domain.consumption import Consumption, Delivery
from domain.payment import Channel
from domain.product import ProductType
from domain.purchase import WHOLE_SHARE, Offer, Ownership, Purchase
from domain.report import Attention, PaymentReport
from domain.store_change import Change
from providers.apple_iap.config import PROVIDER, Environment, app_name
from providers.apple_iap.wire import Transaction
from providers.base import Asking, ChannelRules

# The app brings the proof within seconds; asking is for what it could not bring. Ask to Buy: a
# parent has a day to approve, and no word comes before that.
RULES = ChannelRules(
    local=True,
    refundable=False,
    default_expiry=timedelta(hours=25),
    shortest_expiry=timedelta(hours=24),
    longest_expiry=timedelta(days=7),
    asking=Asking(silence=120, first_wait=120, backoff=2, longest_wait=3600),
)
CHANNELS = {Channel.IAP: RULES}
# The storefronts' currencies: of our catalogue's list price, for the store sells at its own.
_STOREFRONTS = """
    AED AUD BRL CAD CHF CLP CNY COP CZK DKK EGP EUR GBP HKD HUF IDR ILS INR JPY KRW KZT MXN
    MYR NGN NOK NZD PEN PHP PKR PLN QAR RON RUB SAR SEK SGD THB TRY TWD TZS USD VND ZAR
"""
CURRENCIES = frozenset(_STOREFRONTS.split())
PRODUCT_TYPES = {
    "Consumable": ProductType.CONSUMABLE,
    "Non-Consumable": ProductType.NON_CONSUMABLE,
    "Auto-Renewable Subscription": ProductType.SUBSCRIPTION,
    "Non-Renewing Subscription": ProductType.NON_RENEWING,
}
_OWNERSHIPS = {"PURCHASED": Ownership.PURCHASED, "FAMILY_SHARED": Ownership.FAMILY_SHARED}
_OFFERS = {
    1: Offer.INTRODUCTORY,
    2: Offer.PROMOTIONAL,
    3: Offer.CODE,
    4: Offer.WIN_BACK,
}
_FREE_TRIAL = "FREE_TRIAL"
_HIGHEST_PRICE = 2**63 - 1
_FAMILY = "FAMILY_REVOKE"
_RENEWAL = "RENEWAL"
_DELIVERIES = {
    Delivery.DELIVERED: "DELIVERED",
    Delivery.QUALITY_ISSUE: "UNDELIVERED_QUALITY_ISSUE",
    Delivery.WRONG_ITEM: "UNDELIVERED_WRONG_ITEM",
    Delivery.SERVER_OUTAGE: "UNDELIVERED_SERVER_OUTAGE",
    Delivery.OTHER: "UNDELIVERED_OTHER",
}


class Unmapped(ValueError):  # noqa: N818 - the name says what it is
    """A genuine transaction of a kind that nobody has documented yet."""


def purchase(transaction: Transaction, account: str, sells_in: Environment) -> Purchase:
    """The transaction as our purchase; raises Unmapped.

    `sells_in` is the account's own environment.
    """
    test = transaction.environment != Environment.PRODUCTION
    product_type = PRODUCT_TYPES.get(transaction.type)
    # Older transactions name no ownership; family sharing came with the name.
    ownership = _OWNERSHIPS.get(transaction.in_app_ownership_type or "PURCHASED")
    if product_type is None or ownership is None:
        raise Unmapped(f"a {transaction.type!r} is nothing that we could grant")
    return Purchase(
        provider=PROVIDER,
        account=account,
        app=app_name(transaction.bundle_id, transaction.environment),
        transaction_id=transaction.transaction_id,
        original_transaction_id=transaction.original_transaction_id,
        product_id=transaction.product_id,
        product_type=product_type,
        token=_token(transaction.app_account_token),
        quantity=transaction.quantity,
        ownership=ownership,
        purchased_at=transaction.purchase_date,
        signed_at=transaction.signed_date,
        expires_at=transaction.expires_date,
        revoked_at=transaction.revocation_date,
        revoked_share=_revoked_share(transaction),
        upgraded=transaction.is_upgraded,
        renewal=transaction.transaction_reason == _RENEWAL,
        test=test,
        test_in_production=test and sells_in is Environment.PRODUCTION,
        offer=_offer(transaction),
        price=_price(transaction),
        currency=transaction.currency,
        storefront=transaction.storefront,
    )


def change_of(found: Purchase) -> Change:
    """What the purchase, as it is now, would have been told as."""
    if found.revoked_at is not None:
        shared = found.ownership is Ownership.FAMILY_SHARED
        return Change.REVOKED if shared else Change.REFUNDED
    return Change.RENEWED if found.renewal else Change.PURCHASED


def is_a_sale(found: Purchase) -> bool:
    """Whether a buyer of ours made this purchase, for a payment of ours."""
    bought = found.ownership is Ownership.PURCHASED and not found.renewal
    return bought and found.token is not None


def paid(found: Purchase, raw: str, mismatch: Attention | None = None) -> PaymentReport:
    """The store's word that the payment of the purchase's token is paid."""
    reference = found.token.hex if found.token else ""
    report = PaymentReport.of_purchase(reference, found, raw)
    return report if mismatch is None else report.model_copy(update={"mismatch": mismatch})


def consumption_body(consumption: Consumption) -> dict[str, object]:
    """The body of Send Consumption Information, second version."""
    delivered = consumption.delivery is Delivery.DELIVERED
    body: dict[str, object] = {
        # Sending at all says so: without consent nothing may be sent.
        "customerConsented": True,
        "sampleContentProvided": consumption.sample_provided,
        "deliveryStatus": _DELIVERIES[consumption.delivery],
    }
    if consumption.consumed is not None:
        body["consumptionPercentage"] = consumption.consumed if delivered else 0
    if consumption.refund_preference is not None:
        body["refundPreference"] = consumption.refund_preference.name
    return body


def _token(text: str | None) -> UUID | None:
    try:
        return UUID(text) if text else None
    except ValueError:
        return None


def _price(transaction: Transaction) -> int | None:
    """The price to keep, 0 for a free trial; one out of range must not lose the purchase.

    Whether Apple's `price` of a free trial is 0 is not documented; `offerDiscountType` is.
    """
    if transaction.offer_discount_type == _FREE_TRIAL:
        return 0
    said = transaction.price
    return said if said is not None and 0 <= said <= _HIGHEST_PRICE else None


def _offer(transaction: Transaction) -> Offer | None:
    if transaction.offer_type is None:
        return None if transaction.offer_discount_type is None else Offer.OTHER
    return _OFFERS.get(transaction.offer_type, Offer.OTHER)


def _revoked_share(transaction: Transaction) -> int | None:
    if transaction.revocation_date is None or transaction.revocation_type == _FAMILY:
        return None
    share = transaction.revocation_percentage
    return share if share is not None and 0 <= share < WHOLE_SHARE else WHOLE_SHARE
