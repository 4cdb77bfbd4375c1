"""Three books compared to the fen: ours, the provider's, and what the merchant was told."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import httpx
from sqlalchemy import text

from storage.database import Database
from tests.stack.shop import Shop
from tests.stack.waiting import eventually

Row = dict[str, Any]
ENDS = {f"payment.{status}": status for status in ("succeeded", "failed", "closed")}


@dataclass(frozen=True)
class Books:
    """One merchant's records here, the money that moved at the providers, and its inbox."""

    payments: list[Row]
    refunds: list[Row]
    events: list[Row]
    orders: list[Row]
    ledger: list[Row]
    inbox: list[Row]


async def books_agree(shop: Shop) -> Books:
    """The books once they agree and nothing is under way; fails with every difference."""

    async def check() -> Books:
        books = await read_books(shop)
        found = list(differences(books))
        assert not found, "\n".join(found)
        return books

    return await eventually(check)


async def read_books(shop: Shop) -> Books:
    """Everything about the shop's payments."""
    database = Database(shop.database_url)
    try:
        async with database.transaction() as connection:
            ours = {}
            for table, order in (("payments", "id"), ("refunds", "id"), ("events", "sequence")):
                query = f"SELECT * FROM {table} WHERE merchant_id = :name ORDER BY {order}"  # noqa: S608 - our names
                result = await connection.execute(text(query), {"name": shop.merchant})
                ours[table] = [dict(row) for row in result.mappings()]
    finally:
        await database.close()
    inbox = await shop.inbox()
    mine = {payment["id"].hex for payment in ours["payments"]}
    ledger = [move for move in await shop.look("ledger") if move["reference"] in mine]
    orders = [order for order in await shop.look("orders") if order["reference"] in mine]
    return Books(**ours, orders=orders, ledger=ledger, inbox=inbox)


async def unknown_orders(shop: Shop) -> list[Row]:
    """Orders at the providers, of any merchant, that our books know nothing of."""
    database = Database(shop.database_url)
    try:
        async with database.statement() as connection:
            ids = await connection.scalars(text("SELECT id FROM payments"))
            known = {UUID(str(id_)).hex for id_ in ids}
    finally:
        await database.close()
    return [order for order in await shop.look("orders") if order["reference"] not in known]


def differences(books: Books) -> Iterator[str]:
    """Everything that does not agree, in words."""
    for payment in books.payments:
        moves = [move for move in books.ledger if move["reference"] == payment["id"].hex]
        refunds = [refund for refund in books.refunds if refund["payment_id"] == payment["id"]]
        events = [event for event in books.events if event["payment_id"] == payment["id"]]
        found = [
            *_money(payment, moves),
            *_refunds(refunds, moves),
            *_events(payment, refunds, events),
            *_telling(events, books.inbox),
        ]
        yield from (f"{payment['provider']} {payment['id']}: {problem}" for problem in found)
    made = {event["id"] for event in books.events}
    if strange := [m["id"] for m in books.inbox if UUID(m["id"]) not in made]:
        yield f"told of what our books do not know: {strange}"


def _money(payment: Row, moves: list[Row]) -> Iterator[str]:
    captures = [move["amount"] for move in moves if move["kind"] == "capture"]
    given_back = sum(move["amount"] for move in moves if move["kind"] == "refund")
    if payment["attention"] is not None:
        return  # a person looks at it: the books may differ until they have
    if payment["status"] == "pending":
        yield "still pending"
    if payment["refund_reserved"]:
        yield f"{payment['refund_reserved']} reserved for refunds"
    if len(captures) > 1:
        yield f"captured {len(captures)} times"
    if payment["captured"] != sum(captures):
        yield f"{payment['status']}, captured {payment['captured']} here, {captures} there"
    if payment["refunded"] != given_back:
        yield f"refunded {payment['refunded']} here, {given_back} there"


def _refunds(refunds: list[Row], moves: list[Row]) -> Iterator[str]:
    here = {r["id"].hex: r["amount"] for r in refunds if r["status"] == "succeeded"}
    there: dict[str, list[int]] = defaultdict(list)
    for move in moves:
        if move["kind"] == "refund":
            there[move["refund_reference"]].append(move["amount"])
    if {name: [amount] for name, amount in here.items()} != there:
        yield f"refunds {here} here, {dict(there)} there"
    for refund in refunds:
        if refund["status"] == "pending" and refund["attention"] is None:
            yield f"refund {refund['id']} still pending"


def _events(payment: Row, refunds: list[Row], events: list[Row]) -> Iterator[str]:
    if [event["sequence"] for event in events] != list(range(1, len(events) + 1)):
        yield f"events are numbered {[event['sequence'] for event in events]}"
    ends = [ENDS[event["type"]] for event in events if event["type"] in ENDS]
    expected = [] if payment["status"] == "pending" else [payment["status"]]
    if ends != expected:
        yield f"{payment['status']}, with events of {ends}"
    for refund in refunds:
        told = [
            e["type"]
            for e in events
            if e["refund_id"] == refund["id"] and e["type"] != "payment.attention"
        ]
        expected = [] if refund["status"] == "pending" else [f"refund.{refund['status']}"]
        if told != expected:
            yield f"refund {refund['id']} is {refund['status']}, with events {told}"


def _telling(events: list[Row], inbox: list[Row]) -> Iterator[str]:
    sequence = {str(event["id"]): event["sequence"] for event in events}
    if undelivered := [e["type"] for e in events if e["delivery"] != "delivered"]:
        yield f"not delivered: {undelivered}"
    accepted = [m["id"] for m in inbox if m["status"] == httpx.codes.OK and m["id"] in sequence]
    if missing := sequence.keys() - set(accepted):
        yield f"the merchant has not seen {missing}"
    # A repeat whose answer was lost may come after later events; it is nothing new to anybody.
    first_told = [sequence[event] for event in dict.fromkeys(accepted)]
    if first_told != sorted(first_told):
        yield f"told in the order {first_told}"
