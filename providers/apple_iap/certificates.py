"""Whose certificate may sign for the App Store: leaf, middle and a pinned root.

The root in a message is only its own claim: it counts where its SHA-256 is one of our pins. What
makes a leaf the App Store's are two marks (object identifiers): every Apple developer holds a
certificate under the same root.
"""

import base64
import binascii
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256

from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.ec import SECP256R1, EllipticCurvePublicKey
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.utils import CryptographyDeprecationWarning
from cryptography.x509.verification import (
    ExtensionPolicy,
    PolicyBuilder,
    Store,
    VerificationError,
)

# Apple Root CA - G3, as published at apple.com/certificateauthority.
APPLE_ROOT_G3 = bytes.fromhex("63343abfb89a6a03ebb57e9b3f5fa7be7c4f5c756f3017b3a8c488c3653e9179")
_LEAF_MARK = x509.ObjectIdentifier("1.2.840.113635.100.6.11.1")
_MIDDLE_MARK = x509.ObjectIdentifier("1.2.840.113635.100.6.2.1")
_REMEMBERED = 16

# What a certificate is that does not hold, down to one which the library still reads for now.
_BROKEN = (
    ValueError,
    UnsupportedAlgorithm,
    VerificationError,
    CryptographyDeprecationWarning,
    x509.InvalidVersion,
    x509.DuplicateExtension,
    x509.UnsupportedGeneralNameType,
)

# Leaf, middle and root as DER.
Chain = tuple[bytes, bytes, bytes]


class UntrustedCertificate(ValueError):  # noqa: N818 - the name says what it is
    """A chain that must not sign for the App Store; the message says why."""


@dataclass(frozen=True)
class _Known:
    key: EllipticCurvePublicKey
    begin: datetime
    end: datetime


class Trust:
    """The pinned roots. A chain is checked once, its dates every time."""

    def __init__(self, pins: frozenset[bytes]) -> None:
        self._pins = pins
        self._known: OrderedDict[Chain, _Known] = OrderedDict()

    def public_key(self, chain: Chain, at: datetime) -> EllipticCurvePublicKey:
        """The key of a leaf that could sign at that moment; raises UntrustedCertificate."""
        known = self._known.get(chain)
        if known is None:
            known = self._known[chain] = self._checked(chain, at)
            if len(self._known) > _REMEMBERED:
                self._known.popitem(last=False)
        self._known.move_to_end(chain)
        if not known.begin <= at <= known.end:
            raise UntrustedCertificate("a certificate of the chain was not valid then")
        return known.key

    def _checked(self, chain: Chain, at: datetime) -> _Known:
        if sha256(chain[2]).digest() not in self._pins:
            raise UntrustedCertificate("the chain ends in a root that is not pinned")
        try:
            leaf, middle, root = (_load(der) for der in chain)
            _check_path(leaf, middle, root, at)
            key = leaf.public_key()
        except _BROKEN as error:
            raise UntrustedCertificate(f"the chain does not hold: {error}") from error
        if not isinstance(key, EllipticCurvePublicKey) or not isinstance(key.curve, SECP256R1):
            raise UntrustedCertificate("the leaf holds no P-256 key")
        if not _has(leaf, _LEAF_MARK) or not _has(middle, _MIDDLE_MARK):
            raise UntrustedCertificate("the certificate is not one that signs for the App Store")
        certificates = (leaf, middle, root)
        return _Known(
            key,
            max(certificate.not_valid_before_utc for certificate in certificates),
            min(certificate.not_valid_after_utc for certificate in certificates),
        )


def fingerprint(text: str) -> bytes:
    """The SHA-256 of a certificate in PEM, or of DER in base64; raises ValueError."""
    try:
        if "-----BEGIN" in text:
            certificate = x509.load_pem_x509_certificate(text.encode())
        else:
            der = base64.b64decode(text.strip(), validate=True)
            certificate = x509.load_der_x509_certificate(der)
    except (ValueError, binascii.Error):
        raise ValueError("root_certificate is neither PEM nor DER in base64") from None
    return sha256(certificate.public_bytes(Encoding.DER)).digest()


def _load(der: bytes) -> x509.Certificate:
    with warnings.catch_warnings():
        warnings.simplefilter("error", CryptographyDeprecationWarning)
        return x509.load_der_x509_certificate(der)


def _check_path(
    leaf: x509.Certificate, middle: x509.Certificate, root: x509.Certificate, at: datetime
) -> None:
    # Apple's leaves carry no SAN, which the default policy for an end entity demands.
    verified = (
        PolicyBuilder()
        .store(Store([root]))
        .time(at)
        .extension_policies(
            ca_policy=ExtensionPolicy.webpki_defaults_ca(),
            ee_policy=ExtensionPolicy.permit_all(),
        )
        .build_client_verifier()
        .verify(leaf, [middle])
    )
    # A shorter path, from the root to a leaf of its own, would leave the middle's mark unread.
    if verified.chain != [leaf, middle, root]:
        raise UntrustedCertificate("the chain does not run through its middle")


def _has(certificate: x509.Certificate, mark: x509.ObjectIdentifier) -> bool:
    return any(extension.oid == mark for extension in certificate.extensions)
