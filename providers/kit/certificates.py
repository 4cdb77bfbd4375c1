"""Certificates as files hold them."""

import re

from cryptography import x509

_PEM = re.compile(r"-----BEGIN CERTIFICATE-----.+?-----END CERTIFICATE-----", re.DOTALL)


def load_certificates(text: str) -> list[x509.Certificate]:
    """Return the readable certificates of a file, in its order; raises ValueError without one.

    Alipay's official root file holds one whose ASN.1 has extra data: it is skipped, as every SDK
    skips it.
    """
    found = []
    for block in _PEM.findall(text):
        try:
            found.append(x509.load_pem_x509_certificate(block.encode()))
        except ValueError:
            continue
    if not found:
        raise ValueError("the file holds no readable certificate")
    return found
