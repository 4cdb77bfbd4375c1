import base64
import itertools
import json
import secrets
import string
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric import padding
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey

from sandbox.wechatpay import certificates as certs

KEY_ALPHABET = string.ascii_letters + string.digits
PUBLIC_KEY_ID_DIGITS = 26


def comparable(serial: str) -> str:
    """A certificate's serial without what clients write differently: case and leading zeros."""
    return serial.upper().lstrip("0")


@dataclass(frozen=True)
class PlatformKey:
    """What WeChat Pay signs with; `serial` is what `Wechatpay-Serial` says.

    Without a certificate it is a "WeChat Pay public key" and the serial is `PUB_KEY_ID_…`.
    """

    serial: str
    key: RSAPrivateKey
    certificate: x509.Certificate | None = None

    def can_decrypt(self, value: str) -> bool:
        """Return whether a sensitive field was encrypted for this key (RSAES-OAEP, SHA-1)."""
        mask = padding.MGF1(hashes.SHA1())  # noqa: S303 - WeChat Pay's choice
        scheme = padding.OAEP(mask, hashes.SHA1(), None)  # noqa: S303 - WeChat Pay's choice
        try:
            self.key.decrypt(base64.b64decode(value, validate=True), scheme)
        except ValueError:
            return False
        return True


@dataclass
class Merchant:
    """One merchant account, seen from WeChat Pay."""

    folder: Path
    mchid: str
    api_v3_key: str
    merchant_serial: str
    merchant_key: RSAPublicKey
    certificates: list[PlatformKey] = field(default_factory=list)
    public_key: PlatformKey | None = None
    turns: Iterator[int] = field(default_factory=itertools.count)

    @property
    def is_certificate_mode(self) -> bool:
        """Whether there is any platform certificate to download."""
        return bool(self.certificates)

    def platform_key(self, wanted: str | None) -> PlatformKey | None:
        """The key for an answer to a request whose `Wechatpay-Serial` is `wanted`.

        While a rotation is under way the old and the new certificate take turns, the new one
        first. None means that the request names a key that this account does not have.
        """
        if self.public_key and wanted == self.public_key.serial:
            return self.public_key
        serials = {comparable(item.serial) for item in self.certificates}
        if wanted is not None and comparable(wanted) not in serials:
            return None
        if not self.certificates:
            return self.public_key
        return self._in_turn(self.certificates[-2:])

    def notification_key(self) -> PlatformKey:
        """The key for the next notification; every live key takes its turn."""
        live = self.certificates[-2:]
        return self._in_turn([*live, self.public_key] if self.public_key else live)

    def can_decrypt(self, value: str) -> bool:
        """Return whether a sensitive field was encrypted for a live key of this account."""
        live = self.certificates[-2:]
        keys = [*live, self.public_key] if self.public_key else live
        return any(item.can_decrypt(value) for item in keys)

    def _in_turn(self, live: list[PlatformKey]) -> PlatformKey:
        return live[-1 - next(self.turns) % len(live)]

    def manifest(self) -> dict[str, Any]:
        """What the merchant knows of itself and of WeChat Pay; file names are absolute."""
        content: dict[str, Any] = {
            "mode": "platform_certificate" if self.is_certificate_mode else "public_key",
            "mchid": self.mchid,
            "api_v3_key": self.api_v3_key,
            "merchant_serial": self.merchant_serial,
            "merchant_private_key_file": str(self.folder / "merchant_private_key.pem"),
            "merchant_certificate_file": str(self.folder / "merchant_certificate.pem"),
        }
        if self.certificates:
            newest = self.certificates[-1].serial
            content["platform_certificate_file"] = str(self.folder / f"platform_{newest}.pem")
            content["platform_serial"] = newest
        if self.public_key:
            content["public_key_id"] = self.public_key.serial
            content["public_key_file"] = str(self.folder / "public_key.pem")
        return content


def load_merchant(
    folder: Path, mchid: str, *, with_public_key: bool, zero_serials: bool
) -> Merchant:
    """Read a merchant's keys, or make them at the first start.

    `zero_serials`: its certificates' serials begin with a zero nibble (`new_certificate`).
    """
    if not (folder / "state.json").exists():
        _create(folder, mchid, with_public_key=with_public_key, zero_serials=zero_serials)
    state = json.loads((folder / "state.json").read_text())
    merchant_certificate = x509.load_pem_x509_certificate(
        (folder / "merchant_certificate.pem").read_bytes()
    )
    merchant_key = merchant_certificate.public_key()
    if not isinstance(merchant_key, RSAPublicKey):
        raise TypeError("the sandbox only writes RSA certificates")
    return Merchant(
        folder=folder,
        mchid=state["mchid"],
        api_v3_key=state["api_v3_key"],
        merchant_serial=certs.serial_text(merchant_certificate),
        merchant_key=merchant_key,
        certificates=[_read_certificate(folder, serial) for serial in state["certificates"]],
        public_key=_read_public_key(folder, state["public_key_id"]),
    )


def save(merchant: Merchant) -> None:
    """Remember which keys are live; a reader sees the old or the new state, nothing between."""
    state = {
        "mchid": merchant.mchid,
        "api_v3_key": merchant.api_v3_key,
        "certificates": [item.serial for item in merchant.certificates],
        "public_key_id": merchant.public_key.serial if merchant.public_key else None,
    }
    draft = merchant.folder / "state.json.new"
    draft.write_text(json.dumps(state, indent=2))
    draft.replace(merchant.folder / "state.json")


def new_platform_certificate(folder: Path, *, zero_serial: bool = False) -> PlatformKey:
    """Make a platform certificate and its key, on disk too."""
    key = certs.new_key()
    certificate = certs.new_certificate(
        key, "Tenpay.com", "Tenpay.com sign (sandbox)", zero_serial=zero_serial
    )
    serial = certs.serial_text(certificate)
    (folder / f"platform_{serial}.key").write_bytes(certs.private_pem(key))
    (folder / f"platform_{serial}.pem").write_bytes(certs.certificate_pem(certificate))
    return PlatformKey(serial, key, certificate)


def new_public_key(folder: Path) -> PlatformKey:
    """Make a WeChat Pay public key, on disk too."""
    key = certs.new_key()
    digits = "".join(secrets.choice(string.digits) for _ in range(PUBLIC_KEY_ID_DIGITS))
    (folder / "public_key.key").write_bytes(certs.private_pem(key))
    (folder / "public_key.pem").write_bytes(certs.public_pem(key))
    return PlatformKey(f"PUB_KEY_ID_{digits}", key)


def _create(folder: Path, mchid: str, *, with_public_key: bool, zero_serials: bool) -> None:
    folder.mkdir(parents=True, exist_ok=True)
    key = certs.new_key()
    certificate = certs.new_certificate(
        key, "Paysaga sandbox merchant", mchid, zero_serial=zero_serials
    )
    certificates = (
        [] if with_public_key else [new_platform_certificate(folder, zero_serial=zero_serials)]
    )
    (folder / "merchant_private_key.pem").write_bytes(certs.private_pem(key))
    (folder / "merchant_certificate.pem").write_bytes(certs.certificate_pem(certificate))
    merchant = Merchant(
        folder=folder,
        mchid=mchid,
        api_v3_key="".join(secrets.choice(KEY_ALPHABET) for _ in range(32)),
        merchant_serial=certs.serial_text(certificate),
        merchant_key=key.public_key(),
        certificates=certificates,
        public_key=new_public_key(folder) if with_public_key else None,
    )
    save(merchant)


def _read_certificate(folder: Path, serial: str) -> PlatformKey:
    key = certs.load_key((folder / f"platform_{serial}.key").read_bytes())
    pem = (folder / f"platform_{serial}.pem").read_bytes()
    return PlatformKey(serial, key, x509.load_pem_x509_certificate(pem))


def _read_public_key(folder: Path, key_id: str | None) -> PlatformKey | None:
    if key_id is None:
        return None
    return PlatformKey(key_id, certs.load_key((folder / "public_key.key").read_bytes()))
