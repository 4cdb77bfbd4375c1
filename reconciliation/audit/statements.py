"""UnionPay's settlement files against the database (P1, P2, P3, P5)."""

from collections import defaultdict
from collections.abc import Iterator
from dataclasses import replace

from domain.identity import parse_reference
from domain.refund import RefundStatus
from providers.unionpay.config import PROVIDER
from providers.unionpay.mapping import CONSUME, GIVING_BACK, REFUND
from providers.unionpay.statement import StatementLine
from providers.unionpay.wire import settlement_day
from reconciliation.audit.finding import Finding, Promise, Severity
from reconciliation.audit.money import captures
from reconciliation.audit.records import Case, Move, Records
from reconciliation.audit.refunds import BY_HAND, not_requested, refund_moved

_WAIT = "Look into the next day's file: the settlement day ends at 23:00 in Beijing."


def check_statements(records: Records) -> Iterator[Finding]:
    """Every difference. A file speaks of one day, so what it leaves out is only a note."""
    files = records.statements
    lines = list(dict.fromkeys(line for file in files for line in file.statement.lines))
    cases = [replace(case, moves=[]) for case in records.cases if case.payment.provider == PROVIDER]
    strangers = _take(lines, cases)
    for case in cases:
        if case.captures:
            yield from captures(case)
        yield from _went_back(case)
    for line in strangers:
        yield _unknown(line)
    for accounts, day in dict.fromkeys((file.accounts, file.statement.day) for file in files):
        for case in cases:
            if case.payment.account in accounts:
                yield from _left_out(case, day)


def _take(lines: list[StatementLine], cases: list[Case]) -> list[StatementLine]:
    """Write each line to its case as a move; what fits none is handed back."""
    known = _known(cases)
    strangers = []
    # What came in goes first: it teaches the query ids that what went back refers to.
    for line in sorted(lines, key=lambda line: line.type in GIVING_BACK):
        side = REFUND if line.type in GIVING_BACK else line.type
        keys = [(side, line.query_id), (side, line.order_id)]
        if side == REFUND:
            keys.append((CONSUME, line.original_query_id))
        case, refund = next((known[key] for key in keys if key in known), (None, None))
        if case is None:
            strangers.append(line)
            continue
        known.setdefault((side, line.query_id), (case, refund))
        back = (refund or line.order_id or line.query_id) if side == REFUND else None
        move = Move(PROVIDER, line.merchant_id, case.name, line.amount, back, line.at)
        case.moves.append(move)
    return strangers


def _known(cases: list[Case]) -> dict[tuple[str, str | None], tuple[Case, str | None]]:
    """Case and refund by UnionPay's number and by ours, payments and refunds apart."""
    known: dict[tuple[str, str | None], tuple[Case, str | None]] = {}
    for case in cases:
        for number in (case.name, case.payment.provider_reference):
            known[CONSUME, number] = (case, None)
        for refund in case.refunds:
            for number in (refund.reference, refund.provider_reference):
                known[REFUND, number] = (case, refund.reference)
    return known


def _went_back(case: Case) -> Iterator[Finding]:
    there: dict[str, list[int]] = defaultdict(list)
    for move in case.moves:
        if move.refund_reference is not None:
            there[move.refund_reference].append(move.amount)
    for refund in case.refunds:
        if amounts := there.pop(refund.reference, None):
            yield from refund_moved(case, refund, amounts)
    for reference, amounts in there.items():
        yield from not_requested(case, reference, sum(amounts))


def _unknown(line: StatementLine) -> Finding:
    went_back = line.type in GIVING_BACK
    return Finding(
        Promise.LOST_REFUND if went_back else Promise.LOST_PAYMENT,
        line.order_id if parse_reference(line.order_id) else "",
        f"{line.amount} fen by type {line.type}, query id {line.query_id}, order"
        f" {line.order_id or 'none'} of {line.merchant_id}: the database does not know it",
        "Record it with `refunds record`."
        if went_back
        else "Refund it at UnionPay, or find whose it is.",
    )


def _left_out(case: Case, day: str) -> Iterator[Finding]:
    """Our successes of the day that no file has."""
    payment, moved = case.payment, {move.refund_reference for move in case.moves}
    refunds = [
        (Promise.REFUND_WITHOUT_MONEY, refund.reference, refund.amount, refund.refunded_at)
        for refund in case.refunds
        if refund.status is RefundStatus.SUCCEEDED and refund.raw_status != BY_HAND
    ]
    done = [(Promise.SUCCESS_WITHOUT_MONEY, None, payment.captured, payment.paid_at), *refunds]
    for promise, reference, amount, at in done:
        if amount and at and settlement_day(at) == day and reference not in moved:
            what = f"{amount} fen of settlement day {day} are in no file"
            yield Finding(promise, case.name, what, _WAIT, Severity.NOTE)
