"""From a request to the payment or refund that it proposes. Pure but for the clock it is given."""

from datetime import datetime, timedelta

from api.schemas import PaymentRequest, RefundRequest
from domain.errors import Conflict, InvalidRequest
from domain.identity import payment_id, refund_id
from domain.merchant import Merchant
from domain.payment import Payer, Payment
from domain.refund import Refund
from providers.base import ChannelRules, Provider
from providers.registry import Registry


def propose_payment(
    merchant: Merchant, request: PaymentRequest, key: str, registry: Registry, now: datetime
) -> Payment:
    """The payment that the request asks for; InvalidRequest says what its provider cannot do."""
    offered = registry.offered_to(merchant.id)
    provider = offered.get(
        request.provider, request.account or offered.default_account(request.provider)
    )
    rules = _channel_rules(provider, request)
    _check_currency(provider, request.currency)
    payer = request.payer.to_domain()
    _check_payer(rules, payer, request)
    return Payment(
        id=payment_id(merchant.id, key),
        merchant_id=merchant.id,
        order_no=request.order_no,
        idempotency_key=key,
        request_hash=request.digest(),
        provider=provider.name,
        account=provider.account,
        channel=request.channel,
        amount=request.amount,
        currency=request.currency,
        subject=request.subject,
        payer=payer,
        return_url=request.return_url,
        metadata=request.metadata,
        created_at=now,
        expires_at=now + _life(rules, request.expires_in),
    )


def propose_refund(payment: Payment, request: RefundRequest, key: str, now: datetime) -> Refund:
    """The refund that the request asks for; Conflict where there is nothing to give back."""
    if payment.captured == 0:
        raise Conflict(
            f"The payment is {payment.status}: there is no money to give back.",
            code="payment_not_paid",
        )
    wanted = request.amount or payment.refundable
    if not 0 < wanted <= payment.refundable:
        raise Conflict(
            f"At most {payment.refundable} can be refunded:"
            f" {payment.captured} captured, {payment.refunded} refunded,"
            f" {payment.refund_reserved} under way.",
            code="refund_exceeds_captured",
            param="amount",
        )
    return Refund(
        id=refund_id(payment.id, key),
        payment_id=payment.id,
        merchant_id=payment.merchant_id,
        idempotency_key=key,
        request_hash=request.digest(),
        provider=payment.provider,
        account=payment.account,
        amount=wanted,
        currency=payment.currency,
        reason=request.reason,
        created_at=now,
    )


def _channel_rules(provider: Provider, request: PaymentRequest) -> ChannelRules:
    rules = provider.channels.get(request.channel)
    if rules is None:
        offered = ", ".join(sorted(provider.channels))
        raise InvalidRequest(
            f"{provider.name} account {provider.account!r} does not offer {request.channel};"
            f" use one of: {offered}.",
            param="channel",
        )
    return rules


def _check_currency(provider: Provider, currency: str) -> None:
    if currency not in provider.currencies:
        taken = ", ".join(sorted(provider.currencies))
        raise InvalidRequest(
            f"{provider.name} does not take {currency}; use {taken}.", param="currency"
        )


def _check_payer(rules: ChannelRules, payer: Payer, request: PaymentRequest) -> None:
    for need in rules.needs:
        fields = need.split("|")
        if not any(getattr(payer, field) for field in fields):
            wanted = " or ".join(f"payer.{field}" for field in fields)
            raise InvalidRequest(
                f"{request.provider}'s {request.channel} channel needs {wanted}.",
                param=f"payer.{fields[0]}",
            )


def _life(rules: ChannelRules, seconds: int | None) -> timedelta:
    if seconds is None:
        return rules.default_expiry
    shortest = int(rules.shortest_expiry.total_seconds())
    longest = int(rules.longest_expiry.total_seconds())
    if not shortest <= seconds <= longest:
        raise InvalidRequest(
            f"expires_in must be between {shortest} and {longest} seconds for this channel.",
            param="expires_in",
        )
    return timedelta(seconds=seconds)
