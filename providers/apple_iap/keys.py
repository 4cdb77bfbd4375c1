"""Whose word it is: the App Store's signature first, then the environment, then the app.

Every signed text stands on its own: one inside another is verified as if it had come alone.
"""

from collections.abc import Callable
from datetime import datetime
from typing import Any

from providers.apple_iap import signing
from providers.apple_iap.certificates import APPLE_ROOT_G3, Trust, fingerprint
from providers.apple_iap.config import AppleIapConfig, Environment
from providers.apple_iap.signing import NotGenuine, Undocumented
from providers.apple_iap.wire import (
    NOTIFIED_PLACES,
    Data,
    Message,
    Renewal,
    Transaction,
    shaped,
)


class Verifier:
    """Reads what the App Store signed for one account; all of it raises NotGenuine."""

    def __init__(self, config: AppleIapConfig, clock: Callable[[], datetime]) -> None:
        self._config = config
        pin = APPLE_ROOT_G3
        if config.root_certificate is not None:
            pin = fingerprint(config.root_certificate)
        self._trust = Trust(frozenset({pin}))
        self._clock = clock

    def transaction(self, signed: str) -> Transaction:
        """A transaction, in whichever app it was bought: see `is_ours`."""
        found = shaped(Transaction, self._read(signed))
        self._check_environment(found.environment)
        return found

    def renewal(self, signed: str) -> Renewal:
        """What a subscription will do next."""
        found = shaped(Renewal, self._read(signed))
        self._check_environment(found.environment)
        return found

    def message(self, signed: str) -> Message:
        """A notification, in whichever app: see `is_about_us`."""
        payload = self._read(signed)
        try:
            found = shaped(Message, payload)
        except Undocumented as error:
            # Apple's root signs every app's transactions too, and their buyers hold them.
            if not self._names_us(payload):
                raise NotGenuine("it is no notification about this account's app") from error
            raise
        if found.data is not None or found.about.environment is not None:
            self._check_environment(found.about.environment)
        return found

    def is_ours(self, transaction: Transaction) -> bool:
        """Whether it was bought in this account's app."""
        return transaction.bundle_id == self._config.bundle_id

    def is_about_us(self, about: Data) -> bool:
        """Whether a notification's identity fields, as far as it has them, are our app's.

        The app's number is Production's alone: the sandbox does not tell it.
        """
        if about.bundle_id not in (None, self._config.bundle_id):
            return False
        if about.environment != Environment.PRODUCTION:
            return True
        return about.app_apple_id == self._config.app_apple_id

    def _names_us(self, payload: dict[str, Any]) -> bool:
        places = (payload.get(name) for name in NOTIFIED_PLACES)
        found = [place.get("bundleId") for place in places if isinstance(place, dict)]
        return self._config.bundle_id in found

    def _read(self, signed: str) -> dict[str, Any]:
        return signing.read(signed, self._trust, self._clock())

    def _check_environment(self, name: str | None) -> None:
        if name not in self._config.signers:
            raise NotGenuine(f"a word from {name!r} counts for nothing here")
