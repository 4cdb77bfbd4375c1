"""The worker process: connects, polls every queue, and ends what is under way when told to stop."""

import asyncio
import logging
import signal
from contextlib import AsyncExitStack, suppress

import uvloop

from activities.sweep import SweepActivities
from crypto.encryption import Encryption
from crypto.key_ring import KeyRing
from engine import logs, memory
from engine.builds import pinned, promote
from engine.client import connect, measured
from engine.namespace import verify_search_attributes
from engine.production import checked_settings
from engine.sweep import schedule_sweep, sweep_worker
from engine.webhook_secrets import renew_at_start
from engine.workers import open_activities, workers
from storage.database import Database, DatabaseUnavailable
from storage.ownership import refuse_ownership
from webhooks.stored_secrets import StoredSecrets
from workflows import search_attributes


async def main() -> None:
    """Run until SIGTERM or SIGINT, then finish what is under way."""
    settings = checked_settings()
    keys = KeyRing.from_file(settings.payload_keys_file)
    client = await connect(keys, runtime=measured(settings.metrics_address))
    await verify_search_attributes(client, search_attributes.ALL)
    stopped = asyncio.Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(name, stopped.set)
    async with AsyncExitStack() as running:
        database = Database(settings.read_database_url())
        running.push_async_callback(database.close)
        with suppress(DatabaseUnavailable):
            if not settings.is_sandbox:
                await refuse_ownership(database)
        activities, registry = await running.enter_async_context(
            open_activities(settings, database)
        )
        await renew_at_start(database, StoredSecrets(Encryption(keys)))
        names = sorted({provider.name for provider in registry.all()})
        build = pinned(settings.build_id)
        for worker in workers(client, activities, names, build):
            await running.enter_async_context(worker)
        sweeping = SweepActivities(client, registry, database)
        await running.enter_async_context(sweep_worker(client, sweeping, build))
        if settings.build_id is not None:
            # Of a new deployment no build is the current one, and nothing would be begun.
            await promote(client, settings.build_id, only_first=True)
        await schedule_sweep(client)
        memory.settle()
        logging.getLogger(__name__).info("polling for %s", ", ".join(names))
        await stopped.wait()


if __name__ == "__main__":
    logs.install()
    uvloop.run(main())
