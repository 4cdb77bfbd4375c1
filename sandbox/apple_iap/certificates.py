from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.ec import (
    SECP256R1,
    SECP384R1,
    EllipticCurvePrivateKey,
    generate_private_key,
)
from cryptography.x509.oid import NameOID, ObjectIdentifier

YEAR = timedelta(days=365)
# What tells Apple's receipt signers, and the authority above them, from everybody else whom
# Apple has certified: any developer has a certificate of the same root.
LEAF_OID = ObjectIdentifier("1.2.840.113635.100.6.11.1")
INTERMEDIATE_OID = ObjectIdentifier("1.2.840.113635.100.6.2.1")
NULL = bytes.fromhex("0500")


@dataclass(frozen=True)
class Lifetime:
    """How long ago a certificate became valid, and how long it stays so from now."""

    past: timedelta = timedelta(days=30)
    future: timedelta = 2 * YEAR


FRESH = Lifetime()
AUTHORITY = Lifetime(past=5 * YEAR, future=15 * YEAR)
EXPIRED = Lifetime(past=3 * YEAR, future=timedelta(days=-30))


@dataclass(frozen=True, kw_only=True)
class Subject:
    """Whom a certificate is for; `depth` is None for a leaf, else how many authorities follow."""

    name: str
    key: EllipticCurvePrivateKey
    depth: int | None = None
    marker: ObjectIdentifier | None = None
    lifetime: Lifetime = FRESH


@dataclass(frozen=True)
class Authority:
    """A name and key that sign certificates."""

    name: str
    key: EllipticCurvePrivateKey

    def issue(self, subject: Subject) -> x509.Certificate:
        """Sign a certificate with the extensions that a strict verifier looks for."""
        now = datetime.now(UTC).replace(microsecond=0)
        is_authority = subject.depth is not None
        builder = (
            x509.CertificateBuilder()
            .subject_name(_name(subject.name))
            .issuer_name(_name(self.name))
            .public_key(subject.key.public_key())
            .serial_number(x509.random_serial_number())
            .not_valid_before(now - subject.lifetime.past)
            .not_valid_after(now + subject.lifetime.future)
            .add_extension(
                x509.BasicConstraints(ca=is_authority, path_length=subject.depth), critical=True
            )
            .add_extension(_usage(is_authority=is_authority), critical=True)
            .add_extension(
                x509.SubjectKeyIdentifier.from_public_key(subject.key.public_key()), critical=False
            )
            .add_extension(
                x509.AuthorityKeyIdentifier.from_issuer_public_key(self.key.public_key()),
                critical=False,
            )
        )
        if subject.marker is not None:
            marker = x509.UnrecognizedExtension(subject.marker, NULL)
            builder = builder.add_extension(marker, critical=False)
        return builder.sign(self.key, hashes.SHA384())

    def certificate(self) -> x509.Certificate:
        """The authority's own, self-signed certificate."""
        return self.issue(Subject(name=self.name, key=self.key, depth=1, lifetime=AUTHORITY))


def authority_key() -> EllipticCurvePrivateKey:
    """A fresh P-384 key, as Apple's authorities have."""
    return generate_private_key(SECP384R1())


def leaf_key() -> EllipticCurvePrivateKey:
    """A fresh P-256 key, the only kind that ES256 takes."""
    return generate_private_key(SECP256R1())


def _usage(*, is_authority: bool) -> x509.KeyUsage:
    return x509.KeyUsage(
        digital_signature=not is_authority,
        key_cert_sign=is_authority,
        crl_sign=is_authority,
        content_commitment=False,
        key_encipherment=False,
        data_encipherment=False,
        key_agreement=False,
        encipher_only=False,
        decipher_only=False,
    )


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Paysaga Sandbox"),
            x509.NameAttribute(NameOID.COUNTRY_NAME, "US"),
        ]
    )
