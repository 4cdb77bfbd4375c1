"""The only reader of our environment (`PAYSAGA_*`); Temporal's own `TEMPORAL_*` go to its SDK."""

import base64
import re
import tomllib
from collections.abc import Mapping
from enum import StrEnum
from ipaddress import IPv4Network, IPv6Network
from pathlib import Path
from typing import Annotated, Any, Self
from urllib.parse import quote

from pydantic import (
    Field,
    PositiveFloat,
    PositiveInt,
    SecretStr,
    field_validator,
    model_validator,
)
from pydantic_settings import BaseSettings, NoDecode, SettingsConfigDict

from domain.identity import IdentityKey, IdentityKeyError


class Mode(StrEnum):
    """`sandbox` relaxes what a newcomer on one machine needs relaxed, and nothing else."""

    SANDBOX = "sandbox"
    PRODUCTION = "production"


class DatabaseSettings(BaseSettings):
    """How a process reaches the database."""

    model_config = SettingsConfigDict(env_prefix="PAYSAGA_", extra="ignore")

    database_url: SecretStr = Field(
        description="postgresql+asyncpg://user@host:port/name; the password may come by file."
    )
    database_password_file: Path | None = None

    def read_database_url(self) -> str:
        """The database URL, with the password from its file put in."""
        return _with_password(self.database_url, self.database_password_file)


class MigrationSettings(DatabaseSettings):
    """What the migration is given: the owner's database, and the role that gets privileges."""

    database_runtime_role: str | None = Field(
        default=None, description="The role that API, workers and commands run as."
    )


class OwnDatabaseSettings(DatabaseSettings):
    """A database of the user's own under the one-command stack: by two roles, or one."""

    database_owner_url: SecretStr | None = Field(
        default=None, description="The same database as the role that owns and migrates the tables."
    )
    database_owner_password_file: Path | None = None

    def read_owner_url(self) -> str | None:
        """The owner's URL, with the password from its file put in; None where one role does all."""
        url, path = self.database_owner_url, self.database_owner_password_file
        return None if url is None else _with_password(url, path)


class Settings(DatabaseSettings):
    """What a process of Paysaga must be told. Secrets come by file, never by value."""

    mode: Mode = Mode.PRODUCTION
    public_url: str = Field(
        description="Where providers and payers reach this API, without a trailing slash."
    )
    accounts_file: Path = Field(
        description="TOML: one table per account, named after its provider ([[alipay]])."
    )
    products_file: Path | None = Field(
        default=None, description="TOML: one [[product]] for each that a store sells for us."
    )
    payload_keys_file: Path = Field(
        description='TOML: current = "k1" and [keys] k1 = "<base64 of 32 bytes>".'
    )
    identity_key_file: Path | None = Field(
        default=None,
        description="base64 of 32 bytes, which ids are derived with; only the API needs it.",
    )
    ui_origin: str | None = Field(
        default=None, description="Origin of the Temporal UI that may ask to decrypt payloads."
    )
    operator_token_file: Path | None = Field(
        default=None, description="Bearer token of operators (payload decryption); by file."
    )
    build_id: str | None = Field(
        default=None,
        pattern=r"^[A-Za-z0-9._-]{1,64}$",
        description="The build that workflows begun here are pinned to; with none, to no build.",
    )
    eager_start: bool = Field(
        default=True, description="Whether the API process carries the payments that it starts."
    )
    metrics_address: str | None = Field(
        default=None, description="host:port where the worker serves Temporal's metrics."
    )
    api_metrics_address: str | None = Field(
        default=None, description="The same for the runs that the API carries."
    )

    create_rate: PositiveFloat = Field(
        default=5.0, description="Payments and refunds a second, per merchant and process."
    )
    create_concurrency: PositiveInt = Field(
        default=8, description="The same at the same time, per merchant and process."
    )
    command_rate: PositiveFloat = Field(
        default=10.0, description="Cancel, sync, verify, restore; as `create_rate`."
    )
    command_concurrency: PositiveInt = 8
    read_rate: PositiveFloat = Field(default=50.0, description="GET; as `create_rate`.")
    read_concurrency: PositiveInt = 8
    peer_rate: PositiveFloat = Field(
        default=50.0, description="Requests a second without a known key, per peer and process."
    )
    peer_concurrency: PositiveInt = Field(
        default=32, description="The same at the same time; four such peers are served at once."
    )
    peer_header: str | None = Field(
        default=None,
        description="Header in which a trusted proxy gives the peer's address; with none, the"
        " peer is who connects.",
    )
    trusted_proxies: Annotated[tuple[IPv4Network | IPv6Network, ...], NoDecode] = Field(
        default=(), description="Networks of the reverse proxies, with commas between."
    )

    @field_validator("peer_header", mode="before")
    @classmethod
    def _no_empty_header(cls, value: str | None) -> str | None:
        return value or None

    @field_validator("trusted_proxies", mode="before")
    @classmethod
    def _networks(cls, value: object) -> object:
        if not isinstance(value, str):
            return value
        return tuple(network.strip() for network in value.split(",") if network.strip())

    @model_validator(mode="after")
    def _header_needs_proxies(self) -> Self:
        if (self.peer_header is None) != (not self.trusted_proxies):
            raise ValueError(
                "Set PAYSAGA_PEER_HEADER and PAYSAGA_TRUSTED_PROXIES together, or neither: a"
                " header is believed from these networks only."
            )
        return self

    @property
    def is_sandbox(self) -> bool:
        """True where loopback webhooks and an open codec endpoint are acceptable."""
        return self.mode is Mode.SANDBOX

    def read_identity_key(self) -> IdentityKey:
        """The key that ids are derived with. Raises IdentityKeyError where it is missing or bad."""
        if self.identity_key_file is None:
            raise IdentityKeyError(
                "PAYSAGA_IDENTITY_KEY_FILE is not set: name a file with base64 of 32 random bytes"
                " (head -c 32 /dev/urandom | base64), and keep it as long as the database."
            )
        return IdentityKey.parse(self.identity_key_file.read_text())

    def read_accounts(self) -> dict[str, list[dict[str, Any]]]:
        """Accounts by provider; each `*_file` entry is replaced by the file's text.

        A file that is no text, such as a PFX, is given in base64.
        """
        sections = tomllib.loads(self.accounts_file.read_text())
        base = self.accounts_file.parent
        return {
            provider: [read_files(account, base) for account in accounts]
            for provider, accounts in sections.items()
        }

    def secret_files(self) -> list[Path]:
        """The files whose content must stay secret; those of accounts that hold keys included."""
        own = [getattr(self, name) for name in type(self).model_fields if name.endswith("_file")]
        base = self.accounts_file.parent
        in_accounts = [
            base / value
            for accounts in tomllib.loads(self.accounts_file.read_text()).values()
            for account in accounts
            for key, value in account.items()
            if key.endswith("_file") and not _PUBLIC.search(key)
        ]
        return [path for path in own + in_accounts if path not in (None, self.products_file)]

    def read_products(self) -> list[dict[str, Any]]:
        """The catalogue's products; none where no file is named, or it is empty."""
        if self.products_file is None:
            return []
        sections = tomllib.loads(self.products_file.read_text())
        products: list[dict[str, Any]] = sections.get("product", [])
        return products


def _with_password(database_url: SecretStr, password_file: Path | None) -> str:
    url = database_url.get_secret_value()
    if password_file is None:
        return url
    password = password_file.read_text().strip()
    scheme, _, rest = url.partition("://")
    user, _, place = rest.partition("@")
    return f"{scheme}://{user.partition(':')[0]}:{quote(password, safe='')}@{place}"


# Of an account's files: certificates and public keys are no secrets.
_PUBLIC = re.compile("public|cert")


def read_files(account: Mapping[str, Any], base: Path) -> dict[str, Any]:
    """Return the account with each `*_file` entry, relative to `base`, replaced by its text."""
    return {
        key.removesuffix("_file"): _read_file(base / value) if key.endswith("_file") else value
        for key, value in account.items()
    }


def _read_file(path: Path) -> str:
    content = path.read_bytes()
    try:
        return content.decode()
    except UnicodeDecodeError:
        return base64.b64encode(content).decode()
