import stat
import tomllib
from pathlib import Path
from typing import Any

import pytest
from pydantic import ValidationError

from cli.embedded.environment import (
    Wiring,
    compose,
    inherited,
    keep_payload_keys,
    notification_settings,
    users_own,
    write_accounts,
    write_products,
    write_variables,
)
from crypto.key_ring import KeyRing
from settings import Settings

MANIFEST: dict[str, Any] = {
    "accounts": {
        "acp": [
            {
                "name": "main",
                "base_url": "http://127.0.0.1:1/acp",
                "merchant": 7,
                "is_test": True,
                "pfx_file": "m.pfx",
                "root_certificate_file": "root.cer",
            },
            {"name": "old", "secure_key": '8"8'},
        ],
        "store": [{"name": "main", "title": "茶"}],
    },
    "store": {
        "apps": {
            "main": {
                "settings_url": "http://127.0.0.1:1/_sandbox/store/apps/main",
                "products": [
                    {
                        "id": "tea.coins",
                        "type": "consumable",
                        "title": '60 "tea" 茶 coins',
                        "grants": "60 coins",
                        "amount": 600,
                        "currency": "CNY",
                    }
                ],
            }
        },
    },
}


@pytest.fixture
def wiring(tmp_path: Path) -> Wiring:
    return Wiring(
        database_url="postgresql+asyncpg://u:p@127.0.0.1:1/d",
        api_url="http://127.0.0.1:2",
        keys_file=tmp_path / "keys.toml",
        identity_key_file=tmp_path / "identity-key",
        accounts_file=tmp_path / "accounts.toml",
        temporal=("127.0.0.1:3", "default"),
        ui_origin="http://127.0.0.1:4",
    )


def test_credentials_of_another_cluster_never_reach_the_embedded_server(wiring: Wiring) -> None:
    base = {"TEMPORAL_API_KEY": "secret", "TEMPORAL_PROFILE": "prod", "PATH": "/bin"}
    environment = compose(base, wiring)

    temporal = {k: v for k, v in environment.items() if k.startswith("TEMPORAL_")}
    assert temporal == {
        "TEMPORAL_ADDRESS": "127.0.0.1:3",
        "TEMPORAL_NAMESPACE": "default",
        "TEMPORAL_CONFIG_FILE": "/dev/null",
    }
    assert environment["PATH"] == "/bin"


def test_the_users_own_cluster_stays_as_the_user_said(wiring: Wiring) -> None:
    external = Wiring(**(vars(wiring) | {"temporal": None, "ui_origin": None}))
    environment = compose({"TEMPORAL_PROFILE": "prod"}, external)

    assert environment["TEMPORAL_PROFILE"] == "prod"
    assert "TEMPORAL_ADDRESS" not in environment


def test_settings_read_what_a_stack_wrote(wiring: Wiring, tmp_path: Path) -> None:
    write_variables(tmp_path / "env", wiring)
    settings = Settings(_env_file=tmp_path / "env")

    assert settings.is_sandbox
    assert settings.read_database_url() == wiring.database_url
    assert settings.ui_origin == wiring.ui_origin
    assert (tmp_path / "env").stat().st_mode & 0o777 == 0o600


def test_loopback_goes_around_a_proxy(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("no_proxy", "corp.example")

    assert inherited()["no_proxy"] == "corp.example,127.0.0.1,localhost"


@pytest.fixture
def two_roles(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """A database of the user's own: both roles by URL, the owner's password by file."""
    (tmp_path / "password").write_text("p@ss word\n")
    for name, value in {
        "URL": "postgresql+asyncpg://runtime:r@db/d",
        "OWNER_URL": "postgresql+asyncpg://owner@db/d",
        "OWNER_PASSWORD_FILE": str(tmp_path / "password"),
    }.items():
        monkeypatch.setenv(f"PAYSAGA_DATABASE_{name}", value)


@pytest.mark.usefixtures("two_roles")
def test_a_users_own_database_is_migrated_by_one_role_and_used_by_another() -> None:
    assert users_own() == (
        "postgresql+asyncpg://runtime:r@db/d",
        "postgresql+asyncpg://owner:p%40ss%20word@db/d",
        False,
    )


@pytest.mark.usefixtures("two_roles")
def test_no_child_is_given_the_owner(wiring: Wiring) -> None:
    given = compose(inherited(), wiring)

    assert not [name for name in given if "OWNER" in name]
    assert "owner" not in given["PAYSAGA_DATABASE_URL"]


def test_a_users_own_database_may_have_one_role(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("PAYSAGA_DATABASE_URL", raising=False)
    assert users_own() == (None, None, False)
    monkeypatch.setenv("PAYSAGA_DATABASE_URL", "postgresql+asyncpg://me@db/d")
    assert users_own() == ("postgresql+asyncpg://me@db/d", None, False)


def test_an_owner_alone_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("PAYSAGA_DATABASE_OWNER_URL", "postgresql+asyncpg://owner@db/d")
    with pytest.raises(ValidationError, match="database_url"):
        users_own()


def test_payload_keys_are_made_once_and_private(tmp_path: Path) -> None:
    path = keep_payload_keys(tmp_path / "keys.toml")
    ring = KeyRing.from_file(path)

    assert stat.S_IMODE(path.stat().st_mode) == 0o600
    assert KeyRing.from_file(keep_payload_keys(path)) == ring


def test_accounts_are_written_as_the_sandbox_hands_them_out(tmp_path: Path) -> None:
    path = write_accounts(tmp_path / "accounts.toml", MANIFEST)

    assert tomllib.loads(path.read_text()) == MANIFEST["accounts"]
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


def test_what_the_sandboxs_stores_sell_is_our_catalogue(wiring: Wiring, tmp_path: Path) -> None:
    products = write_products(tmp_path / "products.toml", MANIFEST)
    write_variables(tmp_path / "env", Wiring(**(vars(wiring) | {"products_file": products})))

    catalogue = Settings(_env_file=tmp_path / "env").read_products()

    assert catalogue == MANIFEST["store"]["apps"]["main"]["products"]


def test_a_store_with_one_notification_address_is_told_ours() -> None:
    assert notification_settings(MANIFEST, "http://127.0.0.1:2") == {
        "http://127.0.0.1:1/_sandbox/store/apps/main": "http://127.0.0.1:2/notify/store/main"
    }


def test_a_file_that_is_no_text_is_given_in_base64(wiring: Wiring, tmp_path: Path) -> None:
    accounts = write_accounts(tmp_path / "accounts.toml", MANIFEST)
    (tmp_path / "m.pfx").write_bytes(b"0\x82\x13\x1e")
    (tmp_path / "root.cer").write_text("root certificate")
    write_variables(tmp_path / "env", Wiring(**(vars(wiring) | {"accounts_file": accounts})))

    [main, _] = Settings(_env_file=tmp_path / "env").read_accounts()["acp"]

    assert (main["pfx"], main["root_certificate"]) == ("MIITHg==", "root certificate")
