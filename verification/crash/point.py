"""A point to die at: one step of one scenario, and who dies there."""

from collections import Counter
from dataclasses import dataclass, field
from enum import StrEnum

from cli.embedded.config import Service


class Kind(StrEnum):
    """What a step is about; the columns of the table."""

    TASK = "workflow task"
    ACTIVITY = "activity"
    CALL = "outward call"
    STATEMENT = "step's statement"
    COMMAND = "request's call"
    API_STATEMENT = "request's statement"


@dataclass(frozen=True)
class Step:
    """One step of a payment: which process takes it, for which run, and the how-manieth alike."""

    process: Service
    run: str
    label: str
    occurrence: int = 1

    @property
    def kind(self) -> Kind:
        """Its column."""
        if self.of_request:
            return Kind.API_STATEMENT if self._is_statement else Kind.COMMAND
        if self.label.startswith("task "):
            return Kind.TASK
        if self._is_statement:
            return Kind.STATEMENT
        return Kind.CALL if ": call " in self.label else Kind.ACTIVITY

    @property
    def of_request(self) -> bool:
        """Taken by the API for a request, and not by a run, wherever that is carried."""
        return self.label.startswith("api: ")

    @property
    def after(self) -> bool:
        """The step was taken; its answer has not been heard."""
        return self.label.endswith(" after")

    @property
    def servers(self) -> list[Service]:
        """The servers that can die in the middle of it."""
        if self._is_statement:
            return [] if self.reads else [Service.POSTGRES]
        if self.kind in (Kind.TASK, Kind.COMMAND) or ": report " in self.label:
            return [Service.TEMPORAL]
        return []

    @property
    def reads(self) -> bool:
        """A question to the database: nothing is committed."""
        return self._is_statement and ": SELECT " in self.label

    @property
    def _is_statement(self) -> bool:
        words = ("INSERT", "UPDATE", "SELECT", "WITH", "DELETE", "COMMIT")
        return any(f": {word} " in self.label for word in words)

    def __str__(self) -> str:
        again = f" #{self.occurrence}" if self.occurrence > 1 else ""
        return f"{self.process}, {self.run}: {self.label}{again}"


@dataclass(frozen=True)
class Point:
    """A scenario's step at which `victim` is killed."""

    scenario: str
    step: Step
    victim: Service

    def __str__(self) -> str:
        return f"{self.scenario} / {self.step} / kill {self.victim}"


@dataclass
class Trail:
    """The steps of one payment as they come, numbered where they are alike."""

    steps: list[Step] = field(default_factory=list)
    _seen: Counter[tuple[Service, str, str]] = field(default_factory=Counter)

    def add(self, process: Service, run: str, label: str) -> Step:
        """The next step."""
        self._seen[process, run, label] += 1
        step = Step(process, run, label, self._seen[process, run, label])
        self.steps.append(step)
        return step
