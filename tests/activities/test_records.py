"""Steps about records that are not there: a definite no, never an endless retry."""

from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.payments import PaymentActivities
from activities.webhooks import WebhookActivities
from storage.database import Database
from storage.events import EventStore
from storage.merchants import MerchantStore
from storage.payments import PaymentStore
from tests.workflows.merchants import ListeningMerchants


async def test_a_payment_that_is_not_there_is_a_definite_no(database: Database) -> None:
    steps = PaymentActivities(PaymentStore(database))

    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(steps.load_payment, uuid4())

    assert (refused.value.type, refused.value.non_retryable) == ("not_found", True)


async def test_an_event_that_is_not_there_is_a_definite_no(database: Database) -> None:
    steps = WebhookActivities(
        EventStore(database),
        MerchantStore(database),
        ListeningMerchants(),  # type: ignore[arg-type] # a merchant, not a sender to one
    )

    with pytest.raises(ApplicationError) as refused:
        await ActivityEnvironment().run(steps.deliver_event, uuid4())

    assert (refused.value.type, refused.value.non_retryable) == ("not_found", True)
