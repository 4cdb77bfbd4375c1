from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from sandbox.books import Books, Order, Refund
from sandbox.clock import BEIJING
from sandbox.database import Database

NOW = datetime(2026, 11, 22, 16, 0, tzinfo=BEIJING)


@pytest.fixture
def database(tmp_path: Path) -> Iterator[Database]:
    database = Database(tmp_path / "books.sqlite3")
    yield database
    database.close()


@pytest.fixture
def books(database: Database) -> Books:
    return Books(database)


def an_order(reference: str = "o1", merchant: str = "m1") -> Order:
    return Order(
        provider="alipay",
        merchant=merchant,
        app_id="app",
        reference=reference,
        amount=2000,
        channel="qr",
        status="NEW",
        subject="书",
        created_at=NOW,
        extra={"nested": [1, {"two": None}]},
    )


def a_refund(number: str) -> Refund:
    return Refund(
        provider="alipay",
        merchant="m1",
        reference="o1",
        refund_reference=number,
        amount=500,
        status="DONE",
        created_at=NOW,
    )


def test_an_order_comes_back_as_it_went_in(books: Books) -> None:
    order = an_order()
    order.paid_at = NOW
    books.put_order(order)
    assert books.get_order("alipay", "m1", "o1") == order
    assert books.get_order("alipay", "m2", "o1") is None
    assert books.get_order("wechatpay", "m1", "o1") is None


def test_two_merchants_may_use_one_number(books: Books) -> None:
    books.put_order(an_order(merchant="m1"))
    books.put_order(an_order(merchant="m2"))
    assert len(books.orders("alipay", "o1")) == 2


def test_the_ledger_moves_with_the_state_or_not_at_all(books: Books) -> None:
    def fail_after_a_capture() -> None:
        with books.transaction():
            books.capture(an_order(), 2000, NOW)
            raise RuntimeError

    with pytest.raises(RuntimeError):
        fail_after_a_capture()
    assert books.ledger() == []
    assert books.orders() == []


def test_captures_and_refunds_are_distinguished(books: Books) -> None:
    order = an_order()
    books.capture(order, 2000, NOW)
    books.settle_refund(a_refund("r1"), order, NOW)
    moves = [(move["kind"], move["amount"], move["refund_reference"]) for move in books.ledger()]
    assert moves == [("capture", 2000, None), ("refund", 500, "r1")]


def test_refunds_are_found_by_number_and_by_order(books: Books) -> None:
    books.put_refund(a_refund("r1"))
    books.put_refund(a_refund("r2"))
    found = books.get_refund("alipay", "m1", "r2")
    assert found is not None
    assert found.refund_reference == "r2"
    assert books.get_refund("alipay", "m1", "r2", "another order") is None
    assert [refund.refund_reference for refund in books.refunds_of(an_order())] == ["r1", "r2"]


def test_a_change_replaces_what_was_known(books: Books) -> None:
    order = an_order()
    books.put_order(order)
    order.status, order.provider_reference = "PAID", "p1"
    books.put_order(order)
    assert books.order_by_provider_reference("alipay", "p1") == order
    assert [kept.status for kept in books.orders(status="PAID")] == ["PAID"]
    assert books.orders(status="NEW") == []


def test_only_what_is_due_is_swept(books: Books) -> None:
    def order(reference: str, expiry: float | None, pending: float | None) -> None:
        placed = an_order(reference)
        placed.expires_at = None if expiry is None else NOW + timedelta(seconds=expiry)
        placed.extra = {} if pending is None else {"pending": {"seconds": pending}}
        books.put_order(placed)

    order("never", None, None)
    order("later", 61, 100)
    order("expired", 59, None)
    order("decided", 1000, 5)

    def due(seconds: float, scale: float) -> list[str]:
        now = NOW + timedelta(seconds=seconds)
        found = books.due_orders("alipay", "NEW", now, scale)
        return sorted(order.reference for order in found)

    assert due(60, 1) == ["decided", "expired"]
    assert due(1, 60) == ["decided", "expired"]
    assert due(1, 1) == []
    assert due(1, 1e12) == ["decided", "expired", "later"]
    assert books.due_orders("alipay", "OLD", NOW + timedelta(days=9), 1) == []
