"""What a bench measures: one whole deployment, whoever has started it."""

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass

from temporalio.client import Client

from settings import Settings
from webhooks.stored_secrets import StoredSecrets


@dataclass(frozen=True)
class System:
    """A running deployment.

    Attributes:
        api_url, sandbox_url: without a trailing slash.
        database_url: our database, as the API reaches it.
        temporal_client: connects with the deployment's keys.
        stored_secrets: what webhook secrets are encrypted with.
        settings: the API's.
        processes: process ids by name; each counts with its descendants.
    """

    api_url: str
    sandbox_url: str
    database_url: str
    temporal_client: Callable[[], Awaitable[Client]]
    stored_secrets: StoredSecrets
    settings: Settings
    processes: Mapping[str, int]
