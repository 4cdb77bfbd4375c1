import pytest

from domain.store_change import Change
from providers.apple_iap.changes import MEANINGS, Meaning, meaning_of, raw_type

# What each documented word does to what the buyer may use (docs: notificationType).
ACCESS = {
    Change.PURCHASED: "ONE_TIME_CHARGE SUBSCRIBED SUBSCRIBED/INITIAL_BUY SUBSCRIBED/RESUBSCRIBE",
    Change.RENEWED: (
        "DID_RENEW DID_RENEW/BILLING_RECOVERY OFFER_REDEEMED OFFER_REDEEMED/UPGRADE"
        " DID_CHANGE_RENEWAL_PREF/UPGRADE"
    ),
    Change.GRACE: "DID_FAIL_TO_RENEW/GRACE_PERIOD",
    Change.BILLING_RETRY: "DID_FAIL_TO_RENEW GRACE_PERIOD_EXPIRED",
    Change.EXPIRED: (
        "EXPIRED EXPIRED/VOLUNTARY EXPIRED/BILLING_RETRY EXPIRED/PRICE_INCREASE"
        " EXPIRED/PRODUCT_NOT_FOR_SALE"
    ),
    Change.REFUNDED: "REFUND",
    Change.REFUND_REVERSED: "REFUND_REVERSED",
    Change.REVOKED: "REVOKE",
    Change.EXTENDED: "RENEWAL_EXTENDED",
    Change.CONSUMPTION_REQUESTED: "CONSUMPTION_REQUEST",
    Change.RENEWAL_PREFERENCE: (
        "DID_CHANGE_RENEWAL_PREF DID_CHANGE_RENEWAL_PREF/DOWNGRADE OFFER_REDEEMED/DOWNGRADE"
        " DID_CHANGE_RENEWAL_STATUS DID_CHANGE_RENEWAL_STATUS/AUTO_RENEW_ENABLED"
        " DID_CHANGE_RENEWAL_STATUS/AUTO_RENEW_DISABLED"
    ),
    Change.RECORDED: (
        "PRICE_INCREASE PRICE_INCREASE/PENDING PRICE_INCREASE/ACCEPTED PRICE_CHANGE"
        " PRICE_CHANGE/PENDING PRICE_CHANGE/ACCEPTED REFUND_DECLINED RENEWAL_EXTENSION"
        " RENEWAL_EXTENSION/SUMMARY RENEWAL_EXTENSION/FAILURE EXTERNAL_PURCHASE_TOKEN"
        " EXTERNAL_PURCHASE_TOKEN/UNREPORTED RESCIND_CONSENT METADATA_UPDATE MIGRATION TEST"
    ),
}


def test_every_documented_report_has_its_meaning() -> None:
    expected = {name: change for change, names in ACCESS.items() for name in names.split()}
    assert {raw_type(*key): row.change for key, row in MEANINGS.items()} == expected


def test_only_what_a_buyer_does_sells() -> None:
    assert {raw_type(*key) for key, row in MEANINGS.items() if row.sells} == {
        "ONE_TIME_CHARGE",
        "SUBSCRIBED",
        "SUBSCRIBED/INITIAL_BUY",
        "SUBSCRIBED/RESUBSCRIBE",
        "DID_CHANGE_RENEWAL_PREF/UPGRADE",
        "OFFER_REDEEMED/UPGRADE",
    }


def test_a_subtype_that_is_new_means_what_its_type_means() -> None:
    assert meaning_of("EXPIRED", "NEW_REASON").change is Change.EXPIRED
    assert meaning_of("DID_FAIL_TO_RENEW", "NEW_REASON").change is Change.BILLING_RETRY


@pytest.mark.parametrize("subtype", [None, "", "UPGRADE"])
def test_a_type_that_is_new_changes_nothing(subtype: str | None) -> None:
    assert meaning_of("BRAND_NEW", subtype) == Meaning(Change.RECORDED)
