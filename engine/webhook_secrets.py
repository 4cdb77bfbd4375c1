"""Webhook secrets brought under the newest payload key, at each start of a process."""

import logging
from dataclasses import dataclass

from storage.database import Database, DatabaseUnavailable
from storage.merchants import MerchantStore
from webhooks.signing import UnusableSecretError
from webhooks.stored_secrets import StoredSecrets

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Renewed:
    """How many secrets were encrypted anew, and the merchants whose secret cannot be decrypted."""

    count: int
    unreadable: tuple[str, ...]


async def renew_webhook_secrets(database: Database, secrets: StoredSecrets) -> Renewed:
    """Encrypt under the newest key what is in clear or under an older key; safe to repeat.

    What changed meanwhile is left as it is. DatabaseUnavailable.
    """
    merchants, count, unreadable = MerchantStore(database), 0, []
    for merchant in await merchants.list_all():
        stored = merchant.webhook_secret
        try:
            renewed = stored and secrets.renewed(merchant.id, stored)
        except UnusableSecretError:
            unreadable.append(merchant.id)
            continue
        if renewed and await merchants.replace_secret(merchant, renewed):
            count += 1
    if unreadable:
        # In one line: of very many of one second the log leaves most out.
        _log.error(
            "the webhook secrets of %s cannot be decrypted: put their keys back into"
            " PAYSAGA_PAYLOAD_KEYS_FILE, or use `merchants new-secret`",
            ", ".join(unreadable),
        )
    return Renewed(count, tuple(unreadable))


async def renew_at_start(database: Database, secrets: StoredSecrets) -> None:
    """The same, logged; a database that is unavailable is left to the next start."""
    try:
        renewed = await renew_webhook_secrets(database, secrets)
    except DatabaseUnavailable:
        _log.warning("webhook secrets were not renewed: the database is unavailable")
        return
    if renewed.count:
        _log.info("encrypted %d webhook secrets under the newest key", renewed.count)
