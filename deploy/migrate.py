"""Bring the database that PAYSAGA_* names to the newest schema: `python -m deploy.migrate`."""

import asyncio

from settings import Settings
from storage.migrate import upgrade

if __name__ == "__main__":
    asyncio.run(upgrade(Settings().read_database_url()))
