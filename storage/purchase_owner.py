"""The payment that a purchase belongs to, found in one statement."""

from typing import Any

from sqlalchemy import Uuid, bindparam, case, select

from domain.purchase import Purchase
from storage.tables import entitlements, grants, payments

_OF_TRANSACTION = select(grants.c.payment_id).where(
    grants.c.provider == bindparam("sold_by"),
    grants.c.app == bindparam("sold_in"),
    grants.c.transaction_id == bindparam("transaction"),
)
_OF_CHAIN = select(entitlements.c.payment_id).where(
    entitlements.c.provider == bindparam("sold_by"),
    entitlements.c.app == bindparam("sold_in"),
    entitlements.c.original_transaction_id == bindparam("chain"),
)
# Built once: building a statement costs more than PostgreSQL takes to run it.
OWNERS = select(
    _OF_TRANSACTION.scalar_subquery().label("transaction"),
    _OF_CHAIN.scalar_subquery().label("chain"),
)
_owners = OWNERS.cte("owners")
_BOUGHT_BY, _TOKEN = bindparam("bought_by", type_=Uuid()), bindparam("token", type_=Uuid())
# The first of these that is a payment in the database is the owner.
_CANDIDATES = (_owners.c.transaction, _BOUGHT_BY, _owners.c.chain, _TOKEN)
PAYMENT = (
    select(payments)
    .select_from(payments.join(_owners, payments.c.id.in_(_CANDIDATES)))
    .order_by(case(*((payments.c.id == each, rank) for rank, each in enumerate(_CANDIDATES))))
    .limit(1)
)


def of(purchase: Purchase) -> dict[str, Any]:
    """Return what fills both statements."""
    return {
        "sold_by": purchase.provider,
        "sold_in": purchase.app,
        "transaction": purchase.transaction_id,
        "chain": purchase.original_transaction_id,
        "bought_by": None if purchase.renewal else purchase.token,
        "token": purchase.token,
    }
