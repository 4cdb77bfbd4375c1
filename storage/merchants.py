from domain.merchant import Merchant
from storage.database import Database


class MerchantStore:
    """Merchants as rows; payments refer to them."""

    def __init__(self, database: Database) -> None: ...

    async def create(self, merchant: Merchant) -> None:
        """Conflict(merchant_exists)."""
        raise NotImplementedError

    async def get(self, merchant_id: str) -> Merchant | None:
        raise NotImplementedError

    async def update(self, merchant: Merchant) -> None:
        """NotFound."""
        raise NotImplementedError
