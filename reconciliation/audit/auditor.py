"""One audit: read every book that there is, compare, and look again at what differs."""

import asyncio
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING

from temporalio.client import Client

from reconciliation.audit.compare import compare, in_order
from reconciliation.audit.finding import Finding, Severity
from reconciliation.audit.readers.database import read_database, read_merchants
from reconciliation.audit.readers.secrets import (
    log_files,
    search_database,
    search_files,
    search_histories,
)
from reconciliation.audit.readers.workflows import read_workflows
from reconciliation.audit.records import Records, SettlementFile
from storage.database import Database

if TYPE_CHECKING:
    from reconciliation.audit.readers.sandbox import SandboxReader

# Records are read one after the other: what a payment did meanwhile is gone at the second look.
SECOND_LOOK_SECONDS = 5.0
LOOKS = 3
MOST_HISTORIES = 300


@dataclass(frozen=True)
class Scope:
    """What is audited.

    `sandbox_url` None: no provider's book can be read. `secrets` by a name that may be shown.
    `statements`: UnionPay's settlement files.
    `state_dir`: an embedded stack's folder, whose logs and files are searched.
    """

    database: Database
    temporal: Client
    sandbox_url: str | None = None
    secrets: Mapping[str, str] = field(default_factory=dict)
    state_dir: Path | None = None
    histories: int = MOST_HISTORIES
    statements: tuple[SettlementFile, ...] = ()


@dataclass(frozen=True)
class Audit:
    """What was looked at, and what was found."""

    findings: list[Finding]
    counts: Mapping[str, int]

    @property
    def errors(self) -> list[Finding]:
        """What makes it unclean."""
        return [found for found in self.findings if found.severity is Severity.ERROR]

    @property
    def clean(self) -> bool:
        """No promise is broken."""
        return not self.errors

    @property
    def by_promise(self) -> Mapping[str, int]:
        """How many findings there are of each kind."""
        return Counter(str(found.promise) for found in self.findings)


async def audit(scope: Scope) -> Audit:
    """Audit everything in scope.

    Raises DatabaseUnavailable, RPCError or httpx.HTTPError where a book cannot be read.
    """
    records = await read_records(scope)
    findings = compare(records)
    for _ in range(LOOKS - 1):
        if not _errors(findings):
            break
        await asyncio.sleep(SECOND_LOOK_SECONDS)
        before, records = findings, await read_records(scope)
        findings = [found for found in compare(records) if _persists(found, before)]
    searched, leaks = await _search(scope)
    return Audit(in_order([*findings, *leaks]), _counts(records) | {"histories": searched})


async def _search(scope: Scope) -> tuple[int, list[Finding]]:
    """How many histories were searched, and every secret that can be read where none may be."""
    searched, leaks = await search_histories(scope.temporal, scope.secrets, scope.histories)
    leaks += await search_database(scope.database, scope.secrets)
    if scope.state_dir is not None:
        files = log_files(scope.state_dir)
        leaks += await asyncio.to_thread(search_files, files, scope.secrets)
    return searched, leaks


async def read_records(scope: Scope) -> Records:
    """All records; the providers' first, since what arrives later only adds to them."""
    sandbox = _sandbox(scope.sandbox_url) if scope.sandbox_url else None
    provider = await sandbox.read() if sandbox else None
    merchants = await read_merchants(scope.database)
    inbox = await sandbox.read_inbox(merchants) if sandbox else None
    unread = {each.id for each in merchants if sandbox and not sandbox.has_inbox_of(each)}
    ours = await read_database(scope.database)
    workflows = await read_workflows(scope.temporal, ours)
    return Records(ours, provider, inbox, frozenset(unread), workflows, scope.statements)


def _sandbox(url: str) -> "SandboxReader":
    # Not at the top: images of a deployment are made without this reader.
    try:
        from reconciliation.audit.readers.sandbox import SandboxReader  # noqa: PLC0415
    except ModuleNotFoundError as error:
        raise RuntimeError("this image reads no sandbox: audit it from a checkout") from error
    return SandboxReader(url)


def _errors(findings: list[Finding]) -> list[Finding]:
    return [found for found in findings if found.severity is Severity.ERROR]


def _persists(found: Finding, before: list[Finding]) -> bool:
    return found.severity is Severity.NOTE or any(
        (found.promise, found.payment) == (old.promise, old.payment) for old in before
    )


def _counts(records: Records) -> dict[str, int]:
    provider = records.provider
    lines = sum(len(file.statement.lines) for file in records.statements)
    return {
        "payments": len(records.ours.payments),
        "refunds": len(records.ours.refunds),
        "events": len(records.ours.events),
        "orders at providers": len(provider.orders) if provider else 0,
        "moves of money": len(provider.moves) if provider else 0,
        "notifications": len(provider.attempts) if provider else 0,
        "webhooks received": len(records.inbox or ()),
        "open workflows": len(records.workflows or ()),
    } | ({"lines of statements": lines} if records.statements else {})
