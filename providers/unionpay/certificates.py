"""Whose certificate may sign for UnionPay: leaf, middle and pinned root, checked by hand.

CFCA's chains are RSA with SHA-1, which the X.509 verifiers of today refuse. What makes a leaf
UnionPay's is its name: every merchant holds a certificate of the same authority.
"""

import warnings
from collections import OrderedDict
from collections.abc import Sequence
from datetime import datetime

from cryptography import x509
from cryptography.exceptions import InvalidSignature, UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import pkcs12
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.oid import NameOID

UNIONPAY = "中国银联股份有限公司"
# Of the test gateway's certificate (official SDK: ifValidateCNName=false); never trusted in
# production.
TEST_GATEWAY = "00040000:SIGN"
# A common name is `041@<organisation id>@<name>@<sequence>`; the official SDKs compare the third
# part, whole, in both environments.
_NAME_PART = 2
_HASHES = ("sha1", "sha256", "sha384", "sha512")
_REMEMBERED = 16
# What reading a stranger's certificate may raise: it is read part by part.
_BROKEN = (
    ValueError,
    UnsupportedAlgorithm,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)


class UntrustedCertificate(ValueError):  # noqa: N818 - the name says what it is
    """A certificate that must not sign for UnionPay now; the message says why."""


def load_pfx(content: bytes, password: str) -> tuple[RSAPrivateKey, str]:
    """The merchant's key and its decimal certId; old RC2 files open too. Raises ValueError.

    Other certificates in the file are not looked at: they are nobody's trust.
    """
    try:
        key, certificate, _ = pkcs12.load_key_and_certificates(content, password.encode())
    except (ValueError, UnsupportedAlgorithm):
        raise ValueError("the PFX does not open with pfx_password") from None
    if not isinstance(key, RSAPrivateKey) or certificate is None:
        raise ValueError("the PFX holds no RSA key with its certificate")
    return key, str(certificate.serial_number)


def load_certificate(text: str) -> x509.Certificate:
    """One PEM certificate; raises ValueError."""
    try:
        with warnings.catch_warnings():
            # About what the library reads only for now; anybody can send such certificates.
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return x509.load_pem_x509_certificate(text.encode())
    except _BROKEN:
        raise ValueError("not a PEM certificate") from None


class Trust:
    """The pinned root and its middle. Raises ValueError where they do not belong together."""

    def __init__(self, root: str, middle: str, *, accepts_test_name: bool) -> None:
        self._root, self._middle = load_certificate(root), load_certificate(middle)
        self._signers = {UNIONPAY, TEST_GATEWAY} if accepts_test_name else {UNIONPAY}
        self._known: OrderedDict[str, RSAPublicKey] = OrderedDict()
        self._periods: dict[str, tuple[datetime, datetime]] = {}
        for issuer, certificate in ((self._root, self._root), (self._root, self._middle)):
            if not _is_authority(certificate) or not _issued(issuer, certificate):
                raise ValueError("root and middle certificate are no chain of authorities")

    def public_key(self, pem: str, at: datetime) -> RSAPublicKey:
        """The key of a leaf that may sign for UnionPay at that moment.

        The chain of one text is checked once, the dates every time. Raises UntrustedCertificate.
        """
        if pem not in self._known:
            try:
                self._remember(pem, self._checked(pem))
            except _BROKEN as error:
                raise UntrustedCertificate(str(error)) from error
        self._known.move_to_end(pem)
        begin, end = self._periods[pem]
        if not begin <= at <= end:
            raise UntrustedCertificate("a certificate of the chain is not valid now")
        return self._known[pem]

    def _remember(self, pem: str, leaf: x509.Certificate) -> None:
        key = leaf.public_key()
        if not isinstance(key, RSAPublicKey):
            raise UntrustedCertificate("the certificate holds no RSA key")
        self._known[pem], self._periods[pem] = key, _period((leaf, self._middle, self._root))
        if len(self._known) > _REMEMBERED:
            oldest, _ = self._known.popitem(last=False)
            del self._periods[oldest]

    def _checked(self, pem: str) -> x509.Certificate:
        leaf = load_certificate(pem)
        if not _issued(self._middle, leaf):
            raise UntrustedCertificate("the certificate is not of UnionPay's authority")
        if not self._signers.intersection(_common_name(leaf).split("@")[_NAME_PART:][:1]):
            raise UntrustedCertificate("the certificate is another company's")
        return leaf


def _period(chain: Sequence[x509.Certificate]) -> tuple[datetime, datetime]:
    return (
        max(certificate.not_valid_before_utc for certificate in chain),
        min(certificate.not_valid_after_utc for certificate in chain),
    )


def _common_name(certificate: x509.Certificate) -> str:
    names = certificate.subject.get_attributes_for_oid(NameOID.COMMON_NAME)
    return str(names[0].value) if len(names) == 1 else ""


def _is_authority(certificate: x509.Certificate) -> bool:
    try:
        constraints = certificate.extensions.get_extension_for_class(x509.BasicConstraints)
    except (x509.ExtensionNotFound, ValueError):
        return False
    return constraints.value.ca


def _issued(issuer: x509.Certificate, certificate: x509.Certificate) -> bool:
    key, algorithm = issuer.public_key(), certificate.signature_hash_algorithm
    if certificate.issuer != issuer.subject or not isinstance(key, RSAPublicKey):
        return False
    if algorithm is None or algorithm.name not in _HASHES:
        return False
    try:
        key.verify(certificate.signature, certificate.tbs_certificate_bytes, PKCS1v15(), algorithm)
    except InvalidSignature:
        return False
    return True
