"""The account's keys, parsed once: ours to sign with, and Alipay's to verify with."""

from datetime import datetime

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import rsa

from providers.alipay import certificates, signing
from providers.alipay.config import AlipayConfig
from providers.alipay.encryption import load_aes_key
from providers.kit.certificates import load_certificates


class Credentials:
    """Parsed keys. `identity` is the serial numbers that certificate mode adds to a request.

    Raises ValueError naming the account, never a key. Several of Alipay's keys may be live at
    once: a certificate learnt later stands beside the configured one.
    """

    def __init__(self, config: AlipayConfig) -> None:
        try:
            self._load(config)
        except ValueError as error:
            raise ValueError(f"alipay account {config.name!r}: {error}") from error

    def _load(self, config: AlipayConfig) -> None:
        self.private_key = signing.load_private_key(config.app_private_key.get_secret_value())
        secret = config.aes_key
        self.aes_key = load_aes_key(secret.get_secret_value()) if secret else None
        self._known: list[x509.Certificate] = []
        self._roots: list[x509.Certificate] = []
        self._keys: dict[str | None, rsa.RSAPublicKey] = {}
        self.identity: dict[str, str] = {}
        if config.alipay_public_key:
            self._keys[None] = signing.load_public_key(config.alipay_public_key)
        else:
            self._load_certificates(config)
        own = self.private_key.public_key().public_numbers()
        if any(key.public_numbers() == own for key in self._keys.values()):
            raise ValueError("the app's own public key stands where Alipay's belongs")

    def _load_certificates(self, config: AlipayConfig) -> None:
        app = load_certificates(config.app_cert or "")[0]
        if certificates.public_key(app) != self.private_key.public_key():
            raise ValueError("app_cert does not belong to app_private_key")
        self._known = load_certificates(config.alipay_cert or "")
        self._roots = load_certificates(config.alipay_root_cert or "")
        number = certificates.serial_number(self._known[0])
        self._keys[number] = certificates.public_key(self._known[0])
        self.identity = {
            "app_cert_sn": certificates.serial_number(app),
            "alipay_root_cert_sn": certificates.root_serial_number(self._roots),
        }

    def knows(self, cert_sn: str | None) -> bool:
        """Whether an answer naming this certificate can be verified; public-key mode names none."""
        return not self.identity or cert_sn is None or cert_sn in self._keys

    def learn(self, cert_sn: str, text: str, at: datetime) -> bool:
        """Trust a downloaded certificate where it succeeds the configured one."""
        try:
            new = load_certificates(text)
            trusted = certificates.serial_number(new[0]) == cert_sn and certificates.is_successor(
                new, self._known, self._roots, at
            )
            if trusted:
                self._keys[cert_sn] = certificates.public_key(new[0])
        except ValueError:
            return False
        return trusted

    def is_alipays(self, content: bytes, signature: str, cert_sn: str | None = None) -> bool:
        """Whether Alipay signed exactly these bytes, with the certificate named if one is."""
        named = cert_sn if self.identity else None
        keys = [key for sn, key in self._keys.items() if named in (None, sn)]
        return any(signing.is_signed(key, content, signature) for key in keys)
