import secrets
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.padding import PKCS1v15
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID

YEAR = timedelta(days=365)
SHA256_WITH_RSA = bytes.fromhex("06092a864886f70d01010b")
SHA1_WITH_RSA = bytes.fromhex("06092a864886f70d010105")


@dataclass(frozen=True)
class Lifetime:
    """How long ago a certificate became valid, and how long it stays so from now."""

    past: timedelta = timedelta(days=1)
    future: timedelta = 5 * YEAR


FRESH = Lifetime()
AUTHORITY = Lifetime(past=5 * YEAR, future=15 * YEAR)
EXPIRED = Lifetime(past=2 * YEAR, future=timedelta(days=-30))


@dataclass(frozen=True)
class Authority:
    """A name and key that sign certificates; `sha1` as CFCA's real chains still do."""

    subject: str
    key: RSAPrivateKey
    sha1: bool = False

    def issue(
        self,
        common_name: str,
        key: RSAPrivateKey,
        *,
        authority: bool = False,
        lifetime: Lifetime = FRESH,
    ) -> x509.Certificate:
        """Sign a certificate for `key`; its serial is an 11 digit number like CFCA's."""
        now = datetime.now(UTC).replace(microsecond=0)
        certificate = (
            x509.CertificateBuilder()
            .subject_name(_name(common_name))
            .issuer_name(_name(self.subject))
            .public_key(key.public_key())
            .serial_number(10**10 + secrets.randbelow(9 * 10**10))
            .not_valid_before(now - lifetime.past)
            .not_valid_after(now + lifetime.future)
            .add_extension(x509.BasicConstraints(ca=authority, path_length=None), critical=True)
            .sign(self.key, hashes.SHA256())
        )
        return self._with_sha1(certificate) if self.sha1 else certificate

    def certificate(self) -> x509.Certificate:
        """The authority's own, self-signed certificate."""
        return self.issue(self.subject, self.key, authority=True, lifetime=AUTHORITY)

    def _with_sha1(self, certificate: x509.Certificate) -> x509.Certificate:
        # The builder refuses SHA-1. Both algorithm names and both signatures are equally long,
        # so that the DER keeps its shape when they are exchanged.
        tbs = certificate.tbs_certificate_bytes
        old_tbs, tbs = tbs, tbs.replace(SHA256_WITH_RSA, SHA1_WITH_RSA, 1)
        signature = self.key.sign(tbs, PKCS1v15(), hashes.SHA1())  # noqa: S303 - like the original
        der = certificate.public_bytes(Encoding.DER).replace(old_tbs, tbs, 1)
        der = der.replace(SHA256_WITH_RSA, SHA1_WITH_RSA, 1)
        der = der.replace(certificate.signature, signature, 1)
        return x509.load_der_x509_certificate(der)


def new_key() -> RSAPrivateKey:
    """A fresh RSA key."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def wire_text(certificate: x509.Certificate) -> str:
    """The PEM as `signPubKeyCert` carries it: CRLF line ends, none after the last line."""
    pem = certificate.public_bytes(Encoding.PEM).decode("ascii")
    return pem.strip().replace("\n", "\r\n")


def _name(common_name: str) -> x509.Name:
    return x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, "Paysaga Sandbox"),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
