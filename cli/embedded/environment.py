"""Each child's environment: the variables that settings.py reads, and the files that they name."""

import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from cli.embedded.ports import HOST
from crypto.key_ring import new_key_file
from domain.identity import new_identity_key
from settings import OwnDatabaseSettings

# What names the role that migrates, and its password.
_OWNER = "PAYSAGA_DATABASE_OWNER_"


@dataclass(frozen=True)
class Wiring:
    """Where everything is, for the API and the worker.

    Attributes:
        database_url: SQLAlchemy's URL.
        api_url: our own API, without a trailing slash.
        keys_file: the payload keys.
        identity_key_file: the secret that ids are derived with.
        accounts_file: the provider accounts; None leaves the user's.
        temporal: (address, namespace) of the embedded server; None leaves the user's TEMPORAL_*.
        ui_origin: of the Temporal UI that may have payloads decrypted.
        products_file: the catalogue of what stores sell; None leaves the user's.
    """

    database_url: str
    api_url: str
    keys_file: Path
    identity_key_file: Path
    accounts_file: Path | None
    temporal: tuple[str, str] | None
    ui_origin: str | None
    products_file: Path | None = None


def inherited() -> dict[str, str]:
    """The user's environment, for children; loopback calls never go through a proxy.

    Without the owner of a database: its password is for the migration, which is no child.
    """
    base = {name: value for name, value in os.environ.items() if not name.startswith(_OWNER)}
    for name in ("no_proxy", "NO_PROXY"):
        hosts = [host for host in (base.get(name), HOST, "localhost") if host]
        base[name] = ",".join(hosts)
    return base | {"PYTHONUNBUFFERED": "1"}


def users_own() -> tuple[str | None, str | None, bool]:
    """What the user brings: a database's URL, its owner's, and whether a Temporal is named.

    Raises ValidationError where only the owner is named, and not the role that API and worker use.
    """
    external_temporal = "TEMPORAL_ADDRESS" in os.environ
    if not {"PAYSAGA_DATABASE_URL", f"{_OWNER}URL"} & os.environ.keys():
        return None, None, external_temporal
    own = OwnDatabaseSettings()
    return own.read_database_url(), own.read_owner_url(), external_temporal


def compose(base: Mapping[str, str], wiring: Wiring) -> dict[str, str]:
    """The whole environment of the API and the worker."""
    if wiring.temporal is not None:
        # A profile or an API key meant for another cluster must not reach the embedded server.
        base = {name: value for name, value in base.items() if not name.startswith("TEMPORAL_")}
    return dict(base) | variables(wiring)


def variables(wiring: Wiring) -> dict[str, str]:
    """The part of the environment that is ours to say."""
    ours = {
        "PAYSAGA_MODE": "sandbox",
        "PAYSAGA_DATABASE_URL": wiring.database_url,
        "PAYSAGA_PUBLIC_URL": wiring.api_url,
        "PAYSAGA_PAYLOAD_KEYS_FILE": str(wiring.keys_file),
        "PAYSAGA_IDENTITY_KEY_FILE": str(wiring.identity_key_file),
    }
    if wiring.accounts_file is not None:
        ours["PAYSAGA_ACCOUNTS_FILE"] = str(wiring.accounts_file)
    if wiring.products_file is not None:
        ours["PAYSAGA_PRODUCTS_FILE"] = str(wiring.products_file)
    if wiring.ui_origin is not None:
        ours["PAYSAGA_UI_ORIGIN"] = wiring.ui_origin
    if wiring.temporal is not None:
        ours["TEMPORAL_ADDRESS"], ours["TEMPORAL_NAMESPACE"] = wiring.temporal
        ours["TEMPORAL_CONFIG_FILE"] = os.devnull
    return ours


def write_variables(path: Path, wiring: Wiring) -> None:
    """Keep our variables in a dotenv file, so that commands beside the stack find it."""
    _write_private(path, "".join(f"{k}={json.dumps(v)}\n" for k, v in variables(wiring).items()))


def keep_payload_keys(path: Path) -> Path:
    """Make the payload keys once, readable by nobody else; open payments need the same ones."""
    if not path.exists():
        _write_private(path, new_key_file())
    return path


def keep_identity_key(path: Path) -> Path:
    """Create the identity key once, readable by nobody else; repeated requests need the same."""
    if not path.exists():
        _write_private(path, new_identity_key())
    return path


def write_accounts(path: Path, manifest: Mapping[str, Any]) -> Path:
    """Write the sandbox's accounts in the form that settings read."""
    tables = [
        (provider, account)
        for provider, accounts in manifest["accounts"].items()
        for account in accounts
    ]
    _write_tables(path, tables)
    return path


def write_products(path: Path, manifest: Mapping[str, Any]) -> Path:
    """Write what the sandbox's stores sell in the form that settings read."""
    tables = [("product", product) for app in _apps(manifest) for product in app["products"]]
    _write_tables(path, tables)
    return path


def notification_settings(manifest: Mapping[str, Any], api_url: str) -> dict[str, str]:
    """Our notify address for every app whose store knows an app, by where it is told."""
    return {
        app["settings_url"]: f"{api_url}/notify/{provider}/{name}"
        for provider, section in manifest.items()
        if isinstance(section, dict)
        for name, app in section.get("apps", {}).items()
        if "settings_url" in app
    }


def _apps(manifest: Mapping[str, Any]) -> list[dict[str, Any]]:
    sections = [section for section in manifest.values() if isinstance(section, dict)]
    apps = [app for section in sections for app in section.get("apps", {}).values()]
    return [app for app in apps if "products" in app]


def _write_tables(path: Path, tables: Iterable[tuple[str, Mapping[str, Any]]]) -> None:
    lines: list[str] = []
    for name, table in tables:
        # JSON's strings, numbers and booleans are TOML's too.
        values = [f"{key} = {json.dumps(table[key], ensure_ascii=False)}" for key in table]
        lines += ["", f"[[{name}]]", *values]
    _write_private(path, "\n".join([*lines, ""]))


def _write_private(path: Path, text: str) -> None:
    """Write a file of 0600 at once whole, whatever happens meanwhile."""
    half = path.with_suffix(".new")
    half.unlink(missing_ok=True)
    half.touch(mode=0o600)
    half.write_text(text)
    half.replace(path)
