import importlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import tomllib
from collections.abc import Iterator, Mapping
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from cryptography import x509
from cryptography.hazmat.primitives.asymmetric import ec
from cryptography.hazmat.primitives.hashes import SHA256
from cryptography.hazmat.primitives.serialization import Encoding
from cryptography.x509.oid import NameOID
from pydantic import BaseModel, SecretStr
from typer.testing import CliRunner

from cli.app import app
from cli.embedded.environment import write_accounts
from engine.production import (
    Problem,
    checked_settings,
    exposed_files,
    production_problems,
)
from providers.registry import PROVIDERS
from sandbox.app import create_app as create_sandbox
from settings import Mode, Settings
from tests.deploy.conftest import load_compose, read_env

ROOT = Path(__file__).parents[2]
VECTORS = Path(__file__).parents[3] / "shared" / "vectors"
WORKER = [sys.executable, "worker.py"]
API = [sys.executable, "-m", "uvicorn", "--factory", "api.app:create_app", "--port", "0"]
START_SECONDS = 60

ALIPAY = {"name": "main", "app_id": "2021000000000000", "seller_id": "2088000000000000"}
WECHATPAY = {"name": "main", "mchid": "1900000000", "appid": "wx0000000000000000"}
UNIONPAY = {"name": "main", "mer_id": "898000000000001", "mode": "00"}
APPLE = {"name": "main", "environment": "Production", "bundle_id": "com.shop.app"}
SECTIONS = {"alipay": ALIPAY, "wechatpay": WECHATPAY, "unionpay": UNIONPAY, "apple_iap": APPLE}


def settings(**changes: Any) -> Settings:
    given: dict[str, Any] = {
        "mode": Mode.PRODUCTION,
        "database_url": SecretStr("postgresql+asyncpg://paysaga@postgres:5432/paysaga"),
        "public_url": "https://pay.shop.com",
        "accounts_file": Path("accounts.toml"),
        "payload_keys_file": Path("keys.toml"),
        "ui_origin": "https://temporal.shop.com",
    }
    return Settings(**given | changes)


def problems_of(provider: str, **changes: Any) -> list[Problem]:
    accounts = {name: [account] for name, account in SECTIONS.items()}
    return production_problems(settings(), accounts | {provider: [SECTIONS[provider] | changes]})


def refused(problems: list[Problem]) -> list[str]:
    return [problem.setting for problem in problems if not problem.is_warning]


def certificate(issuer: str, subject: str = "") -> str:
    """A certificate in PEM; names are of the form `CN, O`."""
    key = ec.generate_private_key(ec.SECP256R1())
    now = datetime.now(UTC)
    return (
        x509.CertificateBuilder()
        .subject_name(_name(subject or issuer))
        .issuer_name(_name(issuer))
        .public_key(key.public_key())
        .serial_number(x509.random_serial_number())
        .not_valid_before(now)
        .not_valid_after(now + timedelta(days=1))
        .sign(key, SHA256())
        .public_bytes(Encoding.PEM)
        .decode()
    )


def _name(text: str) -> x509.Name:
    common, _, organisation = text.partition(", ")
    return x509.Name(
        [
            x509.NameAttribute(NameOID.ORGANIZATION_NAME, organisation or "none"),
            x509.NameAttribute(NameOID.COMMON_NAME, common),
        ]
    )


@pytest.fixture(scope="module")
def sandbox_accounts(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The accounts of a sandbox at its address in compose, as its own job writes them."""
    folder = tmp_path_factory.mktemp("sandbox")
    create_sandbox(folder, "http://sandbox:8090")
    manifest = json.loads((folder / "sandbox.json").read_text())
    return write_accounts(folder / "accounts.toml", manifest)


@pytest.fixture
def variables(sandbox_accounts: Path, tmp_path: Path) -> dict[str, str]:
    """A deployment that went to production with all of its sandbox's settings."""
    (tmp_path / "keys.toml").write_text('current = "k1"\n[keys]\nk1 = "' + "A" * 43 + '="\n')
    return {
        "PAYSAGA_MODE": "production",
        "PAYSAGA_DATABASE_URL": "postgresql+asyncpg://paysaga@127.0.0.1:9/paysaga",
        "PAYSAGA_PUBLIC_URL": "http://api:8000",
        "PAYSAGA_UI_ORIGIN": "http://temporal.shop.com",
        "PAYSAGA_ACCOUNTS_FILE": str(sandbox_accounts),
        "PAYSAGA_PAYLOAD_KEYS_FILE": str(tmp_path / "keys.toml"),
        "TEMPORAL_ADDRESS": "127.0.0.1:9",
    }


def started(command: list[str], variables: Mapping[str, str]) -> tuple[int | None, str]:
    """The exit code (None: it kept running) and the output of a process of ours."""
    kept = {name: os.environ[name] for name in ("PATH", "HOME") if name in os.environ}
    process = subprocess.Popen(  # noqa: S603 - our own processes
        command,
        cwd=ROOT,
        env={**kept, **variables},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        output, _ = process.communicate(timeout=START_SECONDS)
    except subprocess.TimeoutExpired:
        process.send_signal(signal.SIGKILL)
        return None, process.communicate()[0]
    return process.returncode, output


@pytest.mark.parametrize("command", [WORKER, API], ids=["worker", "api"])
def test_no_process_starts_in_production_with_the_sandboxs_settings(
    command: list[str], variables: dict[str, str]
) -> None:
    code, output = started(command, variables)

    assert code == 1, output
    assert "Traceback" not in output
    for setting in (
        "PAYSAGA_PUBLIC_URL",
        "PAYSAGA_UI_ORIGIN",
        "[[alipay]] main, gateway_url",
        "[[alipay]] cert, alipay_cert",
        "[[wechatpay]] pubkey, base_url",
        "[[unionpay]] main, base_url",
        "[[unionpay]] main, mode",
        "[[unionpay]] main, root_certificate",
        "[[apple_iap]] main, base_url",
        "[[apple_iap]] main, environment",
        "[[apple_iap]] main, root_certificate",
    ):
        assert setting in output, output


def test_the_doctor_names_each_of_the_sandboxs_settings_in_production(
    variables: dict[str, str], tmp_path: Path
) -> None:
    line = ["doctor", "--state-dir", str(tmp_path / "none")]
    result = CliRunner().invoke(app, line, env=variables | {"COLUMNS": "250"})

    assert result.exit_code == 1
    for setting in ("PAYSAGA_PUBLIC_URL", "[[unionpay]] main, mode", "[[apple_iap]] main"):
        assert setting in result.output
    assert "Leave it out" in result.output


def test_the_sandbox_keeps_its_settings_in_its_own_mode(sandbox_accounts: Path) -> None:
    given = settings(
        mode=Mode.SANDBOX, public_url="http://api:8000", accounts_file=sandbox_accounts
    )
    assert production_problems(given, given.read_accounts()) == []


def test_production_has_nothing_against_settings_of_production() -> None:
    accounts = {name: [account] for name, account in SECTIONS.items()}
    for origin in ("https://temporal.shop.com", "http://127.0.0.1:8080", "http://[::1]:8080", None):
        assert production_problems(settings(ui_origin=origin), accounts) == []


def test_production_has_nothing_against_the_examples_to_start_from(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    compose = load_compose(read_env(ROOT / ".env.example"))["services"]
    for name, value in compose["worker"]["environment"].items():
        monkeypatch.setenv(name, value)
    accounts = tomllib.loads((ROOT / "deploy/accounts.example.toml").read_text())
    assert set(accounts) == set(SECTIONS)
    assert production_problems(Settings(), accounts) == []


@pytest.mark.parametrize(
    "url",
    [
        "http://pay.shop.com",
        "ftp://pay.shop.com",
        "//pay.shop.com",
        "pay.shop.com",
        "https://",
        "https://localhost",
        "https://pay.localhost.",
        "https://api:8000",
        "https://127.0.0.1",
        "https://127.1",
        "https://0x7f.0.0.1",
        "https://2130706433",
        "https://[::1]",
        "https://[::ffff:10.0.0.1]",
        "https://10.1.2.3",
        "https://169.254.169.254",
        "https://pay.internal",
        "https://user:hunter2@pay.shop.com",
        "https://pay.shop.com/",
        "https://pay.shop.com?a=1",
        "https://pay.shop.com#a",
    ],
)
def test_production_does_not_tell_providers_an_address_that_nobody_should_use(url: str) -> None:
    problems = production_problems(settings(public_url=url), {})
    assert set(refused(problems)) == {"PAYSAGA_PUBLIC_URL"}
    assert "hunter2" not in " ".join(map(str, problems))


@pytest.mark.parametrize(
    "origin",
    ["http://temporal.shop.com", "http://10.0.0.5:8080", "*", "null", "https://a.com/ui"],
)
def test_production_does_not_decrypt_payloads_for_just_any_page(origin: str) -> None:
    assert refused(production_problems(settings(ui_origin=origin), {})) == ["PAYSAGA_UI_ORIGIN"]


@pytest.mark.parametrize("provider", PROVIDERS)
def test_no_address_of_a_provider_is_forgotten(provider: str) -> None:
    config = importlib.import_module(f"providers.{provider}.config")
    models = [
        each
        for each in vars(config).values()
        if isinstance(each, type(BaseModel)) and each.__module__ == config.__name__
    ]
    addresses = {name for model in models for name in model.model_fields if name.endswith("_url")}
    assert set(PROVIDERS[provider].endpoints) == addresses


@pytest.mark.parametrize(
    ("provider", "key", "url"),
    [
        ("alipay", "gateway_url", "http://openapi.alipay.com/gateway.do"),
        ("alipay", "gateway_url", "https://openapi.alipaydev.com/gateway.do"),
        ("alipay", "gateway_url", "https://openapi-sandbox.dl.alipaydev.com/gateway.do"),
        ("alipay", "gateway_url", "https://sandbox:8090/alipay/gateway.do"),
        ("alipay", "gateway_url", "https://192.168.1.7/gateway.do"),
        ("wechatpay", "base_url", "http://api.mch.weixin.qq.com"),
        ("wechatpay", "base_url", "https://api.mch.weixin.qq.com/sandboxnew"),
        ("wechatpay", "base_url", "https://localhost/wechatpay"),
        ("unionpay", "base_url", "http://gateway.95516.com/gateway/api"),
        ("unionpay", "base_url", "https://gateway.test.95516.com/gateway/api"),
        ("unionpay", "base_url", "https://GATEWAY.TEST.95516.COM./gateway/api"),
        ("unionpay", "base_url", "https://101.231.204.80:5000/gateway/api"),
        ("apple_iap", "base_url", "http://api.storekit.apple.com"),
        ("apple_iap", "base_url", "https://api.storekit-sandbox.apple.com"),
        ("apple_iap", "base_url", "https://api.storekit-sandbox.itunes.apple.com"),
        ("apple_iap", "sandbox_base_url", "http://127.0.0.1:8090"),
    ],
)
def test_production_sends_no_order_to_a_test_environment_or_without_tls(
    provider: str, key: str, url: str
) -> None:
    assert set(refused(problems_of(provider, **{key: url}))) == {f"[[{provider}]] main, {key}"}


@pytest.mark.parametrize(
    ("provider", "key", "url"),
    [
        ("alipay", "gateway_url", "https://openapi.alipay.com/gateway.do"),
        ("wechatpay", "base_url", "https://api2.mch.weixin.qq.com"),
        ("unionpay", "base_url", "https://gateway.95516.com/gateway/api/"),
        ("apple_iap", "base_url", "https://api.storekit.itunes.apple.com"),
        ("apple_iap", "sandbox_base_url", "https://api.storekit-sandbox.apple.com"),
    ],
)
def test_production_takes_the_providers_other_addresses(provider: str, key: str, url: str) -> None:
    assert problems_of(provider, **{key: url}) == []


@pytest.mark.parametrize(
    ("provider", "changes"),
    [
        ("unionpay", {"mode": "01"}),
        ("unionpay", {"mer_id": "777290058110048"}),
        ("unionpay", {"secure_key": "88888888\n"}),
        (
            "unionpay",
            {"root_certificate": certificate("CFCA TEST CS CA, China Financial Certification")},
        ),
        ("unionpay", {"middle_certificate": certificate("Paysaga Sandbox OCA1")}),
        ("alipay", {"alipay_root_cert": certificate("Ant Financial R1, Ant Financial test")}),
        ("alipay", {"alipay_cert": certificate("Ant Financial R1", "Alipay Sandbox")}),
        ("alipay", {"app_cert": certificate("Class 2 R1 test, Ant Financial test", "Shop")}),
        ("apple_iap", {"environment": "Sandbox"}),
        ("apple_iap", {"root_certificate": certificate("Apple Root CA - G3")}),
    ],
)
def test_production_does_not_trust_a_providers_test_keys(
    provider: str, changes: dict[str, str]
) -> None:
    (key,) = changes
    assert refused(problems_of(provider, **changes)) == [f"[[{provider}]] main, {key}"]


def test_a_test_key_is_not_quoted_by_the_message_that_refuses_it() -> None:
    assert "88888888" not in str(problems_of("unionpay", secure_key="88888888"))


@pytest.mark.parametrize(
    ("provider", "changes"),
    [
        ("unionpay", {"root_certificate": certificate("Another CA, Another Authority")}),
        ("unionpay", {"mer_id": "777290099999999"}),
        ("alipay", {"alipay_root_cert": certificate("Another Root, Another Authority")}),
    ],
)
def test_what_only_looks_strange_is_a_warning(provider: str, changes: dict[str, str]) -> None:
    (problem,) = problems_of(provider, **changes)
    assert problem.is_warning
    assert next(iter(changes)) in problem.setting


@pytest.mark.parametrize("value", ["no certificate", "", 7, None])
def test_what_is_no_certificate_is_left_to_its_provider(value: object) -> None:
    assert problems_of("alipay", app_cert=value, alipay_root_cert=value, gateway_url=None) == []


@pytest.mark.skipif(not VECTORS.exists(), reason="the published vectors are not here")
def test_alipays_own_root_file_is_known_and_its_sandboxs_certificates_are_refused() -> None:
    files = VECTORS / "yansongda"
    roots = (files / "alipayRootCert.crt").read_text()
    assert problems_of("alipay", alipay_root_cert=roots) == []
    tested = (files / "alipayPublicCert.crt").read_text()
    assert refused(problems_of("alipay", alipay_cert=tested)) == ["[[alipay]] main, alipay_cert"]


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder that every user may enter, which pytest's own are not."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        if not all(parent.stat().st_mode & 0o001 for parent in folder.resolve().parents):
            pytest.skip("the folder for temporary files is closed to others")
        yield folder


def test_a_secret_that_every_user_can_read_is_warned_of(open_folder: Path) -> None:
    opened, closed = open_folder / "open", open_folder / "closed"
    hidden = open_folder / "folder" / "hidden"
    hidden.parent.mkdir(mode=0o700)
    for path, mode in ((opened, 0o644), (closed, 0o640), (hidden, 0o644)):
        path.touch()
        path.chmod(mode)

    found = exposed_files([opened, closed, hidden, open_folder / "missing"])
    assert [(problem.setting, problem.is_warning) for problem in found] == [(str(opened), True)]


def test_the_files_that_are_looked_at_are_those_with_secrets(tmp_path: Path) -> None:
    (tmp_path / "accounts.toml").write_text(
        '[[alipay]]\nname = "main"\napp_private_key_file = "app.pem"\n'
        'app_cert_file = "app.crt"\nalipay_public_key_file = "alipay.pem"\n'
        '[[unionpay]]\nname = "main"\npfx_file = "sign.pfx"\nroot_certificate_file = "root.cer"\n'
    )
    given = settings(accounts_file=tmp_path / "accounts.toml")
    named = ("accounts.toml", "app.pem", "sign.pfx")
    assert set(given.secret_files()) == {Path("keys.toml"), *(tmp_path / name for name in named)}


@pytest.mark.parametrize(("header", "networks"), [("", ""), ("X-Forwarded-For", "10.0.0.0/8")])
def test_production_never_starts_silently_with_one_address_for_all_callers(
    header: str,
    networks: str,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
) -> None:
    (tmp_path / "accounts.toml").touch(mode=0o600)
    given = settings(accounts_file=tmp_path / "accounts.toml").model_dump(exclude_defaults=True)
    given |= {"peer_header": header, "trusted_proxies": networks}
    given["database_url"] = "postgresql+asyncpg://paysaga@postgres:5432/paysaga"
    for name, value in given.items():
        monkeypatch.setenv(f"PAYSAGA_{name.upper()}", str(value))

    assert checked_settings().mode is Mode.PRODUCTION

    warned = [each.message for each in caplog.records if "PAYSAGA_PEER_HEADER" in each.message]
    assert len(warned) == (0 if header else 1)
    assert all("PAYSAGA_TRUSTED_PROXIES" in message for message in warned)
