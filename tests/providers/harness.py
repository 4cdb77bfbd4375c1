"""What the shared contract tests must know of a provider; each has one in its own folder."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

from domain.checkout import Checkout
from domain.payment import Channel, Payer
from domain.report import Attention
from providers.base import ChannelRules
from settings import read_files


@dataclass(frozen=True)
class Disagreement:
    """How this provider can tell of a payment that is not the one we made.

    `fault` with `params` makes a notification say so; a payer does it who pays `amount`, or with
    `sheet` over the checkout's parameters. `attention` is what a person is then called for.
    """

    fault: str
    params: Mapping[str, Any]
    attention: Attention
    amount: int | None = None
    sheet: Mapping[str, str] = field(default_factory=dict)


ANOTHER_SUM = Disagreement(
    fault="wrong_amount", params={"amount": 1}, amount=1, attention=Attention.AMOUNT_MISMATCH
)


class Harness(Protocol):
    """One provider, as the contract tests see it.

    `channels` are the provider's own rules, which say what can be asked of it; `channel` is the
    one that most tests pay through. `order` is what a payment of this provider's has by itself.
    """

    name: str
    channels: Mapping[Channel, ChannelRules]
    channel: Channel
    order: Mapping[str, Any]
    disagreement: Disagreement

    @property
    def modes(self) -> tuple[str, ...]:
        """Its kinds of account in the sandbox's manifest."""
        ...

    def notify_urls(self, public_url: str) -> dict[str, str]:
        """Where the provider is told our address once for all, and which one it is."""
        ...

    def payer(self, channel: Channel) -> Payer:
        """A payer who pays at once."""
        ...

    def checkout(self, checkout: Checkout) -> str | None:
        """What the payer's device opens; None where the order alone is enough."""
        ...


def account_of(manifest: Mapping[str, Any], provider: str, mode: str) -> dict[str, Any]:
    """The account of the sandbox's manifest, as `Settings.read_accounts` would give it."""
    accounts = {account["name"]: account for account in manifest["accounts"][provider]}
    return read_files(accounts[mode], Path("/"))
