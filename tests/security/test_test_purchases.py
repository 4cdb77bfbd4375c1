"""Purchases without money: TestFlight, App Review, free trials and offers.

Anyone with a TestFlight build or a sandbox account makes genuine purchases for nothing. At an
account that sells for real they must pay, grant, announce and call nobody.
"""

from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import pytest

from domain.errors import ConstraintViolation
from domain.event import payment_data
from domain.money import minor_units
from domain.payment import Payment, PaymentStatus
from domain.product import ProductType
from domain.purchase import Offer, Purchase
from domain.report import Attention, PaymentReport
from providers.apple_iap.config import AppleIapConfig, Environment
from storage.database import Database
from tests.api.buyer import COINS, MONTHLY, RECIPES, Buyer
from tests.api.house import House, Shop, eventually
from tests.domain import making
from tests.security.foreign import Traces

NOW = datetime(2026, 11, 22, tzinfo=UTC)
TESTER = {"tester": "app-review"}
# What a merchant's server may say of a buyer who is nobody's tester.
NOBODYS = [{}, {"tester": ""}, {"tester": "App-Review"}, {"tester": "someone"}, {"x": "app-review"}]


@pytest.fixture
def live(house: House, monkeypatch: pytest.MonkeyPatch) -> AppleIapConfig:
    """The sandbox's account sells for real, and lists one tester.

    A real one trusts Apple's root alone, so that it cannot be configured for a test.
    """
    provider: Any = house.dependencies.registry.get("apple_iap", "main")
    config: AppleIapConfig = provider._config.model_copy(  # noqa: SLF001 - see above
        update={
            "environment": Environment.PRODUCTION,
            "app_apple_id": 1,
            "sandbox_testers": frozenset(TESTER.values()),
        }
    )
    monkeypatch.setattr(provider, "_config", config)
    reader = provider._reader  # noqa: SLF001
    monkeypatch.setattr(reader, "_sells_in", config.environment)
    monkeypatch.setattr(reader._verifier, "_config", config)  # noqa: SLF001
    return config


async def changed_nothing(house: House, shop: Shop, buyer: Buyer, made: dict[str, Any]) -> None:
    found = await shop.read(made)
    assert (found["status"], found["captured"], found["attention"]) == ("pending", 0, None)
    assert (found["test"], found["entitlement"]) == (False, None)
    assert await buyer.events(made) == []
    traces = Traces(house, made)
    assert await traces.signals() == 0
    assert await traces.late_workflows() == 0


@pytest.mark.usefixtures("live")
@pytest.mark.parametrize("metadata", NOBODYS)
async def test_a_test_purchase_of_no_tester_never_pays(
    house: House, shop: Shop, buyer: Buyer, metadata: dict[str, str]
) -> None:
    made = await buyer.ask(COINS, metadata=metadata)
    signed = await buyer.signed(await buyer.buy(made))

    answer = await buyer.verify(made, signed)

    assert (answer.status_code, answer.json()["code"]) == (409, "test_purchase_refused")
    assert "sandbox_testers" in answer.text
    await changed_nothing(house, shop, buyer, made)


@pytest.mark.usefixtures("live")
async def test_apples_notification_of_a_test_purchase_never_reaches_a_workflow(
    house: House, shop: Shop, buyer: Buyer
) -> None:
    made = await buyer.ask(MONTHLY)
    bought = await buyer.buy(made, notify=True)
    await buyer.act("refund", transaction_id=bought["transaction_id"])
    traces = Traces(house, made)

    async def both_came() -> bool:
        return len(await traces.outcomes()) == len(("SUBSCRIBED", "REFUND"))

    await eventually(both_came)
    assert {str(outcome) for outcome, _ in await traces.outcomes()} == {"ignored"}
    await changed_nothing(house, shop, buyer, made)


@pytest.mark.usefixtures("live")
async def test_a_test_purchase_is_never_restored(house: House, shop: Shop, buyer: Buyer) -> None:
    made = await buyer.ask(RECIPES)
    named = await buyer.signed(await buyer.buy(made))
    nameless = await buyer.signed(await Buyer.of(shop, buyer.provider).buy(made, **NAMELESS))

    answer = await buyer.restore(signed_transactions=[named, nameless])

    assert answer.status_code == 200, answer.text
    assert (answer.json()["data"], answer.json()["unclaimed"]) == ([], [])
    await changed_nothing(house, shop, buyer, made)


@pytest.mark.usefixtures("live")
async def test_a_test_purchase_without_a_token_is_never_claimed(
    house: House, shop: Shop, buyer: Buyer
) -> None:
    made = await buyer.ask(COINS)
    signed = await buyer.signed(await buyer.buy(made, **NAMELESS))

    answer = await buyer.verify(made, signed)

    assert (answer.status_code, answer.json()["code"]) == (409, "test_purchase_refused")
    await changed_nothing(house, shop, buyer, made)


@pytest.mark.usefixtures("live")
async def test_a_testers_purchase_brought_for_another_payment_calls_no_operator(
    house: House, shop: Shop, buyer: Buyer
) -> None:
    tested = await buyer.ask(COINS, metadata=TESTER)
    signed = await buyer.signed(await buyer.buy(tested))
    made = await buyer.ask(COINS)

    answer = await buyer.verify(made, signed)

    assert (answer.status_code, answer.json()["code"]) == (409, "test_purchase_refused")
    await changed_nothing(house, shop, buyer, made)


@pytest.mark.usefixtures("live")
async def test_a_refused_test_purchase_never_stands_in_the_way_of_a_real_one(buyer: Buyer) -> None:
    made = await buyer.ask(COINS)
    await buyer.verify(made, await buyer.signed(await buyer.buy(made)))

    real = await buyer.signed(await buyer.buy(made, environment="Production"))
    paid = (await buyer.verify(made, real)).json()

    assert (paid["status"], paid["test"]) == ("succeeded", False)
    assert paid["captured"] == made["amount"]
    assert (paid["store_price"], paid["store_currency"]) == (made["amount"] * 10, "CNY")


@pytest.mark.usefixtures("live")
async def test_a_listed_testers_purchase_never_counts_as_money(
    house: House, shop: Shop, buyer: Buyer
) -> None:
    made = await buyer.ask(RECIPES, metadata=TESTER)
    bought = await buyer.buy(made)

    answer = await buyer.verify(made, await buyer.signed(bought))

    paid = answer.json()
    assert (answer.status_code, paid["status"], paid["test"]) == (200, "succeeded", True)
    assert (paid["captured"], paid["refundable"]) == (0, 0)
    assert paid["store_price"] == made["amount"] * 10
    assert (paid["store_currency"], paid["offer"]) == ("CNY", None)
    assert (paid["entitlement"]["has_access"], paid["entitlement"]["test"]) == (True, True)
    [event] = await buyer.hears(made, "payment.succeeded")
    told = event["data"]
    assert (told["test"], told["captured"], told["store_price"]) == (True, 0, paid["store_price"])

    # It is granted once, and what the store takes back is no money either.
    again = await buyer.verify(made, await buyer.signed(bought))
    assert again.json()["entitlement"] == paid["entitlement"]
    with house.takes_notifications():
        await buyer.act("refund", transaction_id=bought["transaction_id"])
    [_, taken] = await buyer.hears(made, "payment.succeeded", "entitlement.changed")
    assert (taken["data"]["status"], taken["data"]["has_access"]) == ("refunded", False)
    after = await shop.read(made)
    assert (after["captured"], after["refunded"], after["attention"]) == (0, 0, None)
    asked = await shop.refund(made, "r-1")
    assert asked.json()["code"] == "refund_unsupported"


async def test_a_tester_who_is_listed_no_longer_never_keeps_what_the_store_takes_back(
    house: House, buyer: Buyer, live: AppleIapConfig, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = await buyer.ask(MONTHLY, metadata=TESTER)
    bought = await buyer.buy(made)
    await buyer.verify(made, await buyer.signed(bought))
    await buyer.hears(made, "payment.succeeded")
    provider: Any = house.dependencies.registry.get("apple_iap", "main")
    unlisted = live.model_copy(update={"sandbox_testers": frozenset()})
    monkeypatch.setattr(provider, "_config", unlisted)

    await buyer.act("renew", transaction_id=bought["transaction_id"])
    await buyer.act("refund", transaction_id=bought["transaction_id"])

    [_, taken] = await buyer.hears(made, "payment.succeeded", "entitlement.changed")
    assert taken["data"]["status"] == "refunded"


async def test_an_account_of_the_sandbox_says_that_all_of_it_is_a_test(buyer: Buyer) -> None:
    """Where nothing is real, the sandbox's money counts, as it does at other providers."""
    paid, _ = await buyer.bought(COINS)
    assert (paid["test"], paid["captured"]) == (True, paid["amount"])


def test_production_takes_no_test_purchase_unless_told_to() -> None:
    assert AppleIapConfig.model_fields["sandbox_testers"].default == frozenset()


NAMELESS = {"app_account_token": None}
FREE: dict[str, Any] = {"offer": Offer.INTRODUCTORY, "price": 0, "currency": "CNY"}
CHEAP: dict[str, Any] = {"offer": Offer.PROMOTIONAL, "price": 1000, "currency": "CNY"}
DOLLARS: dict[str, Any] = {"offer": Offer.CODE, "price": 990, "currency": "USD"}


def sold(found: dict[str, Any], **changes: Any) -> Payment:
    """A payment of one product at 19.99 yuan, paid by such a purchase."""
    waiting = making.payment(provider="apple_iap", product_id="com.shop.monthly", **changes)
    purchase = Purchase(
        provider="apple_iap",
        account="main",
        transaction_id=uuid4().hex,
        original_transaction_id="1",
        product_id="com.shop.monthly",
        product_type=ProductType.SUBSCRIPTION,
        quantity=waiting.quantity,
        purchased_at=NOW,
        signed_at=NOW,
        **found,
    )
    report = PaymentReport.of_purchase(waiting.reference, purchase, "TRANSACTION")
    assert waiting.mismatch(report) is None
    return waiting.apply(report)


@pytest.mark.parametrize(
    ("found", "captured"),
    [
        ({"price": 19990, "currency": "CNY", "test": True, "test_in_production": True}, 0),
        ({"test": True, "test_in_production": True}, 0),
        (FREE, 0),
        (FREE | {"offer": None}, 0),
        (CHEAP, 100),
        (DOLLARS, 0),
        # An offer that names no price is not worth the list price either.
        ({"offer": Offer.WIN_BACK}, 0),
        ({"offer": Offer.OTHER, "price": 5, "currency": "CNY"}, 1),
        # Sold at the usual price: the store's, where it can be said in the payment's currency.
        ({"price": 18000, "currency": "CNY"}, 1800),
        ({"price": 2990, "currency": "USD"}, 1999),
        ({"price": 19990}, 1999),
        ({}, 1999),
    ],
)
def test_no_purchase_counts_for_more_than_the_buyer_was_charged(
    found: dict[str, Any], captured: int
) -> None:
    paid = sold(found)

    assert (paid.status, paid.is_paid, paid.captured) == (PaymentStatus.SUCCEEDED, True, captured)
    told = payment_data(paid)
    assert (told["captured"], told["test"]) == (captured, found.get("test", False))
    assert (told["store_price"], told["store_currency"], told["offer"]) == (
        found.get("price"),
        found.get("currency"),
        found.get("offer"),
    )


def test_several_at_the_usual_price_count_at_the_list_price() -> None:
    """Whether Apple's `price` is of one or of all is not documented."""
    assert sold({"price": 6660, "currency": "CNY"}, quantity=3).captured == making.payment().amount


@pytest.mark.parametrize(
    ("found", "elsewhere"), [(DOLLARS, True), (CHEAP, False), (FREE, False), ({}, False)]
)
def test_a_charge_in_another_currency_is_not_taken_for_none(
    found: dict[str, Any],
    elsewhere: bool,  # noqa: FBT001
) -> None:
    assert sold(found).charged_elsewhere is elsewhere
    tested = found | {"test": True, "test_in_production": True}
    assert not sold(tested).charged_elsewhere


def test_a_purchase_for_nothing_pays_once() -> None:
    paid = sold(FREE)
    again = PaymentReport.of_purchase(
        paid.reference,
        Purchase.model_validate(paid.purchase).model_copy(update={"transaction_id": "2"}),
        "TRANSACTION",
    )
    assert paid.apply(again) is paid
    assert paid.mismatch(again) is not Attention.PRODUCT_MISMATCH


@pytest.mark.parametrize(
    ("thousandths", "currency", "minor"),
    [(6000, "CNY", 600), (6000, "JPY", 6), (6001, "JPY", 7), (6000, "KWD", 6000), (1, "USD", 1)],
)
def test_apples_thousandths_are_never_taken_for_minor_units(
    thousandths: int, currency: str, minor: int
) -> None:
    assert minor_units(thousandths, currency) == minor


@pytest.mark.parametrize(
    "change",
    [
        "captured = 1",
        "test = false",
        "store_price = 1, offer = 'code'",
        "store_currency = 'USD'",
        "offer = 'code'",
    ],
)
@pytest.mark.usefixtures("live")
async def test_what_was_charged_never_changes_afterwards(
    database: Database, buyer: Buyer, change: str
) -> None:
    made = await buyer.ask(COINS, metadata=TESTER)
    await buyer.verify(made, await buyer.signed(await buyer.buy(made)))
    statement = f"UPDATE payments SET {change} WHERE id = '{UUID(made['id'])}'"  # noqa: S608

    with pytest.raises(ConstraintViolation, match="payments_money_forward"):
        async with database.transaction() as connection:
            await connection.exec_driver_sql(statement)
