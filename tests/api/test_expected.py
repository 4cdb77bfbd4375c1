"""What this process has made and nobody has told us of: the first notification needs no look-up."""

from typing import Any
from uuid import UUID

import pytest

from api.payments.expected import ExpectedPayments
from domain.notification import Notification
from domain.payment import Payment
from domain.report import Outcome, RefundOutcome, RefundReport
from domain.store_change import Change, StoreChange
from tests.api.house import House, ProviderSide, Shop
from tests.domain.making import IDENTITY, payment
from tests.domain.purchases import purchase
from tests.workflows.scripted import notification, report


@pytest.fixture
def looked_up(house: House, monkeypatch: pytest.MonkeyPatch) -> list[str]:
    """The references of the notifications that our books were asked about."""
    stored, asked = house.dependencies.stores.notifications, list[str]()
    look_up = stored.addressee

    async def counted(notification: Notification) -> Any:
        asked.append(notification.reference)
        return await look_up(notification)

    monkeypatch.setattr(stored, "addressee", counted)
    return asked


async def test_the_first_word_is_handed_over_at_once_and_every_further_one_looked_up(
    shop: Shop, provider: ProviderSide, looked_up: list[str]
) -> None:
    made = await shop.pending()
    await provider.pay(made)

    assert (await provider.notify(made))["accepted"]
    assert looked_up == []
    await shop.reaches(made, "succeeded")
    assert (await provider.notify(made))["accepted"]

    assert looked_up == [UUID(made["id"]).hex]


async def test_what_does_not_fit_is_looked_up(
    shop: Shop, provider: ProviderSide, looked_up: list[str]
) -> None:
    made = await shop.pending()
    await provider.pay(made)

    assert not (await provider.notify(made, fault="wrong_amount"))["accepted"]

    assert looked_up == [UUID(made["id"]).hex]
    assert (await shop.read(made))["captured"] == 0


def test_a_word_about_a_refund_is_looked_up() -> None:
    made = payment()
    expected = ExpectedPayments()
    expected.made(made)
    found = RefundReport(
        reference=made.reference,
        refund_reference=IDENTITY.refund_id(made.id, "r").hex,
        outcome=RefundOutcome.SUCCEEDED,
        amount=1,
        raw_status="SUCCESS",
    )

    assert expected.addressee(notification(found)) is None


@pytest.mark.parametrize(("renewal", "known"), [(False, True), (True, False)])
def test_a_stores_word_is_for_the_payment_that_its_sale_names(
    *, renewal: bool, known: bool
) -> None:
    made = payment()
    expected = ExpectedPayments()
    expected.made(made)
    sold = purchase(token=made.id, renewal=renewal)
    change = StoreChange(
        purchase=sold, change=Change.RECORDED, raw_type="SALE", signed_at=sold.signed_at
    )
    word = notification(report(made, Outcome.PAID)).model_copy(
        update={"payment": None, "change": change}
    )

    assert (expected.addressee(word) is not None) is known


def test_the_oldest_are_forgotten(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("api.payments.expected._REMEMBERED", 1)
    expected = ExpectedPayments()
    first, second = _another("first"), _another("second")
    expected.made(first)
    expected.made(second)

    assert expected.addressee(notification(report(first, Outcome.PAID))) is None
    assert expected.addressee(notification(report(second, Outcome.PAID))) is not None


def _another(name: str) -> Payment:
    return payment().model_copy(update={"id": IDENTITY.refund_id(payment().id, name)})
