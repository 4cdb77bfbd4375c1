import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives import hashes
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from cryptography.hazmat.primitives.serialization import (
    BestAvailableEncryption,
    Encoding,
    KeySerializationEncryption,
    NoEncryption,
    PrivateFormat,
    load_pem_private_key,
    pkcs12,
)

from sandbox.unionpay.certificates import AUTHORITY, EXPIRED, Authority, new_key, wire_text
from sandbox.unionpay.signing import RSA, SHA256_KEYED, SM3_KEYED

GATEWAY_CN = "041@8310000000083040@中国银联股份有限公司@{number:08}"
MERCHANT_CN = "041@Z2026110001@沙箱商户有限公司@{number:08}"
MERCHANTS = {
    "main": RSA,
    "old": RSA,
    "old_pfx": RSA,
    "sha256": SHA256_KEYED,
    "sm3": SM3_KEYED,
}
CHAINS = ("main", "old")
CHAIN_OF = {"main": "main", "old": "old", "old_pfx": "main"}
OLD_FILES = ("old", "old_pfx")
# Go's PKCS#12 reader refuses a file with more certificates than the merchant's own.
SINGLE_FILES = ("old_pfx",)
PFX_PASSWORD = "000000"  # noqa: S105 - the password of UnionPay's own test files


@dataclass(frozen=True)
class Signer:
    """A key, and the certificate that a message says it was signed with."""

    certificate: str
    key: RSAPrivateKey


@dataclass(frozen=True, kw_only=True)
class Merchant:
    """One merchant account, seen from UnionPay."""

    name: str
    mer_id: str
    sign_method: str
    secure_key: str | None = None
    cert_id: str | None = None
    public_key: RSAPublicKey | None = None


class KeyRing:
    """The authorities, the gateway's certificates and the merchants; they outlive the process."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        if not (folder / "identity.json").exists():
            self._make()
        self._identity: dict[str, Any] = json.loads((folder / "identity.json").read_text())
        # A folder that was made before a merchant existed lacks it.
        for name in [name for name in MERCHANTS if name not in self._identity["mer_ids"]]:
            self._make_merchant(name)
        self.stranger = self._load("stranger")
        self.merchants = {item.mer_id: item for item in map(self._merchant, MERCHANTS)}
        self._signers = self._load_signers()

    def encryption_certificate(self) -> str:
        """The certificate for card data as PEM, its lines ended by CR alone as the gateway does."""
        if not (self._folder / "encryption.cer").exists():
            _, middle = self._authorities("main")
            key = new_key()
            self._keep("encryption", key)
            self._write("encryption", middle.issue(GATEWAY_CN.format(number=2), key))
        return wire_text(self._certificate("encryption")).replace("\r\n", "\r")

    @property
    def main(self) -> Merchant:
        """Whose keys answer a request that names no merchant of ours."""
        return self.merchants[self._identity["mer_ids"]["main"]]

    def signer(self, merchant: Merchant, flaw: str | None = None) -> Signer:
        """What the gateway signs with for that merchant; `flaw` names a signer to distrust.

        `foreign_ca`, `wrong_cn`, `expired_certificate`, or `foreign_key` under the real one.
        """
        chain = CHAIN_OF.get(merchant.name, "main")
        genuine = self._signers[chain, "gateway"]
        if flaw == "foreign_key":
            return Signer(genuine.certificate, self.stranger)
        return self._signers.get((chain, flaw or "gateway"), genuine)

    def manifest(self) -> dict[str, Any]:
        """The `merchants` of the manifest; file names are absolute."""
        return {name: self._merchant_manifest(name) for name in MERCHANTS}

    def rotate(self) -> None:
        """The gateway changes its certificate; the authorities stay."""
        self._identity["number"] += 1
        self._issue_gateway(self._identity["number"])
        self._save_identity(self._identity)
        self._signers = self._load_signers()

    def _merchant_manifest(self, name: str) -> dict[str, Any]:
        merchant = self.merchants[self._identity["mer_ids"][name]]
        known = {"mer_id": merchant.mer_id, "sign_method": merchant.sign_method}
        if merchant.secure_key is not None:
            return known | {"secure_key": merchant.secure_key}
        return known | {
            "pfx_file": str(self._folder / f"{name}_merchant.pfx"),
            "pfx_password": PFX_PASSWORD,
            "cert_id": merchant.cert_id,
            "root_certificate_file": str(self._folder / f"{CHAIN_OF[name]}_root.cer"),
            "middle_certificate_file": str(self._folder / f"{CHAIN_OF[name]}_middle.cer"),
        }

    def _merchant(self, name: str) -> Merchant:
        known = {
            "name": name,
            "mer_id": self._identity["mer_ids"][name],
            "sign_method": MERCHANTS[name],
        }
        if secure_key := self._identity["secure_keys"].get(name):
            return Merchant(**known, secure_key=secure_key)
        certificate = self._certificate(f"{name}_merchant")
        public_key = certificate.public_key()
        if not isinstance(public_key, RSAPublicKey):
            raise TypeError(f"{name} has no RSA certificate")
        return Merchant(**known, cert_id=str(certificate.serial_number), public_key=public_key)

    def _load_signers(self) -> dict[tuple[str, str], Signer]:
        gateway = self._load("gateway")
        signers: dict[tuple[str, str], Signer] = {}
        for chain in CHAINS:
            for flaw, key in (
                ("gateway", gateway),
                ("expired_certificate", gateway),
                ("wrong_cn", self.stranger),
                ("foreign_ca", self.stranger),
            ):
                text = wire_text(self._certificate(f"{chain}_{flaw}"))
                signers[chain, flaw] = Signer(text, key)
        return signers

    def _make(self) -> None:
        self._folder.mkdir(parents=True, exist_ok=True)
        for name in ("root", "middle", "stranger"):
            self._keep(name, new_key())
        for chain in CHAINS:
            root, middle = self._authorities(chain)
            certificate = root.issue(middle.subject, middle.key, authority=True, lifetime=AUTHORITY)
            self._write(f"{chain}_root", root.certificate())
            self._write(f"{chain}_middle", certificate)
        self._issue_gateway(1)
        self._save_identity({"number": 1, "mer_ids": {}, "secure_keys": {}})

    def _issue_gateway(self, number: int) -> None:
        """A new key for the gateway, certified in both chains, and what must not be believed."""
        key, stranger = new_key(), self._load("stranger")
        self._keep("gateway", key)
        genuine, merchants = GATEWAY_CN.format(number=number), MERCHANT_CN.format(number=number)
        for chain in CHAINS:
            _, middle = self._authorities(chain)
            foreign = Authority(middle.subject, stranger, sha1=middle.sha1)
            self._write(f"{chain}_gateway", middle.issue(genuine, key))
            self._write(
                f"{chain}_expired_certificate", middle.issue(genuine, key, lifetime=EXPIRED)
            )
            self._write(f"{chain}_wrong_cn", middle.issue(merchants, stranger))
            self._write(f"{chain}_foreign_ca", foreign.issue(genuine, stranger))

    def _authorities(self, chain: str) -> tuple[Authority, Authority]:
        """The chain's root and middle authority."""
        sha1 = chain == "old"
        suffix = "SHA1" if sha1 else "SHA256"
        return (
            Authority(f"Paysaga Sandbox Root {suffix}", self._load("root"), sha1=sha1),
            Authority(f"Paysaga Sandbox OCA1 {suffix}", self._load("middle"), sha1=sha1),
        )

    def _make_merchant(self, name: str) -> None:
        if name in CHAIN_OF:
            self._make_pfx(name)
        else:
            self._identity["secure_keys"][name] = secrets.token_hex(16)
        self._identity["mer_ids"][name] = f"777{secrets.randbelow(10**12):012}"
        self._save_identity(self._identity)

    def _make_pfx(self, name: str) -> None:
        key, stranger = new_key(), self._load("stranger")
        _, middle = self._authorities(CHAIN_OF[name])
        certificate = middle.issue(MERCHANT_CN.format(number=77), key)
        # Whoever trusts what comes along in the file is caught by this impostor.
        impostor = Authority(middle.subject, stranger).certificate()
        along = None if name in SINGLE_FILES else [impostor]
        encryption = _old_style() if name in OLD_FILES else BestAvailableEncryption(_password())
        pfx = pkcs12.serialize_key_and_certificates(b"sign", key, certificate, along, encryption)
        self._write(f"{name}_merchant", certificate)
        path = self._folder / f"{name}_merchant.pfx"
        path.write_bytes(pfx)
        path.chmod(0o600)

    def _save_identity(self, identity: dict[str, Any]) -> None:
        draft = self._folder / "identity.json.new"
        draft.write_text(json.dumps(identity, indent=2))
        draft.replace(self._folder / "identity.json")

    def _certificate(self, name: str) -> x509.Certificate:
        return x509.load_pem_x509_certificate((self._folder / f"{name}.cer").read_bytes())

    def _write(self, name: str, certificate: x509.Certificate) -> None:
        (self._folder / f"{name}.cer").write_bytes(certificate.public_bytes(Encoding.PEM))

    def _keep(self, name: str, key: RSAPrivateKey) -> None:
        path = self._folder / f"{name}_private_key.pem"
        pem = key.private_bytes(Encoding.PEM, PrivateFormat.PKCS8, NoEncryption())
        path.write_bytes(pem)
        path.chmod(0o600)

    def _load(self, name: str) -> RSAPrivateKey:
        # Our own keys: checking that their numbers are prime takes longer than all the rest.
        pem = (self._folder / f"{name}_private_key.pem").read_bytes()
        key = load_pem_private_key(pem, None, unsafe_skip_rsa_key_validation=True)
        if not isinstance(key, RSAPrivateKey):
            raise TypeError(f"{name} is not an RSA key")
        return key


def _old_style() -> KeySerializationEncryption:
    """Triple DES with SHA-1, as the PFX files of older merchants are."""
    builder = PrivateFormat.PKCS12.encryption_builder().kdf_rounds(2048)
    builder = builder.key_cert_algorithm(pkcs12.PBES.PBESv1SHA1And3KeyTripleDESCBC)
    return builder.hmac_hash(hashes.SHA1()).build(_password())  # noqa: S303 - the old format


def _password() -> bytes:
    return PFX_PASSWORD.encode()
