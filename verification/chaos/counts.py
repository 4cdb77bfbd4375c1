"""What was counted during the run."""

from collections import Counter
from dataclasses import dataclass, field


@dataclass
class Counts:
    """Counts by name, for the screen and the report."""

    answers: Counter[str] = field(default_factory=Counter)
    """HTTP answers of our API, by what was asked and the status."""
    payer: Counter[str] = field(default_factory=Counter)
    """What payers did, and could not do."""
    kills: Counter[str] = field(default_factory=Counter)
    forgeries: Counter[str] = field(default_factory=Counter)
    floods: Counter[str] = field(default_factory=Counter)
    """HTTP answers to floods, by their kind and the status."""
    sweeps: Counter[str] = field(default_factory=Counter)
    surprises: list[str] = field(default_factory=list)
    """What an API should not have answered."""
    finished: int = 0
    recovery_seconds: dict[str, list[float]] = field(default_factory=dict)
