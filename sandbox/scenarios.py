"""What a side hands out for others to play through: the demo's payments."""

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
