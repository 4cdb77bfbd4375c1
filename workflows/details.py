"""What an operator reads of a run in the Temporal UI, without the code. Nothing of the payer."""

from domain.payment import Payment
from domain.refund import Refund
from domain.store_change import StoreChange


def yuan(amount: int, currency: str) -> str:
    """An amount for people's eyes only: `19.99 CNY` from 1999 fen."""
    return f"{amount // 100}.{amount % 100:02d} {currency}"


def payment_summary(payment: Payment) -> str:
    """One line, set at start."""
    return (
        f"{yuan(payment.amount, payment.currency)} by {payment.provider} {payment.channel}"
        f" for order {payment.order_no}"
    )


def payment_details(payment: Payment) -> str:
    """Markdown, set at start: what was asked."""
    return (
        f"**Merchant** {payment.merchant_id} · **Order** {payment.order_no}\n\n"
        f"**Amount** {yuan(payment.amount, payment.currency)}\n\n"
        f"**Provider** {payment.provider}, account {payment.account}, channel {payment.channel}\n\n"
        f"**Order number at the provider** `{payment.reference}`\n\n"
        f"**Created** {payment.created_at:%Y-%m-%d %H:%M:%S %Z}"
        f" · **expires** {payment.expires_at:%Y-%m-%d %H:%M:%S %Z}"
    )


def payment_now(payment: Payment, headline: str) -> str:
    """Markdown, kept up to date: where the payment stands and what it waits for."""
    lines = [f"### {headline}", f"**Status** {payment.status}"]
    if payment.provider_reference:
        lines.append(f"**Provider's number** `{payment.provider_reference}`")
    if payment.raw_status:
        lines.append(f"**Provider's last word** {payment.raw_status}")
    if payment.captured:
        lines.append(f"**Captured** {yuan(payment.captured, payment.currency)}")
    if payment.test:
        lines.append("**Test purchase** of the store's sandbox: no real money moved")
    if payment.failure:
        lines.append(f"**Why** {payment.failure.message}")
    if payment.late or payment.duplicate:
        lines.append(f"**Late** {payment.late} · **duplicate** {payment.duplicate}")
    if payment.attention:
        lines.append(
            f"**Needs a person**: {payment.attention}. Send the update `resolve` with"
            ' `{"action": "accept" | "refund" | "close" | "ask_again", "note": "who and why"}`.'
        )
    return "\n\n".join(lines)


def store_summary(payment: Payment, chain: str) -> str:
    """One line, set at start."""
    return f"{payment.provider}'s words on purchase {chain} of order {payment.order_no}"


def store_details(payment: Payment, chain: str) -> str:
    """Markdown, set at start: what it is about."""
    return (
        f"**Merchant** {payment.merchant_id} · **Order** {payment.order_no}\n\n"
        f"**Payment** `payment-{payment.reference}` · **Product** {payment.product_id}\n\n"
        f"**First purchase of the chain** `{chain}`"
    )


def store_now(change: StoreChange) -> str:
    """Markdown, kept up to date: the last word heard."""
    return f"### {change.change}\n\n**{change.raw_type}**, signed at {change.signed_at}"


def refund_summary(refund: Refund, payment: Payment) -> str:
    """One line, set at start."""
    return (
        f"Refund {yuan(refund.amount, refund.currency)} of order {payment.order_no}"
        f" ({refund.cause})"
    )


def refund_details(refund: Refund, payment: Payment) -> str:
    """Markdown, set at start: what was asked."""
    return (
        f"**Refund** {yuan(refund.amount, refund.currency)} of"
        f" {yuan(payment.captured, payment.currency)}\n\n"
        f"**Payment** `payment-{payment.reference}` · **Order** {payment.order_no}\n\n"
        f"**Cause** {refund.cause} · **Reason** {refund.reason or '-'}\n\n"
        f"**Refund number at the provider** `{refund.reference}`"
    )


def refund_now(refund: Refund, headline: str) -> str:
    """Markdown, kept up to date."""
    lines = [f"### {headline}", f"**Status** {refund.status}"]
    if refund.raw_status:
        lines.append(f"**Provider's last word** {refund.raw_status}")
    if refund.failure:
        lines.append(f"**Why** {refund.failure.message}")
    if refund.attention:
        lines.append(
            f"**Needs a person**: {refund.attention}. Send the update `resolve` with"
            ' `{"action": "accept" | "close" | "ask_again", "note": "who and why"}`.'
        )
    return "\n\n".join(lines)
