"""The database that commands about records look into: the settings' one, or the stack's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from embedded.stack import ENV_FILE
from settings import Settings
from storage.database import Database


@asynccontextmanager
async def open_database(state_dir: Path) -> AsyncIterator[Database]:
    """Open the database that PAYSAGA_* names, or else that of the stack in the folder."""
    database = Database(Settings(_env_file=state_dir / ENV_FILE).read_database_url())
    try:
        yield database
    finally:
        await database.close()
