import hashlib
import json
import secrets
import uuid
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric.ec import (
    EllipticCurvePrivateKey,
    EllipticCurvePublicKey,
)
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
)

from sandbox.apple_iap.catalogue import PRODUCTS
from sandbox.apple_iap.certificates import (
    AUTHORITY,
    EXPIRED,
    INTERMEDIATE_OID,
    LEAF_OID,
    Authority,
    Subject,
    authority_key,
    leaf_key,
)

ROOT = "Paysaga Sandbox Root CA - G3"
INTERMEDIATE = "Sandbox Worldwide Developer Relations Certification Authority"
LEAF = "Sandbox ECC Mac App Store and iTunes Store Receipt Signing"
APP = "main"
BUNDLE_ID = "com.paysaga.tea"
SIGNERS = (
    "genuine",
    "foreign_ca",
    "leaf_without_oid",
    "intermediate_without_oid",
    "expired_certificate",
)


@dataclass(frozen=True)
class Signer:
    """A key and the certificates that a header shows for it, leaf first."""

    key: EllipticCurvePrivateKey
    chain: tuple[x509.Certificate, ...]


class KeyRing:
    """The store's certificate chain, and the key of the developer; they outlive the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / "identity.json").exists():
            _make(folder)
        self._identity: dict[str, Any] = json.loads((folder / "identity.json").read_text())
        self._signers = {name: self._load(name) for name in SIGNERS}
        self.stranger = leaf_key()

    @property
    def bundle_id(self) -> str:
        """The app's bundle."""
        return BUNDLE_ID

    @property
    def app_apple_id(self) -> int:
        """The app's number in the App Store."""
        return int(self._identity["app_apple_id"])

    @property
    def issuer_id(self) -> str:
        """Who the developer is, for the API."""
        return str(self._identity["issuer_id"])

    @property
    def key_id(self) -> str:
        """Which of the developer's keys is registered."""
        return str(self._identity["key_id"])

    @property
    def developer_key(self) -> EllipticCurvePublicKey:
        """What the developer's tokens are verified with."""
        return _private_key(self._folder / "SubscriptionKey.p8").public_key()

    def signer(self, name: str) -> Signer:
        """One of `SIGNERS`; all but `genuine` are to be distrusted."""
        return self._signers[name]

    @property
    def shared_secret(self) -> str:
        """What `verifyReceipt` wants as `password` where a receipt has a subscription."""
        return hashlib.sha256(f"shared secret of {self.issuer_id}".encode()).hexdigest()[:32]

    def manifest(self, settings_url: str) -> dict[str, Any]:
        """The root that verifies the store's words, and the app; file names are absolute.

        `settings_url` is where the app's notification address is told.
        """
        app = {
            "bundle_id": self.bundle_id,
            "app_apple_id": self.app_apple_id,
            "issuer_id": self.issuer_id,
            "key_id": self.key_id,
            "private_key_file": str(self._folder / "SubscriptionKey.p8"),
            "environment": "Sandbox",
            "shared_secret": self.shared_secret,
            "settings_url": settings_url,
            "products": [product.manifest() for product in PRODUCTS.values()],
        }
        return {
            "root_certificate_file": str(self._folder / "root.cer"),
            "root_certificate_pem_file": str(self._folder / "root.pem"),
            "apps": {APP: app},
        }

    def _load(self, name: str) -> Signer:
        chain = x509.load_pem_x509_certificates((self._folder / f"{name}.pem").read_bytes())
        return Signer(_private_key(self._folder / f"{name}.key"), tuple(chain))


def _make(folder: Path) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    root = Authority(ROOT, authority_key())
    # By the right name, and nobody whom a verifier has pinned.
    impostor = Authority(ROOT, authority_key())
    pinned = root.certificate()
    (folder / "root.cer").write_bytes(pinned.public_bytes(Encoding.DER))
    (folder / "root.pem").write_bytes(pinned.public_bytes(Encoding.PEM))
    for name in SIGNERS:
        if name == "foreign_ca":
            _save_signer(folder, name, impostor, impostor.certificate())
        else:
            _save_signer(folder, name, root, pinned)
    _save_key(folder / "SubscriptionKey.p8", leaf_key())
    identity = {
        "issuer_id": str(uuid.uuid4()),
        "key_id": secrets.token_hex(5).upper(),
        "app_apple_id": 1_000_000_000 + secrets.randbelow(10**9),
    }
    # Written last: without it, everything is made anew at the next start.
    (folder / "identity.json").write_text(json.dumps(identity))


def _save_signer(folder: Path, name: str, root: Authority, shown: x509.Certificate) -> None:
    middle_key, key = authority_key(), leaf_key()
    middle = root.issue(
        Subject(
            name=INTERMEDIATE,
            key=middle_key,
            depth=0,
            marker=None if name == "intermediate_without_oid" else INTERMEDIATE_OID,
            lifetime=AUTHORITY,
        )
    )
    leaf = Subject(name=LEAF, key=key, marker=None if name == "leaf_without_oid" else LEAF_OID)
    if name == "expired_certificate":
        leaf = Subject(name=LEAF, key=key, marker=LEAF_OID, lifetime=EXPIRED)
    chain = (Authority(INTERMEDIATE, middle_key).issue(leaf), middle, shown)
    _save_key(folder / f"{name}.key", key)
    (folder / f"{name}.pem").write_bytes(b"".join(c.public_bytes(Encoding.PEM) for c in chain))


def _save_key(path: Path, key: EllipticCurvePrivateKey) -> None:
    path.touch(mode=0o600)
    path.write_bytes(key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption()))


def _private_key(path: Path) -> EllipticCurvePrivateKey:
    key = load_pem_private_key(path.read_bytes(), password=None)
    if not isinstance(key, EllipticCurvePrivateKey):
        raise TypeError(f"{path} holds no elliptic curve key")
    return key
