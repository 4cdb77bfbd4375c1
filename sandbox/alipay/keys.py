import base64
import json
import secrets
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec, rsa
from cryptography.hazmat.primitives.serialization import (
    Encoding,
    NoEncryption,
    PrivateFormat,
    PublicFormat,
    load_pem_private_key,
)

from sandbox.alipay.certificates import Authority, name, pem, root_serial_number, serial_number

APPS = {"main": "public_key", "cert": "certificate", "aes": "public_key", "old": "public_key"}
SIGN_TYPES = {"old": "RSA"}
# As old applications have them.
SHORT_KEY = 1024


@dataclass(frozen=True, kw_only=True)
class App:
    """One application as the gateway knows it. The three SNs are None in public-key mode."""

    app_id: str
    mode: str
    public_key: rsa.RSAPublicKey
    alipay_key: rsa.RSAPrivateKey
    sign_type: str = "RSA2"
    aes_key: bytes | None = None
    app_cert_sn: str | None = None
    root_cert_sn: str | None = None
    alipay_cert_sn: str | None = None


class KeyRing:
    """The seller's applications and all keys; made once, then read back from `folder`."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        path = self._path("identity.json")
        self._identity: dict[str, Any] = (
            json.loads(path.read_bytes()) if path.exists() else self._new_identity()
        )
        # A folder that was made before an application existed lacks it.
        for app in [app for app in APPS if app not in self._identity["app_ids"]]:
            self._make(app)
        self.seller_id: str = self._identity["seller_id"]
        self.stranger = self._load("stranger_private_key")
        self.apps = {app.app_id: app for app in map(self._app, APPS)}

    def manifest(self) -> dict[str, Any]:
        """The `apps` of the manifest: ids, modes and absolute file names."""
        return {app: self._app_manifest(app) for app in APPS}

    def _app_manifest(self, app: str) -> dict[str, Any]:
        files = {
            "app_private_key_file": f"{app}_app_private_key.pem",
            "app_private_key_pkcs1_file": f"{app}_app_private_key_pkcs1.pem",
        }
        if APPS[app] == "certificate":
            files |= {
                "app_cert_file": f"{app}_app_cert.crt",
                "alipay_cert_file": f"{app}_alipay_cert.crt",
                "alipay_root_cert_file": f"{app}_alipay_root_cert.crt",
            }
        else:
            files["alipay_public_key_file"] = f"{app}_alipay_public_key.pem"
        known = {
            "mode": APPS[app],
            "app_id": self._identity["app_ids"][app],
            "sign_type": SIGN_TYPES.get(app, "RSA2"),
        }
        paths = {key: str(self._path(file)) for key, file in files.items()}
        return known | paths | {"aes_key": self._identity["aes_keys"].get(app)}

    def _app(self, app: str) -> App:
        aes_key = self._identity["aes_keys"].get(app)
        serials: dict[str, str] = {}
        if APPS[app] == "certificate":
            serials = {
                "app_cert_sn": self._serial(f"{app}_app_cert.crt"),
                "root_cert_sn": root_serial_number(
                    self._path(f"{app}_alipay_root_cert.crt").read_bytes()
                ),
                "alipay_cert_sn": self._serial(f"{app}_alipay_cert.crt"),
            }
        return App(
            app_id=self._identity["app_ids"][app],
            mode=APPS[app],
            public_key=self._load(f"{app}_app_private_key").public_key(),
            alipay_key=self._load(f"{app}_alipay_private_key"),
            sign_type=SIGN_TYPES.get(app, "RSA2"),
            aes_key=base64.b64decode(aes_key) if aes_key else None,
            **serials,
        )

    def _new_identity(self) -> dict[str, Any]:
        self._keep_private("stranger_private_key", _new_key())
        return {
            "seller_id": "2088" + _digits(12),
            "app_ids": {},
            "aes_keys": {"aes": base64.b64encode(secrets.token_bytes(16)).decode()},
        }

    def _make(self, app: str) -> None:
        size = SHORT_KEY if app in SIGN_TYPES else 2048
        app_key, alipay_key = _new_key(size), _new_key(size)
        self._keep_private(f"{app}_app_private_key", app_key)
        self._keep_private(f"{app}_alipay_private_key", alipay_key)
        if APPS[app] == "certificate":
            self._make_certificates(app, app_key, alipay_key)
        else:
            public = alipay_key.public_key().public_bytes(
                Encoding.PEM, PublicFormat.SubjectPublicKeyInfo
            )
            self._path(f"{app}_alipay_public_key.pem").write_bytes(public)
        self._identity["app_ids"][app] = "2021" + _digits(12)
        self._path("identity.json").write_text(json.dumps(self._identity))

    def _make_certificates(
        self, app: str, app_key: rsa.RSAPrivateKey, alipay_key: rsa.RSAPrivateKey
    ) -> None:
        root = Authority(name("Ant Financial Certification Authority R1"), _new_key())
        # The official root file mixes algorithms; only RSA signatures count for the root SN.
        curve = Authority(name("Ant Financial Certification Authority E1"), _new_curve_key())
        second = Authority(name("Ant Financial Certification Authority R2"), root.key)
        middle = Authority(name("Ant Financial Certification Authority Class 2 R1"), _new_key())
        chain = root.issue(middle.subject, middle.key, authority=True)
        app_cert = middle.issue(name("Paysaga Sandbox Shop", org="Paysaga", unit="Shop"), app_key)
        alipay_cert = middle.issue(name("Alipay Sandbox", unit="Alipay"), alipay_key)
        self._path(f"{app}_app_cert.crt").write_bytes(pem(app_cert))
        self._path(f"{app}_alipay_cert.crt").write_bytes(pem(alipay_cert, chain))
        roots = pem(root.certificate(), curve.certificate(), second.certificate())
        self._path(f"{app}_alipay_root_cert.crt").write_bytes(roots)

    def _keep_private(self, file: str, key: rsa.RSAPrivateKey) -> None:
        forms = {"": PrivateFormat.PKCS8, "_pkcs1": PrivateFormat.TraditionalOpenSSL}
        for suffix, form in forms.items():
            path = self._path(f"{file}{suffix}.pem")
            path.write_bytes(key.private_bytes(Encoding.PEM, form, NoEncryption()))
            path.chmod(0o600)

    def _load(self, file: str) -> rsa.RSAPrivateKey:
        # Our own keys: checking that their numbers are prime takes longer than all the rest.
        key = load_pem_private_key(
            self._path(f"{file}.pem").read_bytes(), None, unsafe_skip_rsa_key_validation=True
        )
        if not isinstance(key, rsa.RSAPrivateKey):
            raise TypeError(f"{file} is not an RSA key")
        return key

    def _serial(self, file: str) -> str:
        return serial_number(x509.load_pem_x509_certificates(self._path(file).read_bytes())[0])

    def _path(self, file: str) -> Path:
        return self._folder / f"alipay_{file}"


def _new_key(size: int = 2048) -> rsa.RSAPrivateKey:
    return rsa.generate_private_key(public_exponent=65537, key_size=size)


def _new_curve_key() -> ec.EllipticCurvePrivateKey:
    return ec.generate_private_key(ec.SECP256R1())


def _digits(count: int) -> str:
    return "".join(secrets.choice("0123456789") for _ in range(count))
