"""From a request to the payment or refund that it proposes. Pure but for the clock it is given."""

from dataclasses import dataclass
from datetime import datetime, timedelta

from api.in_app.catalogue import Catalogue
from api.schemas import PaymentRequest, RefundRequest
from domain.errors import Conflict, InvalidRequest
from domain.identity import IdentityKey
from domain.merchant import Merchant
from domain.payment import Payer, Payment
from domain.product import Product, ProductType
from domain.refund import Refund
from providers.base import ChannelRules, Provider, Store
from providers.registry import Registry

# StoreKit takes a quantity for these alone.
_COUNTED = (ProductType.CONSUMABLE, ProductType.NON_RENEWING)


@dataclass(frozen=True)
class Shelf:
    """Who sells, what, and the key that names its payments."""

    registry: Registry
    catalogue: Catalogue
    identity: IdentityKey


@dataclass(frozen=True)
class _Goods:
    subject: str
    amount: int
    currency: str


def propose_payment(
    merchant: Merchant, request: PaymentRequest, key: str, shelf: Shelf, now: datetime
) -> Payment:
    """The payment that the request describes; InvalidRequest says what its provider cannot do."""
    offered = shelf.registry.offered_to(merchant.id)
    provider = offered.get(
        request.provider, request.account or offered.default_account(request.provider)
    )
    rules = _channel_rules(provider, request)
    goods = _goods(provider, request, shelf.catalogue)
    _check_currency(provider, goods.currency)
    _check_subject(provider, rules, goods.subject)
    _check_return_url(rules, request)
    payer = request.payer.to_domain()
    _check_payer(rules, payer, request)
    return Payment(
        id=shelf.identity.payment_id(merchant.id, key),
        merchant_id=merchant.id,
        order_no=request.order_no,
        idempotency_key=key,
        request_hash=shelf.identity.request_hash(request.canonical()),
        provider=provider.name,
        account=provider.account,
        channel=request.channel,
        amount=goods.amount,
        currency=goods.currency,
        subject=goods.subject,
        product_id=request.product,
        quantity=request.quantity,
        payer=payer,
        return_url=request.return_url,
        metadata=request.metadata,
        created_at=now,
        expires_at=now + _life(rules, request.expires_in),
    )


def check_refundable(provider: Provider, payment: Payment) -> None:
    """InvalidRequest where only the provider itself gives this payment's money back."""
    rules = provider.channels.get(payment.channel)
    if rules is not None and not rules.refundable:
        raise InvalidRequest(
            f"Only {provider.name} itself refunds its {payment.channel} payments. Send the buyer to"
            " its own refund page; the event refund.succeeded says when it gave the money"
            " back.",
            code="refund_unsupported",
        )


def propose_refund(
    payment: Payment, request: RefundRequest, key: str, identity: IdentityKey, now: datetime
) -> Refund:
    """The refund that the request describes; Conflict where there is nothing to give back."""
    if not payment.is_paid:
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
        id=identity.refund_id(payment.id, key),
        payment_id=payment.id,
        merchant_id=payment.merchant_id,
        idempotency_key=key,
        request_hash=identity.request_hash(request.canonical()),
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


def _goods(provider: Provider, request: PaymentRequest, catalogue: Catalogue) -> _Goods:
    """What is sold at what price: a store's is in our catalogue, all else in the request."""
    if isinstance(provider, Store):
        if request.product is None:
            raise InvalidRequest(
                f"{provider.name} sells by itself: name the product, GET /v1/products lists them.",
                param="product",
            )
        return _listed(catalogue.get(request.product), request)
    for name in ("product", "quantity"):
        if name in request.model_fields_set:
            raise InvalidRequest(
                f"{name}: {provider.name} takes an amount, not a product.", param=name
            )
    if request.amount is None:
        raise InvalidRequest("amount: Field required", param="amount")
    if request.subject is None:
        raise InvalidRequest("subject: Field required", param="subject")
    return _Goods(request.subject, request.amount, request.currency)


def _listed(product: Product, request: PaymentRequest) -> _Goods:
    if request.quantity > 1 and product.type not in _COUNTED:
        raise InvalidRequest(f"A {product.type} is bought one at a time.", param="quantity")
    goods = _Goods(
        request.subject or product.title, product.amount * request.quantity, product.currency
    )
    if request.amount not in (None, goods.amount):
        raise InvalidRequest(
            f"amount: the catalogue's price is {goods.amount}; leave it out.", param="amount"
        )
    if "currency" in request.model_fields_set and request.currency != goods.currency:
        raise InvalidRequest(f"currency: the catalogue has {goods.currency}.", param="currency")
    return goods


def _check_currency(provider: Provider, currency: str) -> None:
    if currency not in provider.currencies:
        taken = ", ".join(sorted(provider.currencies))
        raise InvalidRequest(
            f"{provider.name} does not take {currency}; use {taken}.", param="currency"
        )


def _check_subject(provider: Provider, rules: ChannelRules, subject: str) -> None:
    if set(rules.subject_excludes) & set(subject):
        characters = " ".join(rules.subject_excludes)
        raise InvalidRequest(
            f"{provider.name} takes none of the characters {characters} in a subject.",
            param="subject",
        )


def _check_return_url(rules: ChannelRules, request: PaymentRequest) -> None:
    longest = rules.longest_return_url
    if longest is not None and len(request.return_url or "") > longest:
        raise InvalidRequest(
            f"return_url: {request.provider}'s {request.channel} channel takes at most {longest}"
            " characters.",
            param="return_url",
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
