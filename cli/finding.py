"""What a check of the machine or the deployment found."""

import dataclasses


@dataclasses.dataclass(frozen=True)
class Finding:
    """What one check found; `advice` says what to do where it isn't good.

    A warning is good enough to go on with.
    """

    what: str
    good: bool
    detail: str
    advice: str = ""
    is_warning: bool = False

    @property
    def mark(self) -> str:
        """How the table shows it."""
        if self.is_warning:
            return "[yellow]![/yellow]"
        return "[green]ok[/green]" if self.good else "[red]no[/red]"
