"""How long the certificates between Temporal and its clients still last."""

from collections.abc import Iterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

from cryptography import x509

from cli.finding import Finding

# Where deploy/make-certificates.sh puts them.
FOLDER = Path("deploy/secrets")
RENEW_WITHIN = timedelta(days=60)
_AUTHORITY = "temporal_ca.crt"


def certificates(folder: Path = FOLDER) -> Iterator[Finding]:
    """Look at each certificate; nothing where none was made."""
    for file in sorted(folder.glob("temporal_*.crt")):
        try:
            end = x509.load_pem_x509_certificate(file.read_bytes()).not_valid_after_utc
        except ValueError:
            advice = f"Delete {file} and run deploy/make-certificates.sh."
            yield Finding(file.name, good=False, detail="is no certificate", advice=advice)
            continue
        yield Finding(
            file.name,
            end - datetime.now(UTC) > RENEW_WITHIN,
            f"valid until {end:%Y-%m-%d}",
            "docs/operations.md, Keys and their rotation: a new authority."
            if file.name == _AUTHORITY
            else "deploy/make-certificates.sh --renew, then start the stack again.",
        )
