"""Certificate mode: Alipay's serial numbers, and which new certificate of Alipay's is trusted."""

import hashlib
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric import rsa

_RSA_SIGNATURES = "1.2.840.113549.1.1"
_LONGEST_CHAIN = 6


def serial_number(certificate: x509.Certificate) -> str:
    """Alipay's SN: MD5 over the issuer, most specific part first, and the decimal serial."""
    text = f"{certificate.issuer.rfc4514_string()}{certificate.serial_number}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def root_serial_number(roots: list[x509.Certificate]) -> str:
    """The SNs of the RSA-signed roots joined in file order; those of SM2 do not count."""
    return "_".join(
        serial_number(root)
        for root in roots
        if root.signature_algorithm_oid.dotted_string.startswith(_RSA_SIGNATURES)
    )


def public_key(certificate: x509.Certificate) -> rsa.RSAPublicKey:
    """The certificate's RSA key; raises ValueError."""
    try:
        key = certificate.public_key()
    except UnsupportedAlgorithm as error:
        raise ValueError("the certificate's key is of an unknown kind") from error
    if not isinstance(key, rsa.RSAPublicKey):
        raise ValueError("the certificate holds no RSA key")  # noqa: TRY004 - a bad text
    return key


def is_successor(
    new: list[x509.Certificate],
    known: list[x509.Certificate],
    roots: list[x509.Certificate],
    at: datetime,
) -> bool:
    """Whether `new[0]` may replace Alipay's certificate `known[0]`; the rest are its issuers.

    Merchants' own certificates chain to the same root, so a chain alone proves nothing: names of
    subject and issuer must be those that we were configured with.
    """
    leaf = new[0]
    if (leaf.subject, leaf.issuer) != (known[0].subject, known[0].issuer):
        return False
    issuers = [*known[1:], *(issuer for issuer in new[1:] if _is_authority(issuer))]
    for _ in range(_LONGEST_CHAIN):
        if not leaf.not_valid_before_utc <= at <= leaf.not_valid_after_utc:
            return False
        if any(_issued(root, leaf) for root in roots):
            return True
        issuer = next((issuer for issuer in issuers if _issued(issuer, leaf)), None)
        if issuer is None:
            return False
        leaf = issuer
    return False


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    try:
        certificate.verify_directly_issued_by(issuer)
    except (ValueError, TypeError, InvalidSignature, UnsupportedAlgorithm):
        return False
    return True


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.value.ca
