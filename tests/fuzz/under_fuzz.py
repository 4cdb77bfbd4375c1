"""What a parser under fuzz is, and the payment and refund that their messages are about."""

import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any
from uuid import UUID

from domain.errors import OutcomeUnknown, PaymentError, ProviderRejected, ProviderUnavailable
from domain.payment import Channel, Payer, Payment
from domain.refund import Refund
from tests.fuzz.mangling import Message
from tests.providers.alipay.test_notification import FIELDS

NOW = datetime(2026, 11, 22, 8, tzinfo=UTC)
CALL = (ProviderRejected, ProviderUnavailable, OutcomeUnknown)


@dataclass(frozen=True)
class Parser:
    """One reader of foreign bytes.

    `read` returns what it understood; `refusals` are the only errors that it may raise. `seal`
    puts any content where genuine `contents` stand and signs it as the provider would, so that
    what comes after the signature's check is under fuzz as well. `distrust` is what a message
    with another signature leads to, None where nothing is signed. `forge` puts the second content
    under the first one's signature, where that is not done by replacing one by the other.
    """

    read: Callable[[Message], Awaitable[object]]
    contents: Sequence[bytes]
    seal: Callable[[bytes], Message] = Message
    refusals: tuple[type[PaymentError], ...] = ()
    distrust: type[PaymentError] | None = None
    forge: Callable[[bytes, bytes], Message] | None = None


def as_json(value: Any) -> bytes:
    return json.dumps(value, ensure_ascii=False).encode()


def payment_at(provider: str, channel: Channel = Channel.QR) -> Payment:
    return Payment(
        id=UUID(FIELDS["out_trade_no"]),
        merchant_id="shop",
        order_no="order-1",
        idempotency_key="key",
        request_hash="hash",
        provider=provider,
        account="main",
        channel=channel,
        amount=1999,
        subject="Tea",
        payer=Payer(open_id="ou_1", auth_code="287654321098760000"),
        created_at=NOW,
        expires_at=datetime(2026, 11, 22, 8, 15, tzinfo=UTC),
    )


def refund_at(provider: str) -> Refund:
    return Refund(
        id=UUID("99999999222233334444555555555555"),
        payment_id=payment_at(provider).id,
        merchant_id="shop",
        idempotency_key="key",
        request_hash="hash",
        provider=provider,
        account="main",
        amount=700,
        reason="cold tea",
        created_at=NOW,
    )
