"""wechatpayv3's signing, as its own calls use it, and ours beside it. Usage: as ours.py."""

import sys
from pathlib import Path

from cryptography.hazmat.primitives.serialization import (
    load_pem_private_key,
    load_pem_public_key,
)
from loop import MESSAGE, report
from wechatpayv3.utils import rsa_sign, rsa_verify

from providers.alipay import signing


def main(private_file: str, public_file: str, seconds: str) -> None:
    """Measure."""
    private = load_pem_private_key(Path(private_file).read_bytes(), None)
    public = load_pem_public_key(Path(public_file).read_bytes())
    body = MESSAGE.decode()
    ours = signing.load_private_key(Path(private_file).read_text())
    signature = rsa_sign(private, f"1\nnonce\n{body}\n")
    report(
        lambda: rsa_sign(private, f"1\nnonce\n{body}\n"),
        lambda: rsa_verify("1", "nonce", body, signature, public),
        float(seconds),
        lambda: signing.sign(ours, MESSAGE),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
