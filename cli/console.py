"""Where commands print, and how the same thing looks the same everywhere."""

import sys
from datetime import datetime
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console
from rich.table import Table

# Redirected output has no width of its own; a table cut to 80 columns cannot be read.
console = Console(width=None if sys.stdout.isatty() else 120)
errors = Console(stderr=True)

STATUS_STYLES = {"succeeded": "green", "failed": "red", "closed": "dim", "pending": "yellow"}

StateDir = Annotated[
    Path, typer.Option("--state-dir", help="Where the embedded stack keeps everything.")
]
STATE_DIR = Path(".paysaga")


def money(amount: int, currency: str) -> str:
    """Minor units as people read them: `¥12.34`, or `12.34 EUR`."""
    major = f"{amount / 100:,.2f}"
    return f"¥{major}" if currency == "CNY" else f"{major} {currency}"


def moment(at: datetime | None) -> str:
    """A time to the second, in UTC."""
    return "" if at is None else f"{at:%Y-%m-%d %H:%M:%S}"


def status(value: str) -> str:
    """A status in its colour."""
    return f"[{STATUS_STYLES.get(value, 'default')}]{value}[/]"


def details(title: str, rows: dict[str, object]) -> Table:
    """One record, a field a line; what is empty is left out."""
    table = Table(title=title, show_header=False, title_justify="left", box=None, padding=(0, 2))
    table.add_column(style="dim")
    table.add_column(overflow="fold")
    for name, value in rows.items():
        if value not in (None, "", False):
            table.add_row(name, str(value))
    return table
