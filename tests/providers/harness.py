"""What the shared contract tests must know of a provider; each has one in its own folder."""

from typing import Any, Protocol

from domain.checkout import Checkout
from domain.payment import Channel, Payer


class Harness(Protocol):
    """One provider, as the contract tests see it."""

    name: str

    @property
    def modes(self) -> tuple[str, ...]:
        """Its kinds of account in the sandbox's manifest."""
        ...

    def account(self, manifest: dict[str, Any], mode: str) -> dict[str, Any]:
        """The account of the sandbox's manifest, as `Settings.read_accounts` would give it."""
        ...

    def payer(self, channel: Channel) -> Payer:
        """A payer who pays at once."""
        ...

    def checkout(self, checkout: Checkout) -> str | None:
        """What the payer's device opens; None where the order alone is enough."""
        ...
