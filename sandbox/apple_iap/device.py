from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from sandbox.apple_iap.flaws import Claims, spoil
from sandbox.apple_iap.keys import KeyRing
from sandbox.apple_iap.notices import Herald
from sandbox.apple_iap.purchases import Purchases
from sandbox.apple_iap.receipts import Receipts
from sandbox.apple_iap.refunds import Refunds
from sandbox.apple_iap.signing import FORGERIES, sign
from sandbox.apple_iap.subscriptions import Subscriptions
from sandbox.apple_iap.transactions import Transactions
from sandbox.apple_iap.views import PROVIDER, WHOLE, renewal_claims, transaction_claims
from sandbox.books import Order
from sandbox.context import Context
from sandbox.side import ControlError

Action = Callable[[Claims], Claims]


@dataclass(frozen=True)
class Device:
    """What a buyer, a family and Apple's support may do, by the name of the deed."""

    context: Context
    keys: KeyRing
    transactions: Transactions
    purchases: Purchases
    subscriptions: Subscriptions
    refunds: Refunds
    herald: Herald
    receipts: Receipts

    def act(self, deed: str, content: Claims) -> Claims:
        """Do it; raises ControlError where it makes no sense."""
        action = self._deeds().get(deed)
        if action is None:
            raise ControlError(f"a device knows {', '.join(self._deeds())}; not {deed!r}", 404)
        try:
            with self.context.books.transaction():
                return action(content)
        except (KeyError, TypeError, ValueError) as error:
            raise ControlError(f"{deed} needs other content: {error!r}", 422) from error

    def shown(self, order: Order) -> Claims:
        """A purchase as the device has it; what is not bought has no signed transaction."""
        claims: Claims = order.extra.get("transaction", {})
        signed = None
        if claims:
            signed = sign(self.keys, transaction_claims(order, self.context.clock.now()))
        return {
            "transaction_id": claims.get("transactionId"),
            "original_transaction_id": claims.get("originalTransactionId"),
            "signed_transaction": signed,
            "order": order.document(),
        }

    def jws(self, content: Claims) -> Claims:
        """`jwsRepresentation` of a transaction, spoilt by `flaw` with `params`."""
        order = self._order(content)
        now = self.context.clock.now()
        flaw, params = str(content.get("flaw", "")), content.get("params") or {}
        known = flaw if flaw in FORGERIES else None
        claims = spoil(transaction_claims(order, now), flaw, params)
        answer = {"signed_transaction": sign(self.keys, claims | params.get("claims", {}), known)}
        origin = self.transactions.origin(order)
        if "subscription" in origin.extra:
            renewal = spoil(renewal_claims(origin, order, now), flaw, params)
            answer["signed_renewal"] = sign(self.keys, renewal, known)
        return answer

    def owned(self, customer: str | None) -> list[Claims]:
        """What one Apple account has bought, or everybody."""
        if customer is not None:
            return [self.shown(order) for order in self.transactions.of_customer(customer)]
        return [self.shown(order) for order in self.context.books.orders(PROVIDER)]

    def _deeds(self) -> dict[str, Action]:
        return {
            "buy": self._buy,
            "approve": self._approve,
            "decline": lambda content: self.shown(self.purchases.decline(self._asked(content))),
            "refund": self._refund,
            "reverse-refund": self._on(self.refunds.reverse),
            "decline-refund": self._on(self.refunds.refuse),
            "request-refund": self._request_refund,
            "renew": self._on(self.subscriptions.renew),
            "fail-renewal": self._fail_renewal,
            "end-grace": self._on(self.subscriptions.end_grace),
            "expire": self._expire,
            "auto-renew": self._auto_renew,
            "change-plan": self._change_plan,
            "extend": self._extend,
            "family-share": self._on(self.purchases.share),
            "family-revoke": self._on(self.purchases.unshare),
            "notify": self._notify,
            "receipt": lambda content: self.receipts.issue(self._order(content)),
        }

    def _on(self, action: Callable[..., object]) -> Action:
        def act(content: Claims) -> Claims:
            order = self._order(content)
            done = action(order, notify=_notify(content))
            return self.shown(done if isinstance(done, Order) else self._order(content))

        return act

    def _buy(self, content: Claims) -> Claims:
        order = self.purchases.ask(content)
        if content.get("ask_to_buy"):
            return self.shown(order)
        return self.shown(self.purchases.pay(order, notify=_notify(content)))

    def _approve(self, content: Claims) -> Claims:
        order = self._asked(content)
        return self.shown(self.purchases.pay(order, notify=_notify(content)))

    def _refund(self, content: Claims) -> Claims:
        share, reason = int(content.get("percentage", WHOLE)), int(content.get("reason", 0))
        order = self._order(content)
        self.refunds.grant(order, share=share, reason=reason, notify=_notify(content))
        return self.shown(self._order(content))

    def _request_refund(self, content: Claims) -> Claims:
        reason = str(content.get("reason", "UNINTENDED_PURCHASE"))
        return self.shown(self.refunds.request(self._order(content), reason))

    def _fail_renewal(self, content: Claims) -> Claims:
        order, grace = self._order(content), bool(content.get("grace"))
        failed = self.subscriptions.fail(order, grace=grace, notify=_notify(content))
        return self.shown(failed)

    def _expire(self, content: Claims) -> Claims:
        order, reason = self._order(content), str(content.get("reason", "VOLUNTARY"))
        return self.shown(self.subscriptions.expire(order, reason, notify=_notify(content)))

    def _auto_renew(self, content: Claims) -> Claims:
        order, enabled = self._order(content), bool(content.get("enabled"))
        changed = self.subscriptions.set_renewal(order, enabled=enabled, notify=_notify(content))
        return self.shown(changed)

    def _change_plan(self, content: Claims) -> Claims:
        order, product_id = self._order(content), content["product_id"]
        changed = self.subscriptions.change_plan(order, product_id, notify=_notify(content))
        return self.shown(changed)

    def _extend(self, content: Claims) -> Claims:
        order, days = self._order(content), int(content["days"])
        return self.shown(self.subscriptions.extend(order, days, notify=_notify(content)))

    def _notify(self, content: Claims) -> Claims:
        """Any type at all, about a transaction or with a section of its own."""
        event = (str(content["type"]), content.get("subtype"))
        if "transaction_id" in content:
            more = content.get("data") or {}
            notice = self.herald.tell(self._order(content), event, more=more)
        else:
            section = str(content.get("section", "data"))
            body = content.get("body") or self.herald.app_data("Sandbox")
            notice = self.herald.tell_section(event, section, body)
        return {"notification_uuid": notice and notice.notice_id}

    def _order(self, content: Claims) -> Order:
        return self.transactions.named(content["transaction_id"])

    def _asked(self, content: Claims) -> Order:
        """An open question or sheet, by its order's name."""
        order = self.context.books.find_order(PROVIDER, str(content["reference"]))
        if order is None:
            raise ControlError(f"no purchase {content['reference']!r} is open", 404)
        return order


def _notify(content: dict[str, Any]) -> bool:
    return bool(content.get("notify", True))
