from datetime import timedelta
from itertools import permutations
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from domain.entitlement import Entitlement, EntitlementStatus
from domain.event import entitlement_data, moved_data
from domain.product import ProductType
from domain.purchase import Ownership
from domain.store_change import Change, StoreChange
from tests.domain.making import REFUND_ID
from tests.domain.purchases import BOUGHT, MONTH, opened, purchase, sold, word

DAY = timedelta(days=1)
S = EntitlementStatus


@pytest.mark.parametrize(
    ("change", "after", "status"),
    [
        (Change.PURCHASED, DAY, S.ACTIVE),
        (Change.RENEWED, DAY, S.ACTIVE),
        (Change.RENEWED, MONTH, S.EXPIRED),
        (Change.GRACE, MONTH, S.GRACE),
        (Change.BILLING_RETRY, MONTH, S.BILLING_RETRY),
        (Change.EXPIRED, MONTH, S.EXPIRED),
        (Change.REFUNDED, DAY, S.REFUNDED),
        (Change.REVOKED, DAY, S.REVOKED),
        (Change.EXTENDED, DAY, S.ACTIVE),
        (Change.REFUND_REVERSED, DAY, S.ACTIVE),
        (Change.CONSUMPTION_REQUESTED, DAY, S.ACTIVE),
        (Change.RENEWAL_PREFERENCE, DAY, S.ACTIVE),
        (Change.RECORDED, DAY, S.ACTIVE),
        (Change.RECORDED, MONTH, S.EXPIRED),
    ],
)
def test_each_word_means_one_thing(
    change: Change, after: timedelta, status: EntitlementStatus
) -> None:
    found = opened().apply(word(change, after=after))

    assert found.status is status
    assert found.has_access_at(BOUGHT + after) is (status in (S.ACTIVE, S.GRACE))
    assert found.apply(word(change, after=after)) == found


def test_an_older_word_changes_nothing() -> None:
    refunded = opened().apply(word(Change.REFUNDED, after=2 * DAY))

    assert refunded.apply(word(Change.RENEWED, after=DAY)) is refunded


def test_a_word_about_no_purchase_changes_nothing() -> None:
    silent = StoreChange(change=Change.EXPIRED, raw_type="X", signed_at=BOUGHT + MONTH)

    assert silent.standing is None
    found = opened()
    assert found.apply(silent) is found


def test_a_refund_of_an_earlier_period_leaves_the_running_one() -> None:
    renewed = opened().apply(word(Change.RENEWED, 1))

    assert renewed.apply(word(Change.REFUNDED, 0, after=MONTH + DAY)) is renewed
    assert renewed.apply(word(Change.REFUNDED, 1, after=DAY)).status is S.REFUNDED


def test_what_was_taken_back_stays_so_whatever_else_is_said_of_it() -> None:
    revoked: dict[str, Any] = {"revoked_at": BOUGHT + DAY}
    refunded = opened().apply(word(Change.REFUNDED, after=DAY, **revoked))

    for change in (Change.RENEWAL_PREFERENCE, Change.EXPIRED, Change.GRACE, Change.RECORDED):
        assert refunded.apply(word(change, after=2 * DAY, **revoked)).status is S.REFUNDED


@pytest.mark.parametrize("change", [Change.REFUND_REVERSED, Change.RECORDED, Change.PURCHASED])
def test_a_refund_taken_back_gives_access_again_until_the_period_ends(change: Change) -> None:
    refunded = opened().apply(word(Change.REFUNDED, after=DAY, revoked_at=BOUGHT + DAY))

    assert refunded.apply(word(change, after=2 * DAY)).status is S.ACTIVE
    assert refunded.apply(word(change, after=MONTH)).status is S.EXPIRED


def test_a_reversal_counts_even_where_its_snapshot_still_says_refunded() -> None:
    old: dict[str, Any] = {"revoked_at": BOUGHT + DAY, "revoked_share": 100_000}
    refunded = opened().apply(word(Change.REFUNDED, after=DAY, **old))

    assert refunded.apply(word(Change.REFUND_REVERSED, after=2 * DAY, **old)).status is S.ACTIVE


def test_a_refund_counts_even_where_its_snapshot_is_older() -> None:
    said = word(Change.REFUNDED, after=DAY)

    assert said.standing is not None
    assert said.standing.revoked_at == said.signed_at


def test_a_family_that_stops_sharing_revokes() -> None:
    gone: dict[str, Any] = {"revoked_at": BOUGHT + DAY, "ownership": Ownership.FAMILY_SHARED}

    assert opened().apply(word(Change.RECORDED, after=DAY, **gone)).status is S.REVOKED


def test_a_restored_proof_does_not_end_the_grace() -> None:
    grace = opened().apply(word(Change.GRACE, after=MONTH, grace_until=BOUGHT + MONTH + 16 * DAY))

    restored = grace.apply(word(Change.PURCHASED, after=MONTH + DAY))
    assert (restored.status, restored.grace_until) == (S.GRACE, grace.grace_until)


def test_a_period_that_was_heard_of_in_a_restored_proof_only_begins() -> None:
    over = opened().apply(word(Change.EXPIRED, after=MONTH))

    found = over.apply(word(Change.PURCHASED, 2))
    assert (found.status, found.transaction_id) == (S.ACTIVE, "T2")


def test_an_upgraded_subscription_gives_no_access_and_the_other_one_does() -> None:
    old = opened().apply(word(Change.RECORDED, after=DAY, upgraded=True))
    assert old.status is S.EXPIRED

    bigger = old.apply(word(Change.RENEWED, 1, after=DAY, product_id="com.shop.yearly"))
    assert (bigger.status, bigger.product_id) == (S.ACTIVE, "com.shop.yearly")


def test_what_never_expires_stays() -> None:
    forever: dict[str, Any] = {"expires_at": None, "product_type": ProductType.NON_CONSUMABLE}

    found = opened(word(Change.PURCHASED, **forever))
    assert found.apply(word(Change.RECORDED, after=DAY, **forever)).has_access_at(
        BOUGHT + 100 * MONTH
    )


def test_whether_it_renews_is_kept_until_the_store_says_otherwise() -> None:
    found = opened().apply(word(Change.RENEWAL_PREFERENCE, after=DAY, auto_renews=False))
    assert found.auto_renews is False
    assert found.apply(word(Change.RECORDED, after=2 * DAY)).auto_renews is False
    assert found.apply(word(Change.RENEWED, 1, auto_renews=True)).auto_renews is True


def test_another_payment_takes_the_chain_over() -> None:
    other = sold(id=REFUND_ID, merchant_id="m-2")
    taken = opened().paid_by(other)

    assert (taken.payment_id, taken.merchant_id) == (REFUND_ID, "m-2")


def test_a_merchant_is_told_how_it_stands_and_what_was_said() -> None:
    said = word(Change.REFUNDED, after=DAY, revoked_share=40_000)
    data = entitlement_data(opened().apply(said), said, said.signed_at)

    assert (data["status"], data["has_access"], data["revoked_share"]) == (
        "refunded",
        False,
        40_000,
    )
    assert (data["change"], data["raw_type"]) == ("refunded", "REFUNDED")
    assert "merchant_id" not in data
    silent = StoreChange(change=Change.RECORDED, raw_type="X", signed_at=BOUGHT)
    assert entitlement_data(opened(), silent, BOUGHT)["quantity"] is None


def final(words: tuple[StoreChange, ...]) -> dict[str, Any]:
    """What the words leave, in this order; whichever comes first opens the entitlement."""
    first = words[0]
    assert first.purchase is not None
    state = Entitlement.opened(sold(), first, first.purchase)
    for each in words[1:]:
        state = state.apply(each)
    return state.model_dump()


def test_every_order_of_a_subscriptions_life_ends_alike() -> None:
    life = (
        word(Change.PURCHASED, auto_renews=True),
        word(Change.RENEWED, 1, auto_renews=True),
        word(Change.GRACE, 1, after=MONTH, auto_renews=True),
        word(Change.RENEWED, 2, auto_renews=True, after=DAY),
        word(Change.REFUNDED, 2, after=2 * DAY, revoked_at=BOUGHT, auto_renews=True),
    )
    ends = [final(order) for order in permutations(life)]

    assert all(end == ends[0] for end in ends)
    assert ends[0]["status"] is S.REFUNDED


@given(
    st.lists(
        st.builds(
            lambda change, period, hours, gone: word(
                change,
                period,
                after=timedelta(hours=hours),
                revoked_at=purchase(period).purchased_at if gone else None,
            ),
            st.sampled_from(Change),
            st.integers(0, 3),
            st.integers(0, 1500),
            st.booleans(),
        ),
        min_size=1,
        max_size=8,
    )
)
def test_no_repeat_ever_changes_anything_and_time_never_runs_back(said: list[StoreChange]) -> None:
    state = opened()
    for each in said:
        after = state.apply(each)
        assert after.apply(each) == after
        assert after.signed_at >= state.signed_at
        assert after.purchased_at >= state.purchased_at
        state = after


@pytest.mark.parametrize(
    ("change", "status"), [(Change.GRACE, S.GRACE), (Change.BILLING_RETRY, S.BILLING_RETRY)]
)
def test_a_proof_of_the_ended_renewal_leaves_what_the_store_is_charging_for(
    change: Change, status: EntitlementStatus
) -> None:
    """The app holds the last period's transaction while the store tries to charge the next."""
    failing = opened().apply(word(change, after=MONTH, grace_until=BOUGHT + MONTH + 16 * DAY))

    proven = failing.apply(word(Change.RENEWED, after=MONTH + DAY))

    assert proven.status is status
    upgraded = failing.apply(word(Change.RENEWED, after=MONTH + DAY, upgraded=True))
    assert upgraded.status is S.EXPIRED


def test_an_entitlement_reflects_what_alters_nothing_that_is_shown() -> None:
    entitlement = opened()

    assert entitlement.reflects(word(Change.PURCHASED, after=DAY))
    assert entitlement.reflects(word(Change.REFUNDED, after=-DAY))
    assert not entitlement.reflects(word(Change.REFUNDED, after=DAY))
    assert not entitlement.reflects(word(Change.RENEWED, 1))


def test_an_entitlement_that_moved_gives_no_access_and_names_no_other_merchant() -> None:
    lost = opened()
    change = word(Change.RENEWED, 1)
    own = lost.apply(change).model_copy(update={"payment_id": REFUND_ID})
    others = own.model_copy(update={"merchant_id": "another"})

    shown, hidden = moved_data(lost, own, change), moved_data(lost, others, change)

    assert (shown["status"], shown["has_access"]) == ("moved", False)
    assert (shown["payment_id"], shown["moved_to"]) == (str(lost.payment_id), str(REFUND_ID))
    assert shown["changed_transaction_id"] == purchase(1).transaction_id
    assert hidden | {"moved_to": 1, "changed_transaction_id": 1, "raw_type": 1} == shown | {
        "moved_to": 1,
        "changed_transaction_id": 1,
        "raw_type": 1,
    }
    assert (hidden["moved_to"], hidden["changed_transaction_id"], hidden["raw_type"]) == (None,) * 3
