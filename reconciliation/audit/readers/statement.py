"""A settlement file of UnionPay, and whose it is."""

from collections.abc import Iterable, Mapping
from pathlib import Path
from typing import Any

from providers.unionpay.statement import LARGEST_FILE, read_statement
from providers.unionpay.wire import Malformed
from reconciliation.audit.records import SettlementFile


def read_settlement_file(path: Path, accounts: Iterable[Mapping[str, Any]]) -> SettlementFile:
    """The file, for those of UnionPay's `accounts` that it is about. OSError, Malformed."""
    with path.open("rb") as opened:
        content = opened.read(LARGEST_FILE + 1)
    try:
        statement = read_statement(content)
    except Malformed as error:
        raise Malformed(f"{path}: {error}") from error
    named = (account["name"] for account in accounts if account["mer_id"] == statement.merchant_id)
    return SettlementFile(statement, frozenset(named))
