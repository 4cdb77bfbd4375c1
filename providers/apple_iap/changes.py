"""What the App Store's notifications mean (docs: notificationType, subtype); one table.

A type or subtype that is not in the table is kept and changes nothing: new ones appear unannounced.
"""

from dataclasses import dataclass

from domain.store_change import Change


@dataclass(frozen=True)
class Meaning:
    """`sells` is true where the word may be of a purchase that the buyer has just made."""

    change: Change
    sells: bool = False


_SALE = Meaning(Change.PURCHASED, sells=True)
_NEW_PERIOD = Meaning(Change.RENEWED)
_MOVED_UP = Meaning(Change.RENEWED, sells=True)
_PREFERENCE = Meaning(Change.RENEWAL_PREFERENCE)
_RECORDED = Meaning(Change.RECORDED)

# By type and subtype; a type's row without a subtype stands for all its other subtypes.
MEANINGS: dict[tuple[str, str | None], Meaning] = {
    ("ONE_TIME_CHARGE", None): _SALE,
    ("SUBSCRIBED", None): _SALE,
    ("SUBSCRIBED", "INITIAL_BUY"): _SALE,
    ("SUBSCRIBED", "RESUBSCRIBE"): _SALE,
    ("DID_RENEW", None): _NEW_PERIOD,
    ("DID_RENEW", "BILLING_RECOVERY"): _NEW_PERIOD,
    # An upgrade is bought and begins now; anything else begins with the next period.
    ("DID_CHANGE_RENEWAL_PREF", None): _PREFERENCE,
    ("DID_CHANGE_RENEWAL_PREF", "UPGRADE"): _MOVED_UP,
    ("DID_CHANGE_RENEWAL_PREF", "DOWNGRADE"): _PREFERENCE,
    ("DID_CHANGE_RENEWAL_STATUS", None): _PREFERENCE,
    ("DID_CHANGE_RENEWAL_STATUS", "AUTO_RENEW_ENABLED"): _PREFERENCE,
    ("DID_CHANGE_RENEWAL_STATUS", "AUTO_RENEW_DISABLED"): _PREFERENCE,
    ("OFFER_REDEEMED", None): _NEW_PERIOD,
    ("OFFER_REDEEMED", "UPGRADE"): _MOVED_UP,
    ("OFFER_REDEEMED", "DOWNGRADE"): _PREFERENCE,
    ("DID_FAIL_TO_RENEW", None): Meaning(Change.BILLING_RETRY),
    ("DID_FAIL_TO_RENEW", "GRACE_PERIOD"): Meaning(Change.GRACE),
    # The store goes on trying to charge; only the access has ended.
    ("GRACE_PERIOD_EXPIRED", None): Meaning(Change.BILLING_RETRY),
    ("EXPIRED", None): Meaning(Change.EXPIRED),
    ("EXPIRED", "VOLUNTARY"): Meaning(Change.EXPIRED),
    ("EXPIRED", "BILLING_RETRY"): Meaning(Change.EXPIRED),
    ("EXPIRED", "PRICE_INCREASE"): Meaning(Change.EXPIRED),
    ("EXPIRED", "PRODUCT_NOT_FOR_SALE"): Meaning(Change.EXPIRED),
    ("PRICE_INCREASE", None): _RECORDED,
    ("PRICE_INCREASE", "PENDING"): _RECORDED,
    ("PRICE_INCREASE", "ACCEPTED"): _RECORDED,
    ("PRICE_CHANGE", None): _RECORDED,
    ("PRICE_CHANGE", "PENDING"): _RECORDED,
    ("PRICE_CHANGE", "ACCEPTED"): _RECORDED,
    ("REFUND", None): Meaning(Change.REFUNDED),
    ("REFUND_REVERSED", None): Meaning(Change.REFUND_REVERSED),
    ("REFUND_DECLINED", None): _RECORDED,
    ("CONSUMPTION_REQUEST", None): Meaning(Change.CONSUMPTION_REQUESTED),
    ("REVOKE", None): Meaning(Change.REVOKED),
    ("RENEWAL_EXTENDED", None): Meaning(Change.EXTENDED),
    ("RENEWAL_EXTENSION", None): _RECORDED,
    ("RENEWAL_EXTENSION", "SUMMARY"): _RECORDED,
    ("RENEWAL_EXTENSION", "FAILURE"): _RECORDED,
    ("EXTERNAL_PURCHASE_TOKEN", None): _RECORDED,
    ("EXTERNAL_PURCHASE_TOKEN", "UNREPORTED"): _RECORDED,
    ("RESCIND_CONSENT", None): _RECORDED,
    ("METADATA_UPDATE", None): _RECORDED,
    ("MIGRATION", None): _RECORDED,
    ("TEST", None): _RECORDED,
}  # fmt: skip


def meaning_of(kind: str, subtype: str | None) -> Meaning:
    """What a notification of this type and subtype says."""
    return MEANINGS.get((kind, subtype)) or MEANINGS.get((kind, None), _RECORDED)


def raw_type(kind: str, subtype: str | None) -> str:
    """The store's own name of the word: `DID_RENEW/BILLING_RECOVERY`."""
    return f"{kind}/{subtype}" if subtype else kind
