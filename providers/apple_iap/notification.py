"""Reading what the App Store tells us, by notification or by the buyer's hand."""

from domain.errors import InvalidSignature, Unreadable
from domain.notification import Notification, NotificationKind
from domain.purchase import Purchase
from domain.report import Attention
from domain.store_change import Change, StoreChange
from providers.apple_iap import mapping
from providers.apple_iap.changes import meaning_of, raw_type
from providers.apple_iap.config import PROVIDER, AppleIapConfig
from providers.apple_iap.keys import Verifier
from providers.apple_iap.signing import LARGEST, NotGenuine, Undocumented, parse_object
from providers.apple_iap.wire import Data, Message

# What a transaction says that the buyer brings: the store has no word for it.
BROUGHT = "TRANSACTION"


class Reader:
    """Turns verified words into notifications of one account."""

    def __init__(self, config: AppleIapConfig, verifier: Verifier) -> None:
        self._account = config.name
        self._sells_in = config.environment
        self._verifier = verifier

    def body(self, body: bytes) -> Notification:
        """What was posted to us; raises InvalidSignature."""
        try:
            return self.message(_signed_payload(body))
        except NotGenuine as error:
            raise _refused(error) from error

    def message(self, signed: str) -> Notification:
        """A signed notification; raises NotGenuine."""
        message = self._verifier.message(signed)
        raw = raw_type(message.notification_type, message.subtype)
        meaning = meaning_of(message.notification_type, message.subtype)
        about = message.about
        found, is_ours = self._purchase(about)
        is_ours = is_ours and self._verifier.is_about_us(about)
        if found is not None and meaning.sells and mapping.is_a_sale(found):
            change = self._change(message, found, meaning.change) if is_ours else None
            return self._sale(message.notification_uuid, found, raw, change)
        if not is_ours:
            return Notification(
                provider=PROVIDER,
                account=self._account,
                notification_id=message.notification_uuid,
                kind=NotificationKind.STORE,
                reference="",
                names_another_account=True,
            )
        return self._word(message.notification_uuid, self._change(message, found, meaning.change))

    def brought(self, signed: str) -> Notification:
        """A signed transaction from the buyer's own hand; raises InvalidSignature.

        The same transaction, signed again, is another message: it may say more.
        """
        try:
            found = self.purchase(signed)
        except NotGenuine as error:
            raise _refused(error) from error
        change = StoreChange(
            purchase=found,
            change=mapping.change_of(found),
            raw_type=BROUGHT,
            signed_at=found.signed_at,
        )
        number = f"{found.transaction_id}.{round(found.signed_at.timestamp() * 1000)}"
        if mapping.is_a_sale(found):
            return self._sale(number, found, BROUGHT, change)
        return self._word(number, change)

    def purchase(self, signed: str) -> Purchase:
        """A signed transaction in our app; raises NotGenuine."""
        transaction = self._verifier.transaction(signed)
        if not self._verifier.is_ours(transaction):
            raise NotGenuine("the purchase was made in another app")
        try:
            return mapping.purchase(transaction, self._account, self._sells_in)
        except mapping.Unmapped as error:
            raise NotGenuine(str(error)) from error

    def _purchase(self, about: Data) -> tuple[Purchase | None, bool]:
        """The transaction that a notification is about, and whether it was bought in our app."""
        if about.signed_transaction_info is None:
            return None, True
        transaction = self._verifier.transaction(about.signed_transaction_info)
        if transaction.environment != about.environment:
            raise NotGenuine("the message and its transaction are of two environments")
        is_ours = self._verifier.is_ours(transaction)
        try:
            return mapping.purchase(transaction, self._account, self._sells_in), is_ours
        except mapping.Unmapped:
            # Genuine, and nothing that we could act on: kept, like a type of word that is new.
            return None, is_ours

    def _change(self, message: Message, found: Purchase | None, change: Change) -> StoreChange:
        about = message.about
        renewal = None
        if about.signed_renewal_info is not None:
            renewal = self._verifier.renewal(about.signed_renewal_info)
        status = renewal.auto_renew_status if renewal else None
        return StoreChange(
            purchase=found,
            # A change of nothing that we know can only be kept.
            change=change if found else Change.RECORDED,
            raw_type=raw_type(message.notification_type, message.subtype),
            signed_at=message.signed_date,
            auto_renews=None if status is None else bool(status),
            grace_until=renewal.grace_period_expires_date if renewal else None,
            reason=about.consumption_request_reason,
        )

    def _sale(
        self, number: str, found: Purchase, raw: str, change: StoreChange | None
    ) -> Notification:
        report = mapping.paid(found, raw, None if change else Attention.ACCOUNT_MISMATCH)
        return Notification(
            provider=PROVIDER,
            account=self._account,
            notification_id=number,
            kind=NotificationKind.PAYMENT,
            reference=report.reference,
            payment=report,
            change=change,
        )

    def _word(self, number: str, change: StoreChange) -> Notification:
        token = change.purchase.token if change.purchase else None
        return Notification(
            provider=PROVIDER,
            account=self._account,
            notification_id=number,
            kind=NotificationKind.STORE,
            reference=token.hex if token else "",
            change=change,
        )


def _signed_payload(body: bytes) -> str:
    if len(body) > LARGEST:
        raise NotGenuine("the message is too large")
    signed = parse_object(body).get("signedPayload")
    if not isinstance(signed, str):
        raise NotGenuine("the message carries no signedPayload")
    return signed


def _refused(error: NotGenuine) -> InvalidSignature:
    kind = Unreadable if isinstance(error, Undocumented) else InvalidSignature
    return kind(f"{PROVIDER}: {error}", provider=PROVIDER)
