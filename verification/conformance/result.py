"""What a check found, and the table of all of them."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field


@dataclass(frozen=True)
class Result:
    """One line of the table; a skipped one has the reason as its `name`."""

    oracle: str
    name: str
    passed: bool
    detail: str = ""
    skipped: bool = False


@dataclass
class Results:
    """Every result so far."""

    all: list[Result] = field(default_factory=list)

    @contextmanager
    def check(self, oracle: str, name: str) -> Iterator[None]:
        """A check in our own interpreter: passes where the block ends without an exception."""
        try:
            yield
        # The boundary of a check: its failure is a line of the table, and the next one runs.
        except Exception as error:  # noqa: BLE001
            detail = f"{type(error).__name__}: {error}"
            self.all.append(Result(oracle, name, passed=False, detail=detail))
        else:
            self.all.append(Result(oracle, name, passed=True))

    @property
    def failed(self) -> list[Result]:
        """What did not pass."""
        return [result for result in self.all if not result.passed and not result.skipped]

    @property
    def skipped(self) -> list[Result]:
        """What could not run on this machine."""
        return [result for result in self.all if result.skipped]

    def table(self) -> str:
        """For people and for CI: a line a check, failures with their reason, the count last."""
        lines: list[str] = []
        for oracle in dict.fromkeys(result.oracle for result in self.all):
            lines += ["", oracle]
            for result in self.all:
                if result.oracle == oracle:
                    lines.append(f"  {_mark(result)}  {result.name}")
                    lines += [f"          {result.detail}"] if result.detail else []
        failed, skipped = len(self.failed), len(self.skipped)
        count = f"{len(self.all) - failed - skipped} passed, {failed} failed"
        if skipped:
            count += f", {skipped} skipped"
        return "\n".join([*lines, "", count])


def _mark(result: Result) -> str:
    if result.skipped:
        return "skip"
    return "ok  " if result.passed else "FAIL"
