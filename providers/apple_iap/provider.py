"""One app in the App Store: the app sells, we hold what it brings against what Apple signed."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any

import httpx

from domain.checkout import Created
from domain.consumption import Consumption
from domain.errors import OutcomeUnknown, ProviderRejected
from domain.notification import Acknowledgement, Notification
from domain.payment import Channel, Payment
from domain.purchase import Purchase
from domain.report import Outcome, PaymentReport
from providers.apple_iap import codes, mapping
from providers.apple_iap.checkouts import checkout
from providers.apple_iap.client import AppleClient
from providers.apple_iap.config import PROVIDER, AppleIapConfig, Environment
from providers.apple_iap.keys import Verifier
from providers.apple_iap.notification import Reader
from providers.apple_iap.recall import Recall, Wanted
from providers.apple_iap.store import AppStore
from providers.base import ChannelRules
from providers.kit.reports import bare_report

_NOT_FOUND = "NOT_FOUND"
_TEST_REFUSED = "TEST_PURCHASE_REFUSED"


class AppleIapProvider:
    """Implements `providers.base.Provider` and `providers.base.Store` for one app."""

    name = PROVIDER
    channels: Mapping[Channel, ChannelRules] = mapping.CHANNELS
    currencies = mapping.CURRENCIES
    confirms_notifications = False

    def __init__(
        self, config: AppleIapConfig, *, http: httpx.AsyncClient, clock: Callable[[], datetime]
    ) -> None:
        self.account = config.name
        self._config = config
        self._reader = Reader(config, Verifier(config, clock))
        self._store = AppStore(AppleClient(config, http, clock), self._reader, clock)
        self._recall = Recall(self._store.notifications)
        self._clock = clock

    async def create(self, payment: Payment) -> Created:
        """What the app buys with; Apple hears of it only when the buyer confirms."""
        if payment.product_id is None:
            raise ProviderRejected(
                "An in-app purchase is of a product of the catalogue, and the payment names none.",
                provider=PROVIDER,
                provider_code="product_missing",
            )
        return Created(checkout=checkout(payment))

    async def query(self, payment: Payment) -> PaymentReport:
        """Ask about the purchase: by its number, which Apple's history tells where we have none.

        The App Store has no order before the purchase, so that none is found is no error.
        """
        try:
            number = payment.provider_reference or await self._recall.find(
                payment.reference,
                payment.created_at,
                self._clock(),
                Wanted(payment.product_id, payment.quantity),
            )
            if number is not None:
                return await self._known(payment, number)
        except ProviderRejected as error:
            raise _says_nothing(error) from error
        return bare_report(payment, Outcome.NOT_FOUND, _NOT_FOUND)

    async def close(self, payment: Payment) -> PaymentReport:
        """Look once more; there is no order to end.

        A purchase that a parent still may approve would be late money, and welcome.
        """
        report = await self.query(payment)
        if report.outcome is Outcome.PAID:
            return report
        return bare_report(payment, Outcome.CLOSED, report.raw_status)

    async def parse_notification(
        self,
        headers: Mapping[str, str],  # noqa: ARG002 - Apple signs nothing there
        body: bytes,
    ) -> Notification:
        """Verify the message and all that is signed inside it; raises InvalidSignature."""
        return self._reader.body(body)

    def acknowledge(self, *, accepted: bool, message: str = "") -> Acknowledgement:  # noqa: ARG002
        """The status decides; anything but 200 to 206 makes Apple send again."""
        return Acknowledgement(status=200 if accepted else 503, content_type="text/plain", body=b"")

    def app(self, *, test: bool) -> str:
        """The bundle id and the environment."""
        return self._config.app(Environment.SANDBOX if test else Environment.PRODUCTION)

    async def verify_purchase(self, signed: str) -> Notification:
        """What the app brings, checked without a call; raises InvalidSignature."""
        return self._reader.brought(signed)

    def takes(self, purchase: Purchase, payment: Payment) -> bool:
        """A test purchase at an account that sells for real: only of a listed tester."""
        return self._config.takes(purchase, payment)

    async def ask_purchase(self, transaction_id: str) -> Purchase:
        """What is true of the transaction now."""
        return await self._store.transaction(transaction_id)

    async def find_purchases(self, transaction_id: str) -> list[Purchase]:
        """All of the customer's, refunded and finished ones too."""
        return await self._store.history(transaction_id)

    async def find_lost(self, since: datetime) -> list[Notification]:
        """Everything that Apple has told since then, in the order of its signing."""
        found = [told async for told in self._store.notifications(since)]
        return sorted(found, key=lambda told: told.change.signed_at if told.change else since)

    async def send_consumption(self, transaction_id: str, consumption: Consumption) -> None:
        """Answer a CONSUMPTION_REQUEST, within its twelve hours."""
        body = mapping.consumption_body(consumption)
        await self._store.send_consumption(transaction_id, body)

    async def _known(self, payment: Payment, transaction_id: str) -> PaymentReport:
        try:
            found = await self._store.transaction(transaction_id)
        except ProviderRejected as error:
            if error.provider_code in codes.NOT_FOUND:
                return bare_report(payment, Outcome.NOT_FOUND, str(error.provider_code))
            raise
        if not self.takes(found, payment):
            return bare_report(payment, Outcome.NOT_FOUND, _TEST_REFUSED)
        report = mapping.paid(found, "TRANSACTION")
        # Without a token it was bound to the payment by whoever claimed it first.
        return (
            report
            if report.reference
            else report.model_copy(update={"reference": payment.reference})
        )


def build(
    account: Mapping[str, Any],
    *,
    http: httpx.AsyncClient,
    clock: Callable[[], datetime],
    notify_url: str,  # noqa: ARG001 - told to Apple in App Store Connect, not in a call
    return_url: str | None = None,  # noqa: ARG001 - no browser is sent anywhere
) -> AppleIapProvider:
    """The provider of one configured account; raises ValueError for a bad configuration."""
    config = AppleIapConfig.model_validate(dict(account))
    try:
        return AppleIapProvider(config, http=http, clock=clock)
    except ValueError as error:
        raise ValueError(f"{PROVIDER} account {config.name!r}: {error}") from error


def _says_nothing(error: ProviderRejected) -> OutcomeUnknown:
    """A refused question: not a word of the money."""
    return OutcomeUnknown(
        error.message,
        provider=PROVIDER,
        provider_code=error.provider_code,
        provider_message=error.provider_message,
    )
