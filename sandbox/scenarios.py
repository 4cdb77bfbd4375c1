"""What a side hands out for others to play through: the demo's payments, the chaos tests' cases."""

from collections.abc import Mapping
from dataclasses import dataclass, field


@dataclass(frozen=True, kw_only=True)
class DemoPayment:
    """One payment of the demo; `amount` in fen.

    `payer` is the request's; an `auth_code` there is the beginning of a payer's code, which eight
    digits and the ending of one that succeeds complete. `course` is what happens after the
    checkout: paid, lost (its notification is), expired, refunded, proved (by the app alone),
    restored or taken_back (by the store). `product` is what a store sells for its catalogue's
    `amount`. `notified` is false where the provider sends no notification of this channel.
    """

    account: str
    channel: str
    amount: int
    payer: dict[str, str] = field(default_factory=dict)
    course: str = "paid"
    product: str = ""
    notified: bool = True


# What is false in a notification of any provider: none of it may be believed.
FALSE = ("tamper_body", "foreign_key", "unknown_serial", "signtest")
FORGERIES = (*FALSE, "wrong_amount", "foreign_app", "stale")


@dataclass(frozen=True, kw_only=True)
class ChaosCases:
    """What a chaos test may do with one provider in addition to what it does with every one.

    `code_prefix` is the beginning of a payer's code, which nine digits and four deciding ones
    complete; `open_ids` are payers of the jsapi channel. Orders of the `local` channels are only
    signed; those of `late_channels` are not there to close before their payer opens them, so
    that they can be paid late. `sells` are a store's products with their prices in fen, and
    `countable` the one of which several are bought at a time.
    """

    accounts: tuple[str, ...]
    channels: tuple[str, ...]
    code_prefix: str = ""
    open_ids: tuple[str, ...] = ()
    local: frozenset[str] = frozenset()
    late_channels: tuple[str, ...] = ()
    sells: Mapping[str, int] = field(default_factory=dict)
    countable: str = ""
    # False where only time ends an order.
    closes: bool = True
    # The kinds of faults that only this provider's calls, notifications and refunds have.
    call_faults: tuple[str, ...] = ()
    notification_faults: tuple[str, ...] = ()
    refund_faults: tuple[str, ...] = ()
    # Whether a server error comes before or after the call was executed, and by which status.
    varies_server_errors: bool = False
    # False notifications that are sent on purpose.
    forgeries: tuple[str, ...] = FORGERIES
    # True where minutes pass to the second notification: one fault is enough to wait for.
    repeats_slowly: bool = False
    # Calls that no payment makes, with faults for whoever makes them next.
    calls_outside_payments: tuple[str, ...] = ()
