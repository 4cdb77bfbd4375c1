"""What the routes work with, created once per process and injected."""

from dataclasses import dataclass, field
from typing import Annotated, Self, cast

from fastapi import Depends, Request
from temporalio.client import Client

from api.http.metrics import Metrics
from api.in_app.catalogue import Catalogue
from api.in_app.proofs import Proofs, StoreAnswers
from api.notifications.acknowledged import Acknowledged
from api.payments.eager_start import EagerStart
from api.payments.expected import ExpectedPayments
from domain.identity import IdentityKey
from engine.encryption import PayloadEncryption
from providers.registry import Registry
from settings import Settings
from storage.alarms import AlarmStore
from storage.database import Database
from storage.deployment import DeploymentStore
from storage.entitlements import EntitlementStore
from storage.events import EventStore
from storage.keys import ApiKeyStore
from storage.merchants import MerchantStore
from storage.notifications import NotificationStore
from storage.payments import PaymentStore
from storage.refunds import RefundStore


@dataclass(frozen=True)
class Stores:
    """The database's stores."""

    payments: PaymentStore
    refunds: RefundStore
    events: EventStore
    notifications: NotificationStore
    merchants: MerchantStore
    keys: ApiKeyStore
    entitlements: EntitlementStore
    deployment: DeploymentStore
    alarms: AlarmStore

    @classmethod
    def on(cls, database: Database) -> Self:
        """Every store on one database."""
        return cls(
            payments=PaymentStore(database),
            refunds=RefundStore(database),
            events=EventStore(database),
            notifications=NotificationStore(database),
            merchants=MerchantStore(database),
            keys=ApiKeyStore(database),
            entitlements=EntitlementStore(database),
            deployment=DeploymentStore(database),
            alarms=AlarmStore(database),
        )


@dataclass(frozen=True)
class Dependencies:
    """Everything outside the process that the API talks to, and how it is set up."""

    settings: Settings
    database: Database
    stores: Stores
    temporal: Client
    registry: Registry
    codec: PayloadEncryption
    metrics: Metrics
    identity: IdentityKey
    catalogue: Catalogue = field(default_factory=Catalogue)
    eager: EagerStart = field(default_factory=EagerStart)
    expected: ExpectedPayments = field(default_factory=ExpectedPayments)
    acknowledged: Acknowledged = field(default_factory=Acknowledged)
    answers: StoreAnswers = field(default_factory=StoreAnswers)

    @property
    def proofs(self) -> Proofs:
        """What the stores say of old signed transactions."""
        return Proofs(self.answers, self.stores.entitlements)


# FastAPI runs what is not async in a thread of its own, and waits for that thread at every request.
async def _of(request: Request) -> Dependencies:
    return cast("Dependencies", request.app.state.dependencies)


Deps = Annotated[Dependencies, Depends(_of)]
