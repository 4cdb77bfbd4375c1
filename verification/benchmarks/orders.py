"""Orders for the benches that go around the API."""

from datetime import UTC, datetime, timedelta
from uuid import uuid4

from domain.payment import Channel, Payer, Payment
from verification.benchmarks.merchant import ACCOUNTS
from workflows.payment import PaymentOrder
from workflows.policies import payment_policy

_DAY = timedelta(days=1)


def order(provider: str, merchant: str = "bench", channel: Channel = Channel.QR) -> Payment:
    """A payment nobody has asked for yet."""
    order_no, now = uuid4().hex, datetime.now(UTC)
    return Payment(
        id=uuid4(),
        merchant_id=merchant,
        order_no=order_no,
        idempotency_key=order_no,
        request_hash="0" * 64,
        provider=provider,
        account=ACCOUNTS[provider],
        channel=channel,
        amount=1999,
        subject="明前龙井",
        payer=Payer(client_ip="203.0.113.7"),
        created_at=now,
        expires_at=now + timedelta(hours=2),
    )


def order_to_wait(merchant: str) -> PaymentOrder:
    """Its checkout is made without a call, and for a day nobody is asked about it."""
    payment = order("alipay", merchant, Channel.PAGE)
    policy = payment_policy(Channel.PAGE).model_copy(update={"grace": _DAY.total_seconds()})
    return PaymentOrder(
        payment=payment.model_copy(update={"expires_at": payment.created_at + _DAY}), policy=policy
    )
