import secrets
from datetime import UTC, datetime, timedelta

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, generate_private_key
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)
from cryptography.x509.oid import NameOID

LIFE = timedelta(days=5 * 365)
SERIAL_BYTES = 20


def serial_text(certificate: x509.Certificate) -> str:
    """The serial as WeChat Pay writes it: upper-case hex, whole bytes, leading zero kept."""
    number = certificate.serial_number
    return number.to_bytes((number.bit_length() + 7) // 8, "big").hex().upper()


def new_key() -> RSAPrivateKey:
    """A fresh RSA key of the size that WeChat Pay uses."""
    return generate_private_key(public_exponent=65537, key_size=2048)


def new_certificate(
    key: RSAPrivateKey, organization: str, common_name: str, *, zero_serial: bool = False
) -> x509.Certificate:
    """A self-signed certificate for `key`; its serial has 20 bytes.

    `zero_serial`: it starts with a zero nibble, like that of WeChat Pay's own `0C4AEF34…`, which
    catches a client that prints the number instead of the bytes.
    """
    # The highest bit stays clear: DER's integers are signed (RFC 5280, section 4.1.2.2).
    first = 0x01 + secrets.randbelow(0x0F) if zero_serial else 0x10 + secrets.randbelow(0x70)
    serial = bytes([first]) + secrets.token_bytes(SERIAL_BYTES - 1)
    name = x509.Name(
        [
            x509.NameAttribute(NameOID.COUNTRY_NAME, "CN"),
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organization),
            x509.NameAttribute(NameOID.COMMON_NAME, common_name),
        ]
    )
    now = datetime.now(UTC).replace(microsecond=0)
    return (
        x509.CertificateBuilder()
        .subject_name(name)
        .issuer_name(name)
        .public_key(key.public_key())
        .serial_number(int.from_bytes(serial, "big"))
        .not_valid_before(now - timedelta(days=1))
        .not_valid_after(now + LIFE)
        .sign(key, SHA256())
    )


def private_pem(key: RSAPrivateKey) -> bytes:
    """PKCS#8, as the merchant platform hands it out."""
    return key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())


def public_pem(key: RSAPrivateKey) -> bytes:
    """The SubjectPublicKeyInfo of the key's public half."""
    return key.public_key().public_bytes(Encoding.PEM, PublicFormat.SubjectPublicKeyInfo)


def certificate_pem(certificate: x509.Certificate) -> bytes:
    """The certificate as PEM."""
    return certificate.public_bytes(Encoding.PEM)


def load_key(pem: bytes) -> RSAPrivateKey:
    """Read a private key back; anything but RSA is a broken data directory."""
    # Our own keys: checking that their numbers are prime takes longer than all the rest.
    key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
    if not isinstance(key, RSAPrivateKey):
        raise TypeError("the sandbox only writes RSA keys")
    return key
