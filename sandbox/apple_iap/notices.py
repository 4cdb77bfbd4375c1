# What a notification says (App Store Server Notifications, version 2). It is frozen when the
# event happens; signing, afresh for every attempt and every look into the history, is `build`'s.
import json
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from sandbox.apple_iap.flaws import CLAIM_FLAWS, Claims, spoil
from sandbox.apple_iap.keys import APP, KeyRing
from sandbox.apple_iap.signing import FORGERIES, sign
from sandbox.apple_iap.store import AppSettings
from sandbox.apple_iap.transactions import Transactions
from sandbox.apple_iap.views import (
    PROVIDER,
    millis,
    new_uuid,
    renewal_claims,
    transaction_claims,
)
from sandbox.books import Order
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.side import Message, Notice

HOUR = 3600.0
LADDER = (1 * HOUR, 12 * HOUR, 24 * HOUR, 48 * HOUR, 72 * HOUR)
ACCEPTED = range(200, 207)
CHARGE = "ONE_TIME_CHARGE"
KINDS = {CHARGE: "payment", "SUBSCRIBED": "payment", "REFUND": "refund"}
VERSION = "2.0"


@dataclass(frozen=True)
class Herald:
    """Tells the app's one address what happened."""

    context: Context
    keys: KeyRing
    settings: AppSettings
    transactions: Transactions

    def tell(
        self,
        order: Order,
        event: tuple[str, str | None],
        *,
        notify: bool = True,
        more: Claims | None = None,
    ) -> Notice | None:
        """Announce a type and subtype; with `notify` false it is only in the history.

        `more` goes into `data`. None where the store says nothing.
        """
        if event[0] == CHARGE and not self.settings.tells_one_time_charges:
            return None
        notice = self._notice(order.reference, event, self._data(order) | (more or {}))
        now = self.context.clock.now()
        notice.content["transaction"] = transaction_claims(order, now)
        if "subscription" in self.transactions.origin(order).extra:
            origin = self.transactions.origin(order)
            notice.content["renewal"] = renewal_claims(origin, order, now)
            notice.content["body"]["status"] = origin.extra["subscription"]["status"]
        return self._send(notice, notify=notify)

    def tell_section(self, event: tuple[str, str | None], section: str, body: Claims) -> Notice:
        """Announce something that is about no transaction (`summary`, `appData`, `TEST`)."""
        notice = self._notice(f"{event[0].lower()}-{new_uuid()}", event, body)
        notice.content["section"] = section
        return self._send(notice, notify=True)

    def app_data(self, environment: str) -> Claims:
        """The `data` of a notification about the app itself."""
        data = {"bundleId": self.keys.bundle_id, "environment": environment}
        # The sandbox has no app in a store.
        return data | ({"appAppleId": self.keys.app_apple_id} if environment != "Sandbox" else {})

    def again(self, order: Order, kind: str) -> Notice | None:
        """The order's newest notification of that kind, as it was sent."""
        found = self.context.notifier.notices(PROVIDER, order.reference)
        return next((notice for notice in reversed(found) if notice.kind == kind), None)

    def build(self, notice: Notice, fault: Fault | None) -> Message:
        """The signed body of one attempt, misbehaving as the fault says."""
        body = json.dumps({"signedPayload": self.payload(notice, fault)}, separators=(",", ":"))
        return Message({"content-type": "application/json"}, body.encode())

    def payload(self, notice: Notice, fault: Fault | None = None) -> str:
        """The signed payload of a notification."""
        kind, params = (fault.kind, fault.params) if fault else ("", {})
        content = notice.content
        # Copies: the notification itself is signed again, and told again, as it was.
        body = dict(content["body"])
        if content["section"] == "data":
            body = dict(spoil(body, kind, params))
        inner = "foreign_ca" if kind == "nested_foreign_ca" else None
        for name in ("transaction", "renewal"):
            if claims := content.get(name):
                signed = sign(self.keys, spoil(claims, kind, params), inner)
                body[f"signed{name.capitalize()}Info"] = signed
        head = spoil(content["head"], kind if kind in HEAD_FLAWS else "", params)
        claims = head | {content["section"]: body}
        return sign(self.keys, claims, kind if kind in FORGERIES else None)

    def _notice(self, reference: str, event: tuple[str, str | None], body: Claims) -> Notice:
        notification_type, subtype = event
        head: dict[str, Any] = {"notificationType": notification_type}
        head |= {"subtype": subtype} if subtype else {}
        head |= {"notificationUUID": new_uuid(), "version": VERSION}
        head["signedDate"] = millis(self.context.clock.now())
        return Notice(
            notice_id=head["notificationUUID"],
            provider=PROVIDER,
            merchant=APP,
            reference=reference,
            kind=KINDS.get(notification_type, "store"),
            url=self.settings.notification_url or "",
            content={"head": head, "section": "data", "body": body},
        )

    def _data(self, order: Order) -> Claims:
        data = self.app_data(order.extra["transaction"]["environment"])
        return data | {"bundleVersion": "1.0"}

    def _send(self, notice: Notice, *, notify: bool) -> Notice:
        if notify and notice.url:
            self.context.notifier.schedule(notice)
        else:
            self.context.notifier.keep(notice)
        return notice


HEAD_FLAWS: Sequence[str] = ("unknown_type", "stale")
NOTIFY_FAULTS = (*FORGERIES, *CLAIM_FLAWS)
