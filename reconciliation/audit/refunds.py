"""What went back: our refunds against the providers' ledger (P2, P3, P5)."""

from collections import defaultdict
from collections.abc import Iterator

from domain.refund import Refund, RefundCause, RefundStatus
from reconciliation.audit.finding import Finding, Promise
from reconciliation.audit.records import Case, Records

BY_HAND = "accepted by an operator"


def check_refunds(records: Records) -> Iterator[Finding]:
    """Every difference about money that went back."""
    for case in records.cases:
        yield from _own_sums(case)
        if records.provider is not None:
            yield from _against_ledger(case)


def _own_sums(case: Case) -> Iterator[Finding]:
    payment = case.payment
    held = _sum(case, RefundStatus.PENDING)
    done = _sum(case, RefundStatus.SUCCEEDED)
    if max(payment.refund_reserved, held) + max(payment.refunded, done) > payment.captured:
        yield Finding(
            Promise.OVER_REFUND,
            case.name,
            f"{payment.refund_reserved} fen reserved (refunds hold {held}) and {payment.refunded}"
            f" refunded ({done}) of {payment.captured} captured",
            "Stop the refunds that are pending; look for what changed the database by hand.",
        )
    elif payment.refunded != done:
        yield Finding(
            Promise.OVER_REFUND,
            case.name,
            f"refunded {payment.refunded} fen, its refunds add up to {done}",
            "Look for what changed the database by hand.",
        )
    if payment.refund_reserved != held:
        yield Finding(
            Promise.RESERVED_WITHOUT_REFUND,
            case.name,
            f"{payment.refund_reserved} fen are reserved, pending refunds hold {held}",
            "Look for what changed the database by hand.",
        )


def _against_ledger(case: Case) -> Iterator[Finding]:
    there: dict[str, list[int]] = defaultdict(list)
    for move in case.moves:
        if move.refund_reference is not None:
            there[move.refund_reference].append(move.amount)
    if case.refunded > sum(case.captures):
        yield Finding(
            Promise.OVER_REFUND,
            case.name,
            f"{case.refunded} fen went back of {sum(case.captures)} that came in",
            "Claim the difference from the payer.",
        )
    for refund in case.refunds:
        if refund.cause is not RefundCause.PROVIDER:
            yield from refund_moved(case, refund, there.pop(refund.reference, []))
    yield from _made_by_store(case, there)
    for reference, amounts in there.items():
        yield from not_requested(case, reference, sum(amounts))


def refund_moved(case: Case, refund: Refund, moved: list[int]) -> Iterator[Finding]:
    """One of our refunds against the amounts that went back under its number."""
    if len(moved) > 1:
        yield Finding(
            Promise.OVER_REFUND,
            case.name,
            f"refund {refund.reference} went back {len(moved)} times: {moved} fen",
            "Claim what was given twice.",
        )
    elif refund.status is RefundStatus.SUCCEEDED and moved != [refund.amount]:
        if refund.raw_status != BY_HAND:
            yield Finding(
                Promise.REFUND_WITHOUT_MONEY,
                case.name,
                f"refund {refund.reference} of {refund.amount} fen succeeded here, {moved} there",
                "Refund it again under a new number, or at the provider.",
            )
    elif refund.status is not RefundStatus.SUCCEEDED and moved and not _explained(case, refund):
        yield Finding(
            Promise.LOST_REFUND,
            case.name,
            f"refund {refund.reference} is {refund.status} here, {sum(moved)} fen went back there",
            "Do not refund it again; book it by hand.",
        )


def _made_by_store(case: Case, there: dict[str, list[int]]) -> Iterator[Finding]:
    """A store's refunds are known by its own number, and what it took back counts for nothing."""
    here: dict[str, int] = defaultdict(int)
    for refund in case.refunds:
        if refund.cause is RefundCause.PROVIDER:
            stands = refund.status is RefundStatus.SUCCEEDED
            here[refund.provider_reference or refund.reference] += refund.amount if stands else 0
    for reference, amount in here.items():
        moved = sum(there.pop(reference, []))
        if moved == amount or case.flagged or case.running:
            continue
        yield Finding(
            Promise.LOST_REFUND if moved > amount else Promise.REFUND_WITHOUT_MONEY,
            case.name,
            f"the store gave back {moved} fen of {reference}, {amount} here",
            "Have the store send its notifications again, or read its refund history.",
        )


def _explained(case: Case, refund: Refund) -> bool:
    return case.flagged or (refund.status is RefundStatus.PENDING and case.running)


def not_requested(case: Case, reference: str, amount: int) -> Iterator[Finding]:
    """Money that went back without us: by a reversal at the till, or at the provider's console."""
    reversed_unpaid = case.payment.captured == 0 and amount == sum(case.captures)
    if reversed_unpaid or case.flagged or case.running:
        return
    yield Finding(
        Promise.LOST_REFUND,
        case.name,
        f"{amount} fen went back under {reference!r}, which we did not request",
        "No operator was called for it: record it with `refunds record`.",
    )


def _sum(case: Case, status: RefundStatus) -> int:
    return sum(refund.amount for refund in case.refunds if refund.status is status)
