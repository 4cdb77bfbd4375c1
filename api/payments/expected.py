"""Payments that this process has created and that have had no notification yet.

Their first notification needs no look-up: what it is held against (the amount, the account, what
was sold) never changes, and a workflow that has ended is noticed when it is signalled. Every
further one, and whatever does not fit, is looked up in the database.
"""

from collections import OrderedDict
from uuid import UUID

from domain.identity import parse_reference
from domain.notification import Notification
from domain.payment import Payment
from storage.notifications import Addressee

# The newest, some kilobytes each.
_REMEMBERED = 2000


class ExpectedPayments:
    """Each is remembered until its first notification."""

    def __init__(self) -> None:
        self._made: OrderedDict[UUID, Payment] = OrderedDict()

    def made(self, payment: Payment) -> None:
        """A payment was made here and waits for its payer."""
        self._made[payment.id] = payment
        if len(self._made) > _REMEMBERED:
            self._made.popitem(last=False)

    def addressee(self, notification: Notification) -> Addressee | None:
        """Whom a first notification is for; None where the database must say."""
        payment_id = _named(notification)
        payment = self._made.pop(payment_id, None) if payment_id else None
        if payment is None:
            return None
        report = notification.payment
        if report is not None and payment.mismatch(report) is not None:
            return None
        return Addressee(payment)


def _named(notification: Notification) -> UUID | None:
    """The payment that the notification itself names, and no other's claim can come before."""
    if notification.change is None:
        return parse_reference(notification.reference) if notification.payment else None
    purchase = notification.change.standing
    # A purchase with a token is for the payment that it names: nobody else can claim it. A renewal
    # belongs to whom its chain began with.
    return None if purchase is None or purchase.renewal else purchase.token
