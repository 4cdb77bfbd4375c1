"""What a rehearsal has shown, as a table."""

from collections.abc import Sequence
from dataclasses import dataclass, field

from verification.rehearsal.load import Seen


@dataclass
class Row:
    """One phase: what the merchant saw, and what broke a promise (empty: nothing)."""

    phase: str
    seen: Seen
    broken: list[str] = field(default_factory=list)

    @property
    def cells(self) -> list[str]:
        """Phase, payments, requests that had to be repeated, slowest create, verdict."""
        failures = ", ".join(f"{count} × {what}" for what, count in self.seen.failures.items())
        verdict = "; ".join(self.broken) or "kept"
        slowest = f"{self.seen.slowest:.1f} s"
        return [self.phase, str(len(self.seen.payments)), failures or "none", slowest, verdict]


HEADS = ["While payments go on", "payments", "repeated requests", "slowest create", "promises"]


def markdown(rows: Sequence[Row]) -> str:
    """The table for docs/reliability.md."""
    lines = [HEADS, ["---"] * len(HEADS), *(row.cells for row in rows)]
    return "\n".join(f"| {' | '.join(cells)} |" for cells in lines)
