"""What came in: our payments against the providers' orders and ledger (P1, P3, P5)."""

from collections import Counter
from collections.abc import Iterator

from domain.identity import parse_reference
from domain.payment import PaymentStatus
from reconciliation.audit.finding import Finding, Promise, Severity
from reconciliation.audit.records import Case, Records

_ENDED_UNPAID = (PaymentStatus.CLOSED, PaymentStatus.FAILED)


def check_captures(records: Records) -> Iterator[Finding]:
    """Every difference about money that came in."""
    yield from _once_per_order(records)
    for case in records.cases:
        yield from _kept(case)
        if case.flagged:
            yield _open_item(case)
        if records.provider is not None:
            yield from _orders(case)
            yield from captures(case)
    if records.provider is not None:
        yield from _unknown(records)


def _once_per_order(records: Records) -> Iterator[Finding]:
    paid = Counter(
        (payment.merchant_id, payment.order_no)
        for payment in records.ours.payments
        if payment.status is PaymentStatus.SUCCEEDED and not payment.duplicate
    )
    for (merchant, order_no), count in paid.items():
        if count > 1:
            yield Finding(
                Promise.DOUBLE_CAPTURE,
                "",
                f"order {order_no} of {merchant} has {count} successful payments",
                "Refund all but one of them.",
            )


def _orders(case: Case) -> Iterator[Finding]:
    if len(case.orders) > 1:
        places = ", ".join(f"{order.provider}/{order.merchant}" for order in case.orders)
        yield Finding(
            Promise.DOUBLE_ORDER,
            case.name,
            f"{len(case.orders)} orders for one payment: {places}",
            "Close those that are unpaid at the provider, refund those that are paid.",
        )
    for order in case.orders:
        if not order.payable or case.payment.status not in _ENDED_UNPAID or case.running:
            continue
        # What its payer has not opened cannot be closed at Alipay: it ends with its own expiry,
        # and money that comes before that goes the late way.
        yield Finding(
            Promise.CLOSED_BUT_PAYABLE,
            case.name,
            f"{case.payment.status} here, {order.status} at {order.provider}",
            "Close the order at the provider."
            if order.begun
            else "Nothing: it expires by itself, and late money is given back.",
            Severity.ERROR if order.begun else Severity.NOTE,
        )


def captures(case: Case) -> Iterator[Finding]:
    """What came in at the provider against what we captured."""
    there, here = case.captures, case.payment.captured
    if len(there) > 1:
        yield Finding(
            Promise.DOUBLE_CAPTURE,
            case.name,
            f"captured {len(there)} times at {case.payment.provider}: {there} fen",
            "Refund all but one of them at the provider.",
        )
    if sum(there) == here or case.flagged:
        return
    if not there:
        yield Finding(
            Promise.SUCCESS_WITHOUT_MONEY,
            case.name,
            f"{case.payment.status}, captured {here} fen here and nothing there",
            "Do not ship; ask the provider what became of the order.",
        )
    elif here:
        yield Finding(
            Promise.AMOUNT_DIFFERS,
            case.name,
            f"captured {here} fen here, {sum(there)} there",
            "Trust the provider's statement; refund or claim the difference.",
        )
    elif not case.running and sum(there) != case.refunded:
        yield _lost(case)


def _lost(case: Case) -> Finding:
    closed = case.payment.status in _ENDED_UNPAID
    return Finding(
        Promise.CLOSED_BUT_PAID if closed else Promise.LOST_PAYMENT,
        case.name,
        f"{case.payment.status} here, {sum(case.captures)} fen paid there,"
        f" {case.refunded} given back",
        "Have the provider send its notification again, or refund the money there.",
    )


def _kept(case: Case) -> Iterator[Finding]:
    payment = case.payment
    late = payment.late and payment.status is not PaymentStatus.SUCCEEDED
    if not (late or payment.duplicate) or payment.refundable == 0 or case.running or case.flagged:
        return
    yield Finding(
        Promise.KEPT_MONEY,
        case.name,
        f"{'late' if late else 'duplicate'}: {payment.refundable} fen are neither given back"
        " nor accepted",
        "Refund the payment.",
    )


def _open_item(case: Case) -> Finding:
    flags = [case.payment.attention, *(refund.attention for refund in case.refunds)]
    reasons = ", ".join(sorted({str(flag) for flag in flags if flag is not None}))
    return Finding(
        Promise.OPERATOR_NEEDED,
        case.name,
        f"{case.payment.status}: {reasons}",
        "Decide by the update `resolve`; docs/operations.md says how.",
        Severity.NOTE,
    )


def _unknown(records: Records) -> Iterator[Finding]:
    known = {payment.reference for payment in records.ours.payments}
    for move in records.provider.moves if records.provider else ():
        ours_by_form = parse_reference(move.reference) is not None
        if move.reference not in known and ours_by_form and move.refund_reference is None:
            yield Finding(
                Promise.LOST_PAYMENT,
                move.reference,
                f"{move.amount} fen paid at {move.provider} for an order that we never wrote down",
                "Refund it at the provider.",
            )
    for order in records.provider.orders if records.provider else ():
        if order.reference not in known and parse_reference(order.reference) is not None:
            yield Finding(
                Promise.DOUBLE_ORDER,
                order.reference,
                f"an order at {order.provider} that we never wrote down, {order.status}",
                "Close it at the provider.",
            )
