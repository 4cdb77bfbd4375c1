"""Bring the database that PAYSAGA_* names to the newest schema: `python -m deploy.migrate`.

It runs as the owner of the tables; PAYSAGA_DATABASE_RUNTIME_ROLE names the role that everything
else runs as.
"""

import asyncio

from settings import MigrationSettings
from storage.migrate import upgrade

if __name__ == "__main__":
    settings = MigrationSettings()
    asyncio.run(upgrade(settings.read_database_url(), runtime_role=settings.database_runtime_role))
