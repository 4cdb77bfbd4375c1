import hashlib
import secrets
from datetime import datetime

from sqlalchemy import exists, func, insert, literal, select, update

from domain.errors import NotFound
from domain.frozen import Frozen
from domain.merchant import Merchant
from storage.database import Database
from storage.rows import to_merchant
from storage.tables import api_keys, merchants

_MARK = "psk_"
_SECRET_BYTES = 32
# Enough to tell a merchant's keys apart, and far too little to guess the rest.
_VISIBLE = len(_MARK) + 8


def visible_prefix(key: str) -> str:
    """Return the part of a key that may be shown and logged."""
    return key[:_VISIBLE]


class ApiKey(Frozen):
    """What may be shown of a key after its creation."""

    prefix: str
    merchant_id: str
    label: str
    created_at: datetime
    revoked_at: datetime | None = None


class ApiKeyStore:
    """API keys, of which only a digest is kept.

    A plain SHA-256 is enough: a key is 32 random bytes, so there is nothing to guess faster.
    """

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, merchant_id: str, label: str) -> str:
        """The key in plain text, this once. NotFound where there is no such merchant."""
        key = _MARK + secrets.token_urlsafe(_SECRET_BYTES)
        row = {"digest": _digest(key), "prefix": visible_prefix(key), "label": label}
        values = {name: literal(value, api_keys.c[name].type) for name, value in row.items()}
        statement = (
            insert(api_keys)
            .from_select(
                ["merchant_id", "created_at", *row],
                select(merchants.c.id, func.now(), *values.values()).where(
                    merchants.c.id == merchant_id
                ),
            )
            .returning(api_keys.c.prefix)
        )
        async with self._database.statement() as connection:
            if (await connection.execute(statement)).first() is None:
                raise NotFound("There is no such merchant.")
        return key

    async def authenticate(self, key: str) -> Merchant | None:
        """The key's merchant; None where it is unknown or revoked."""
        statement = select(merchants).where(
            exists().where(
                api_keys.c.merchant_id == merchants.c.id,
                api_keys.c.digest == _digest(key),
                api_keys.c.revoked_at.is_(None),
            )
        )
        async with self._database.statement() as connection:
            row = (await connection.execute(statement)).mappings().one_or_none()
        return to_merchant(row) if row else None

    async def revoke(self, prefix: str) -> None:
        """End the key with these visible characters; again is no error. NotFound."""
        statement = (
            update(api_keys)
            .where(api_keys.c.prefix == prefix)
            .values(revoked_at=func.coalesce(api_keys.c.revoked_at, func.now()))
            .returning(api_keys.c.prefix)
        )
        async with self._database.statement() as connection:
            if (await connection.execute(statement)).first() is None:
                raise NotFound("There is no such key.")

    async def list_for_merchant(self, merchant_id: str) -> list[ApiKey]:
        """What may be shown of the merchant's keys, oldest first."""
        statement = (
            select(api_keys)
            .where(api_keys.c.merchant_id == merchant_id)
            .order_by(api_keys.c.created_at)
        )
        async with self._database.statement() as connection:
            rows = (await connection.execute(statement)).mappings().all()
        return [ApiKey.model_validate(dict(row)) for row in rows]


def _digest(key: str) -> bytes:
    # An attacker's key may hold anything, lone surrogates too: it must be wrong, not an error.
    return hashlib.sha256(key.encode(errors="surrogatepass")).digest()
