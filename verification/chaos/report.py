"""The report of a chaos test, as JSON."""

import json
from collections import Counter
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from reconciliation.audit.auditor import Audit
from verification.chaos.counts import Counts
from verification.chaos.plan import Plan
from verification.chaos.progress import Progress

FILE = "chaos-report.json"
MOST_FINDINGS = 200


@dataclass
class Report:
    """Thrown, survived, found. Durations are seconds."""

    seed: int
    digest: str
    broken: str | None
    durations: dict[str, float]
    payments: dict[str, int]
    refunds: dict[str, int]
    courses: dict[str, int]
    planned_faults: dict[str, int]
    faults_not_met: dict[str, int]
    kills: dict[str, int]
    recovery_seconds: dict[str, float]
    notifications: dict[str, int]
    webhooks: dict[str, int]
    forgeries: dict[str, int]
    floods: dict[str, int]
    sweeps: dict[str, int]
    answers: dict[str, int]
    payers: dict[str, int]
    quiet: bool
    surprises: list[str]
    audit: dict[str, Any] = field(default_factory=dict)

    @property
    def clean(self) -> bool:
        """Everything ended, and every promise held."""
        return self.quiet and not self.surprises and bool(self.audit["clean"])

    def write(self, folder: Path) -> Path:
        """Keep it; returns where."""
        path = folder / FILE
        text = json.dumps(asdict(self) | {"clean": self.clean}, indent=2, ensure_ascii=False)
        path.write_text(text + "\n")
        return path


@dataclass(frozen=True)
class SandboxRecord:
    """What the sandbox and its merchants saw."""

    leftover: list[dict[str, Any]]
    attempts: list[dict[str, Any]]
    webhooks: Counter[str]


def report(
    plan: Plan,
    progress: Progress,
    counts: Counts,
    witness: SandboxRecord,
    durations: dict[str, float],
) -> Report:
    """The report, its audit still to come."""
    marked = Counter(_mark(row.late, row.duplicate) for row in progress.payments.values())
    flagged = sum(row.attention is not None for row in progress.payments.values())
    told = Counter(
        f"{attempt['kind']} {attempt['fault'] or 'true'}:"
        f" {'acknowledged' if attempt['accepted'] else 'not'}"
        for attempt in witness.attempts
    )
    left = Counter(
        f"{row['provider']} {row['operation']}: {row['kind']}" for row in witness.leftover
    )
    return Report(
        seed=plan.seed,
        digest=plan.digest,
        broken=None,
        durations=durations,
        payments=dict(progress.statuses)
        | dict(marked - Counter({"": marked[""]}))
        | {"wait for an operator": flagged},
        refunds=dict(progress.refunds),
        courses=dict(Counter(str(order.course) for order in plan.orders)),
        planned_faults=plan.planned_faults,
        faults_not_met=dict(sorted(left.items())),
        kills=dict(counts.kills),
        recovery_seconds={
            name: round(sum(times) / len(times), 2)
            for name, times in counts.recovery_seconds.items()
        },
        notifications=dict(sorted(told.items())),
        webhooks=dict(witness.webhooks),
        forgeries=dict(sorted(counts.forgeries.items())),
        floods=dict(sorted(counts.floods.items())),
        sweeps=dict(counts.sweeps),
        answers=dict(sorted(counts.answers.items())),
        payers=dict(counts.payer),
        quiet=True,
        surprises=counts.surprises[:MOST_FINDINGS],
    )


def of_audit(made: Audit) -> dict[str, Any]:
    """The audit's part."""
    return {
        "clean": made.clean,
        "counts": dict(made.counts),
        "by_promise": dict(made.by_promise),
        "findings": [
            asdict(found) | {"number": found.promise.number}
            for found in made.findings[:MOST_FINDINGS]
        ],
    }


def _mark(late: bool, duplicate: bool) -> str:  # noqa: FBT001 - two flags of one row
    return "late" if late else "duplicate" if duplicate else ""
