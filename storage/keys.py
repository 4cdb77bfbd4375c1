from datetime import datetime

from domain.frozen import Frozen
from domain.merchant import Merchant
from storage.database import Database


class ApiKey(Frozen):
    """What may be shown of a key after it was made."""

    prefix: str
    merchant_id: str
    label: str
    created_at: datetime
    revoked_at: datetime | None = None


class ApiKeyStore:
    """API keys, of which only a digest is kept."""

    def __init__(self, database: Database) -> None: ...

    async def create(self, merchant_id: str, label: str) -> str:
        """The key in plain text, this once; NotFound where there is no such merchant."""
        raise NotImplementedError

    async def authenticate(self, key: str) -> Merchant | None:
        raise NotImplementedError

    async def revoke(self, prefix: str) -> None:
        """By its visible prefix; NotFound."""
        raise NotImplementedError

    async def list_for_merchant(self, merchant_id: str) -> list[ApiKey]:
        raise NotImplementedError
