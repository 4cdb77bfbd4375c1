"""The database that commands about records look into: the settings' one, or the stack's."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

from cli.embedded.stack import ENV_FILE
from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from settings import Settings
from storage.database import Database
from webhooks.stored_secrets import StoredSecrets


def stored_secrets(state_dir: Path) -> StoredSecrets:
    """What webhook secrets are encrypted with, by the settings' payload keys or the stack's."""
    settings = Settings(_env_file=state_dir / ENV_FILE)
    return StoredSecrets(Encryption(KeyRing.from_file(settings.payload_keys_file)))


@asynccontextmanager
async def open_database(state_dir: Path) -> AsyncIterator[Database]:
    """Open the database that PAYSAGA_* names, or else that of the stack in the folder."""
    database = Database(Settings(_env_file=state_dir / ENV_FILE).read_database_url())
    try:
        yield database
    finally:
        await database.close()
