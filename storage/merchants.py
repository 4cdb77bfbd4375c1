from sqlalchemy import select, update
from sqlalchemy.dialects.postgresql import insert

from domain.errors import Conflict, NotFound
from domain.merchant import Merchant
from storage.database import Database
from storage.rows import to_merchant
from storage.tables import merchants


class MerchantStore:
    """Merchants as rows; a payment needs its merchant's."""

    def __init__(self, database: Database) -> None:
        self._database = database

    async def create(self, merchant: Merchant) -> None:
        """Add the merchant. Conflict(`merchant_exists`)."""
        statement = (
            insert(merchants)
            .values(merchant.model_dump())
            .on_conflict_do_nothing()
            .returning(merchants.c.id)
        )
        async with self._database.statement() as connection:
            if (await connection.execute(statement)).first() is None:
                raise Conflict(f"Merchant {merchant.id} exists already.", code="merchant_exists")

    async def get(self, merchant_id: str) -> Merchant | None:
        """The merchant, or None."""
        async with self._database.statement() as connection:
            result = await connection.execute(
                select(merchants).where(merchants.c.id == merchant_id)
            )
            row = result.mappings().one_or_none()
        return to_merchant(row) if row else None

    async def update(self, merchant: Merchant) -> None:
        """Replace everything but the id and the webhook secret. NotFound."""
        statement = (
            update(merchants)
            .where(merchants.c.id == merchant.id)
            .values(merchant.model_dump(exclude={"id", "webhook_secret"}))
            .returning(merchants.c.id)
        )
        async with self._database.statement() as connection:
            if (await connection.execute(statement)).first() is None:
                raise NotFound("There is no such merchant.")

    async def list_all(self) -> list[Merchant]:
        """Every merchant, by id."""
        async with self._database.statement() as connection:
            result = await connection.execute(select(merchants).order_by(merchants.c.id))
        return [to_merchant(row) for row in result.mappings()]

    async def replace_secret(self, merchant: Merchant, stored: str) -> bool:
        """Store the encrypted webhook secret in place of the merchant's; False if that changed."""
        statement = (
            update(merchants)
            .where(
                merchants.c.id == merchant.id,
                merchants.c.webhook_secret.is_not_distinct_from(merchant.webhook_secret),
            )
            .values(webhook_secret=stored)
        )
        async with self._database.statement() as connection:
            replaced = await connection.execute(statement.returning(merchants.c.id))
        return replaced.first() is not None
