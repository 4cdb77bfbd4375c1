import json
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field, fields
from datetime import datetime
from typing import Any, Self

from sandbox.database import Database

CREATED = "julianday(json_extract(document, '$.created_at'))"
DUE = f"""(julianday(?) - {CREATED}) * ? >= min(
    ifnull(julianday(expires_at) - {CREATED}, 1e9),
    ifnull(json_extract(document, '$.extra.pending.seconds') / 86400.0, 1e9))"""


@dataclass(kw_only=True)
class Record:
    """What orders and refunds have in common: they are stored as JSON documents."""

    @classmethod
    def from_document(cls, document: dict[str, Any]) -> Self:
        """Rebuild a record; every `*_at` is a time with its offset."""
        known = {item.name for item in fields(cls)}
        values = {key: value for key, value in document.items() if key in known}
        for key, value in values.items():
            if key.endswith("_at") and value is not None:
                values[key] = datetime.fromisoformat(value)
        return cls(**values)

    def document(self) -> dict[str, Any]:
        """The record as plain JSON values."""
        values = {item.name: getattr(self, item.name) for item in fields(self)}
        for key, value in values.items():
            if isinstance(value, datetime):
                values[key] = value.isoformat()
        return values


@dataclass(kw_only=True)
class Order(Record):
    """One order at a provider. `amount` and `refunded` are fen; `status` is the wire's word.

    `request` is the accepted content, kept to recognise a reuse with other content; `extra` is
    whatever else the provider's side must remember.
    """

    provider: str
    merchant: str
    app_id: str
    reference: str
    amount: int
    channel: str
    status: str
    subject: str
    created_at: datetime
    provider_reference: str | None = None
    payer: str | None = None
    notify_url: str | None = None
    request: dict[str, Any] = field(default_factory=dict)
    expires_at: datetime | None = None
    paid_at: datetime | None = None
    closed_at: datetime | None = None
    refunded: int = 0
    extra: dict[str, Any] = field(default_factory=dict)


@dataclass(kw_only=True)
class Refund(Record):
    """One refund of an order. `reference` is the order's, `amount` is fen."""

    provider: str
    merchant: str
    reference: str
    refund_reference: str
    amount: int
    status: str
    created_at: datetime
    provider_reference: str | None = None
    done_at: datetime | None = None
    notify_url: str | None = None
    request: dict[str, Any] = field(default_factory=dict)
    extra: dict[str, Any] = field(default_factory=dict)


class Books:
    """Orders, refunds, and the ledger of money that really moved."""

    def __init__(self, database: Database) -> None:
        self._db = database

    @contextmanager
    def transaction(self) -> Iterator[None]:
        """Several changes as one; nothing may be awaited inside."""
        with self._db.transaction():
            yield

    def get_order(self, provider: str, merchant: str, reference: str) -> Order | None:
        """The order that this merchant placed under this reference."""
        return self._order(
            "provider=? AND merchant=? AND reference=?", provider, merchant, reference
        )

    def find_order(self, provider: str, reference: str) -> Order | None:
        """The newest order of any merchant under this reference (for the cashier and control)."""
        return self._order("provider=? AND reference=?", provider, reference)

    def order_by_provider_reference(self, provider: str, provider_reference: str) -> Order | None:
        """The order that the provider knows under its own number."""
        return self._order("provider=? AND provider_reference=?", provider, provider_reference)

    def put_order(self, order: Order) -> None:
        """Insert or replace the order."""
        self._db.execute(
            "INSERT INTO orders VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
            " provider_reference=excluded.provider_reference, status=excluded.status,"
            " expires_at=excluded.expires_at, document=excluded.document",
            order.provider,
            order.merchant,
            order.reference,
            order.provider_reference,
            order.status,
            order.expires_at and order.expires_at.isoformat(),
            json.dumps(order.document()),
        )

    def capture(self, order: Order, amount: int, at: datetime) -> None:
        """Store the order together with the payer's money moving to the merchant."""
        with self.transaction():
            self.put_order(order)
            self._move((order.provider, order.merchant, order.reference), None, amount, at)

    def settle_refund(self, refund: Refund, order: Order, at: datetime) -> None:
        """Store both records together with the money moving back to the payer."""
        with self.transaction():
            self.put_order(order)
            self.put_refund(refund)
            key = (order.provider, order.merchant, order.reference)
            self._move(key, refund.refund_reference, refund.amount, at)

    def undo_refund(self, refund: Refund, order: Order, at: datetime) -> None:
        """Store both records together with the refunded money coming back to the merchant."""
        with self.transaction():
            self.put_order(order)
            self.put_refund(refund)
            key = (order.provider, order.merchant, order.reference)
            self._move(key, refund.refund_reference, -refund.amount, at)

    def get_refund(
        self, provider: str, merchant: str, refund_reference: str, reference: str | None = None
    ) -> Refund | None:
        """A refund by its reference; `reference` narrows it to one order."""
        for refund in self.refunds(provider, refund_reference):
            if refund.merchant == merchant and reference in (None, refund.reference):
                return refund
        return None

    def put_refund(self, refund: Refund) -> None:
        """Insert or replace the refund."""
        self._db.execute(
            "INSERT INTO refunds VALUES (?,?,?,?,?,?,?) ON CONFLICT DO UPDATE SET"
            " provider_reference=excluded.provider_reference, status=excluded.status,"
            " document=excluded.document",
            refund.provider,
            refund.merchant,
            refund.reference,
            refund.refund_reference,
            refund.provider_reference,
            refund.status,
            json.dumps(refund.document()),
        )

    def refunds_of(self, order: Order) -> list[Refund]:
        """The order's refunds, oldest first."""
        return self._refunds(
            "provider=? AND merchant=? AND reference=?",
            order.provider,
            order.merchant,
            order.reference,
        )

    def orders(
        self,
        provider: str | None = None,
        reference: str | None = None,
        status: str | None = None,
    ) -> list[Order]:
        """Orders, oldest first, narrowed by whatever is given."""
        where, values = _narrow(provider=provider, reference=reference, status=status)
        sql = f"SELECT document FROM orders WHERE {where} ORDER BY rowid"  # noqa: S608 - our names
        return [Order.from_document(item) for item in self._db.documents(sql, *values)]

    def due_orders(self, provider: str, status: str, now: datetime, scale: float) -> list[Order]:
        """Orders whose expiry, or pending answer (`extra.pending.seconds`), has come.

        Thousands may be waiting, so SQLite sorts out the few.
        """
        sql = f"SELECT document FROM orders WHERE provider=? AND status=? AND {DUE}"  # noqa: S608
        found = self._db.documents(sql, provider, status, now.isoformat(), scale)
        return [Order.from_document(item) for item in found]

    def orders_of_payer(self, provider: str, payer: str) -> list[Order]:
        """What one payer has ordered, oldest first."""
        sql = "SELECT document FROM orders WHERE provider=? AND json_extract(document, '$.payer')=?"
        found = self._db.documents(f"{sql} ORDER BY rowid", provider, payer)
        return [Order.from_document(item) for item in found]

    def refunds(
        self,
        provider: str | None = None,
        refund_reference: str | None = None,
        status: str | None = None,
    ) -> list[Refund]:
        """Refunds, oldest first, narrowed by whatever is given."""
        where, values = _narrow(provider=provider, refund_reference=refund_reference, status=status)
        return self._refunds(where, *values)

    def use_code(self, order: Order, code: str) -> None:
        """Bind the code on a payer's screen to the order that it pays."""
        self._db.execute(
            "INSERT INTO payer_codes VALUES (?,?,?,?) ON CONFLICT DO NOTHING",
            order.provider,
            code,
            order.merchant,
            order.reference,
        )

    def is_code_used(self, provider: str, code: str, merchant: str, reference: str) -> bool:
        """Return whether a payer's code was used for another order than this one."""
        where = "provider=? AND code=? AND NOT (merchant=? AND reference=?)"
        sql = f"SELECT 1 FROM payer_codes WHERE {where}"  # noqa: S608 - our names
        return bool(self._db.rows(sql, provider, code, merchant, reference))

    def ledger(self) -> list[dict[str, Any]]:
        """Every money move: `kind` is `capture` or `refund`, `amount` is fen.

        A refund that was taken back is a second `refund` row over the negative sum.
        """
        return self._db.rows("SELECT * FROM ledger ORDER BY id")

    def _move(
        self, key: tuple[str, str, str], refund_reference: str | None, amount: int, at: datetime
    ) -> None:
        kind = "capture" if refund_reference is None else "refund"
        self._db.execute(
            "INSERT INTO ledger (provider, merchant, reference, refund_reference, kind, amount, at)"
            " VALUES (?,?,?,?,?,?,?)",
            *key,
            refund_reference,
            kind,
            amount,
            at.isoformat(),
        )

    def _order(self, where: str, *values: str) -> Order | None:
        sql = f"SELECT document FROM orders WHERE {where} ORDER BY rowid DESC LIMIT 1"  # noqa: S608
        found = self._db.documents(sql, *values)
        return Order.from_document(found[0]) if found else None

    def _refunds(self, where: str, *values: str) -> list[Refund]:
        sql = f"SELECT document FROM refunds WHERE {where} ORDER BY rowid"  # noqa: S608 - our names
        return [Refund.from_document(item) for item in self._db.documents(sql, *values)]


def _narrow(**wanted: str | None) -> tuple[str, list[str]]:
    given = {key: value for key, value in wanted.items() if value is not None}
    return " AND ".join(["1=1", *(f"{key}=?" for key in given)]), list(given.values())
