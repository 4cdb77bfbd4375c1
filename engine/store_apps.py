"""The app of every account of a store, for grants that are older than migration 0010."""

import logging

from providers.base import Store
from providers.registry import Registry
from storage.database import DatabaseUnavailable
from storage.entitlements import EntitlementStore

_log = logging.getLogger(__name__)


async def name_apps(registry: Registry, entitlements: EntitlementStore) -> None:
    """Key older grants by their store's identity; changes nothing where all are.

    A database that is unavailable is left to the next start: it keeps no process from starting.
    """
    for provider in registry.all():
        if not isinstance(provider, Store):
            continue
        try:
            named = await entitlements.name_app(
                provider.name,
                provider.account,
                sold=provider.app(test=False),
                test=provider.app(test=True),
            )
        except DatabaseUnavailable:
            _log.warning("older grants were not keyed by app: the database is unavailable")
            return
        if named:
            _log.info("keyed %d older grants of %s by app", named, provider.account)
