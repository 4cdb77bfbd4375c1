"""Our own signing. Usage: ours.py PRIVATE PUBLIC SECONDS."""

import sys
from pathlib import Path

from providers.alipay import signing
from verification.benchmarks.signers.loop import MESSAGE, report


def main(private_file: str, public_file: str, seconds: str) -> None:
    """Measure."""
    private = signing.load_private_key(Path(private_file).read_text())
    public = signing.load_public_key(Path(public_file).read_text())
    signature = signing.sign(private, MESSAGE)
    report(
        lambda: signing.sign(private, MESSAGE),
        lambda: signing.is_signed(public, MESSAGE, signature),
        float(seconds),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
