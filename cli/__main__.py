"""`python -m cli`: the command line, and how its errors look."""

import io
import sys

from pydantic import ValidationError

from cli.app import app
from cli.console import errors
from cli.embedded.errors import StackError
from domain.errors import PaymentError
from engine.namespace import NamespaceMismatchError


def main() -> None:
    """Run a command; what a user can mend is printed in one line, without a stack trace."""
    for stream in (sys.stdout, sys.stderr):
        if isinstance(stream, io.TextIOWrapper):
            # Not every locale has a letter for what we print: GBK has no "¥".
            stream.reconfigure(errors="replace")
    try:
        app()
    except (StackError, NamespaceMismatchError, PaymentError) as error:
        errors.print(f"[red]{error}[/red]", highlight=False)
        sys.exit(1)
    except ValidationError as error:
        names = ", ".join(f"PAYSAGA_{str(part['loc'][0]).upper()}" for part in error.errors())
        errors.print(f"[red]Settings are missing or wrong: {names}.[/red]")
        errors.print("Start the embedded stack with ./paysaga up, or set them.")
        sys.exit(1)


if __name__ == "__main__":
    main()
