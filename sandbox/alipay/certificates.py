import hashlib
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

RSA_SIGNATURES = "1.2.840.113549.1.1"
PrivateKey = rsa.RSAPrivateKey | ec.EllipticCurvePrivateKey


def name(
    common: str, *, unit: str = "Certification Authority", org: str = "Ant Financial"
) -> x509.Name:
    """A name of four parts, stored least specific first like Alipay's own certificates."""
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, org),
            x509.NameAttribute(NameOID.ORGANIZATIONAL_UNIT_NAME, unit),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


class Authority:
    """A name and key that sign certificates."""

    def __init__(self, subject: x509.Name, key: PrivateKey) -> None:
        self.subject = subject
        self.key = key

    def issue(
        self, subject: x509.Name, key: PrivateKey, *, authority: bool = False
    ) -> x509.Certificate:
        """Sign a certificate for `key`; valid for ten years."""
        now = datetime.now(UTC)
        builder = (
            x509.CertificateBuilder()
            .subject_name(subject)
            .issuer_name(self.subject)
            .public_key(key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - timedelta(days=1))
            .not_valid_after(now + timedelta(days=3650))
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
        )
        return builder.sign(self.key, hashes.SHA256())

    def certificate(self) -> x509.Certificate:
        """The authority's own, self-signed certificate."""
        return self.issue(self.subject, self.key, authority=True)


def serial_number(certificate: x509.Certificate) -> str:
    """Alipay's "certificate SN": MD5 over the issuer, most specific part first, and the serial."""
    issuer = ",".join(
        f"{part.rfc4514_attribute_name}={part.value!s}"
        for part in reversed(list(certificate.issuer))
    )
    text = f"{issuer}{certificate.serial_number}"
    return hashlib.md5(text.encode(), usedforsecurity=False).hexdigest()


def root_serial_number(pem: bytes) -> str:
    """The SN of a root file: those of its RSA-signed certificates, joined in file order."""
    return "_".join(
        serial_number(certificate)
        for certificate in x509.load_pem_x509_certificates(pem)
        if certificate.signature_algorithm_oid.dotted_string.startswith(RSA_SIGNATURES)
    )


def pem(*certificates: x509.Certificate) -> bytes:
    """One file of certificates, a blank line between them as in Alipay's own root file.

    python-alipay-sdk splits the file there.
    """
    return b"\n".join(certificate.public_bytes(Encoding.PEM) for certificate in certificates)
