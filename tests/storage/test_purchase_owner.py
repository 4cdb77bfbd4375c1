"""Whose a purchase is: who was granted it, then who sold it, then who has its chain."""

from uuid import uuid4

from domain.payment import Payment
from storage.entitlements import EntitlementStore
from storage.payments import PaymentStore
from tests.storage.making import NewPayment
from tests.storage.selling import purchase, renewal, sold


async def test_the_first_who_was_granted_it_keeps_it(
    payments: PaymentStore, entitlements: EntitlementStore, new_payment: NewPayment
) -> None:
    first, second = [await payments.record(sold(new_payment)) for _ in range(2)]
    found = purchase(first.id)
    await entitlements.claim(first.id, found)

    claimed = await entitlements.payment_of(found.model_copy(update={"token": second.id}))
    assert claimed is not None
    assert claimed.id == first.id


async def test_who_buys_again_in_an_old_chain_pays_the_new_payment_and_a_renewal_is_the_firsts(
    payments: PaymentStore,
    entitlements: EntitlementStore,
    bought: Payment,
    new_payment: NewPayment,
) -> None:
    assert bought.purchase is not None
    again = await payments.record(sold(new_payment))
    later = renewal(bought.purchase).model_copy(update={"token": again.id})

    renewed = await entitlements.payment_of(later)
    resold = await entitlements.payment_of(later.model_copy(update={"renewal": False}))
    assert (renewed and renewed.id, resold and resold.id) == (bought.id, again.id)


async def test_a_renewal_heard_before_its_purchase_is_for_the_payment_that_it_names(
    payments: PaymentStore, entitlements: EntitlementStore, new_payment: NewPayment
) -> None:
    named = await payments.record(sold(new_payment))

    assert await entitlements.payment_of(renewal(purchase(named.id))) == named


async def test_what_names_no_payment_of_ours_is_nobodys(entitlements: EntitlementStore) -> None:
    assert await entitlements.payment_of(purchase(None)) is None
    assert await entitlements.payment_of(purchase(uuid4())) is None


async def test_another_apps_grant_of_the_same_number_is_not_ours(
    payments: PaymentStore, entitlements: EntitlementStore, new_payment: NewPayment
) -> None:
    payment = await payments.record(sold(new_payment))
    found = purchase(None)
    await entitlements.claim(payment.id, found)

    for account in (found.account, "renamed"):
        renamed = found.model_copy(update={"account": account})
        assert await entitlements.payment_of(renamed) is not None
    for field in ("provider", "app", "transaction_id"):
        assert await entitlements.payment_of(found.model_copy(update={field: "other"})) is None
