"""Rows to domain values and back. Nothing else may live here."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import BindParameter, Column, RowMapping, bindparam

from domain.entitlement import Entitlement
from domain.event import Event
from domain.merchant import Merchant
from domain.payment import Payment
from domain.refund import Refund

# The payer is not stored, the purchase as a grant.
_NO_COLUMNS = {"payer", "purchase"}
PAYMENT_COLUMNS = [name for name in Payment.model_fields if name not in _NO_COLUMNS]
REFUND_COLUMNS = list(Refund.model_fields)


def payment_values(payment: Payment) -> dict[str, Any]:
    """The columns of a payment; the payer and the purchase have none."""
    documents = {
        "checkout": payment.checkout and payment.checkout.model_dump(mode="json"),
        "failure": payment.failure and payment.failure.model_dump(mode="json"),
    }
    return payment.model_dump(exclude={*_NO_COLUMNS, *documents}) | documents


def refund_values(refund: Refund) -> dict[str, Any]:
    """The columns of a refund."""
    failure = refund.failure and refund.failure.model_dump(mode="json")
    return refund.model_dump(exclude={"failure"}) | {"failure": failure}


def parameter(column: Column[Any]) -> BindParameter[Any]:
    """The parameter that carries a column's new value."""
    return bindparam(f"new_{column.name}", type_=column.type)


def named(values: Mapping[str, Any]) -> dict[str, Any]:
    """Values under the names of their parameters."""
    return {f"new_{name}": value for name, value in values.items()}


def to_payment(row: RowMapping | Mapping[str, Any]) -> Payment:
    """A row of payments."""
    return Payment.model_validate(dict(row))


def to_refund(row: RowMapping | Mapping[str, Any]) -> Refund:
    """A row of refunds."""
    return Refund.model_validate(dict(row))


def to_event(row: RowMapping | Mapping[str, Any]) -> Event:
    """A row of events."""
    return Event.model_validate(dict(row))


def to_entitlement(row: RowMapping | Mapping[str, Any]) -> Entitlement:
    """A row of entitlements."""
    return Entitlement.model_validate(dict(row))


def to_merchant(row: RowMapping | Mapping[str, Any]) -> Merchant:
    """A row of merchants."""
    return Merchant.model_validate(dict(row))
