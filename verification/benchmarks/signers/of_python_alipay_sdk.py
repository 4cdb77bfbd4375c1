"""python-alipay-sdk's signing, as its own calls use it, and ours beside it. Usage: as ours.py."""

import sys
from pathlib import Path

from alipay import AliPay
from loop import MESSAGE, report

from providers.alipay import signing


def main(private_file: str, public_file: str, seconds: str) -> None:
    """Measure."""
    client = AliPay(
        appid="2021",
        app_notify_url=None,
        app_private_key_string=Path(private_file).read_text(),
        alipay_public_key_string=Path(public_file).read_text(),
    )
    text = MESSAGE.decode()
    ours = signing.load_private_key(Path(private_file).read_text())
    signature = client._sign(text)  # noqa: SLF001 - what every call of the SDK goes through
    report(
        lambda: client._sign(text),  # noqa: SLF001
        lambda: client._verify(text, signature),  # noqa: SLF001
        float(seconds),
        lambda: signing.sign(ours, MESSAGE),
    )


if __name__ == "__main__":
    main(*sys.argv[1:])
