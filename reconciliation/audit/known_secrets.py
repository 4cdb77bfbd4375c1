"""Every secret of a deployment, by a name that may be shown; the name begins with its field.

Found by kind, so that a new one is looked for without a change here: what a provider's
configuration declares as a secret, every file that a setting names, what the database keeps
encrypted. API keys are found by their form (`audit.privacy`): of them we keep a digest.
"""

import tomllib
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from sqlalchemy import make_url

from providers.registry import secret_fields
from settings import Settings
from storage.database import Database
from storage.merchants import MerchantStore
from webhooks.signing import UnusableSecretError
from webhooks.stored_secrets import StoredSecrets

# Read in their own way, or with nothing that is secret.
_OTHER_FILES = {"accounts_file", "products_file"}
# A longer one is known by its middle, as it would stand in a log that cuts or escapes lines.
_LONGEST = 64
# Names inside a file, such as a key's id, are shorter.
_SHORTEST_OF_A_FILE = 16


async def known_secrets(
    settings: Settings, database: Database, stored: StoredSecrets
) -> dict[str, str]:
    """Return what settings and database name. DatabaseUnavailable."""
    secrets = key_material(settings.read_accounts()) | of_settings(settings)
    for merchant in await MerchantStore(database).list_all():
        try:
            of_merchant = stored.all_of(merchant.id, merchant.webhook_secret)
        except UnusableSecretError:
            # Its key is lost: nobody can use the secret, and its form is looked for anyway.
            continue
        for number, secret in enumerate(of_merchant, 1):
            secrets[f"webhook_secret of {merchant.id} ({number})"] = secret
    return secrets


def of_settings(settings: Settings) -> dict[str, str]:
    """Return what stands in the files that settings name, and the database URL's password."""
    secrets: dict[str, str] = {}
    for name in type(settings).model_fields:
        path = getattr(settings, name)
        if name.endswith("_file") and name not in _OTHER_FILES and path is not None:
            secrets |= _of_file(name, path)
    if password := make_url(settings.read_database_url()).password:
        secrets["password of the database URL"] = str(password)
    return secrets


def key_material(accounts: Mapping[str, Iterable[Mapping[str, Any]]]) -> dict[str, str]:
    """Return the secrets of the provider accounts, those of their key files included."""
    return {
        f"{field} of {provider}/{entry.get('name', '')}": _middle(str(entry[field]))
        for provider, entries in accounts.items()
        for entry in entries
        for field in sorted(secret_fields(provider))
        if entry.get(field)
    }


def _of_file(name: str, path: Path) -> dict[str, str]:
    if not path.exists():
        return {}
    text = path.read_text()
    try:
        found = [
            value for value in _values(tomllib.loads(text)) if len(value) >= _SHORTEST_OF_A_FILE
        ]
    except tomllib.TOMLDecodeError:
        found = [text.strip()]
    return {f"{name} ({number})": _middle(value) for number, value in enumerate(found, 1) if value}


def _values(document: Mapping[str, Any]) -> Iterator[str]:
    for value in document.values():
        if isinstance(value, Mapping):
            yield from _values(value)
        else:
            yield str(value)


def _middle(secret: str) -> str:
    """The middle line, which no two PEM files share; of a long line its middle."""
    lines = secret.strip().splitlines() or [""]
    line = lines[len(lines) // 2]
    start = max(len(line) - _LONGEST, 0) // 2
    return line[start : start + _LONGEST]
