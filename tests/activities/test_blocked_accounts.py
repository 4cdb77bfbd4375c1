"""What a provider refuses for our account: said once, and never the end of a refund."""

from datetime import timedelta
from uuid import uuid4

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.errors import STILL_PENDING
from activities.provider_calls import (
    BLOCKED_FOR,
    ProviderActivities,
    RefundSubmission,
    Submission,
)
from domain.alarm import AlarmKind
from domain.errors import ProviderBlocked
from domain.report import Attention, RefundOutcome
from providers.registry import Registry
from storage.alarms import AlarmStore
from storage.database import Database
from storage.payments import PaymentStore
from tests.domain.making import payment, refund
from tests.workflows.scripted import Fault, Order, ScriptedProvider, unknown

PAYMENT = payment().model_copy(update={"provider": "scripted", "account": "main"})
REFUND = refund().model_copy(update={"provider": "scripted", "account": "main"})
FLAGGED = REFUND.model_copy(update={"attention": Attention.REFUND_BLOCKED})


@pytest.fixture
def steps(database: Database, provider: ScriptedProvider) -> ProviderActivities:
    provider.orders[PAYMENT.reference] = Order(PAYMENT.amount)
    registry = Registry([provider])
    return ProviderActivities(registry, PaymentStore(database), AlarmStore(database))


def refused(message: str = "top up") -> Fault:
    return Fault(error=ProviderBlocked(message, provider="scripted", provider_code="NOT_ENOUGH"))


async def alarms(database: Database) -> list[str]:
    raised = await AlarmStore(database).list_newest()
    return [alarm.detail for alarm in raised if alarm.kind is AlarmKind.ACCOUNT_BLOCKED]


async def test_a_blocked_refund_is_said_to_be_blocked_once_and_then_sent_again_later(
    steps: ProviderActivities, provider: ScriptedProvider
) -> None:
    provider.script("refund", REFUND.reference, refused(), refused())
    submission = RefundSubmission(refund=REFUND, payment=PAYMENT)
    with pytest.raises(ApplicationError) as first:
        await ActivityEnvironment().run(steps.submit_refund, submission)
    assert (first.value.type, first.value.non_retryable) == ("provider_blocked", True)

    known = RefundSubmission(refund=FLAGGED, payment=PAYMENT)
    with pytest.raises(ApplicationError) as later:
        await ActivityEnvironment().run(steps.submit_refund, known)
    assert (later.value.type, later.value.non_retryable) == (STILL_PENDING, False)
    assert later.value.next_retry_delay == BLOCKED_FOR == timedelta(minutes=5)


async def test_a_refund_is_blocked_also_where_its_query_is_rejected(
    steps: ProviderActivities, provider: ScriptedProvider, database: Database
) -> None:
    why = f"no permission {uuid4().hex}"
    provider.script("refund", REFUND.reference, refused(why))
    provider.script("query_refund", REFUND.reference, Fault(error=unknown()))
    submission = RefundSubmission(refund=REFUND, payment=PAYMENT)
    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(steps.submit_refund, submission)
    assert caught.value.type == "provider_blocked"
    assert why in await alarms(database)


async def test_a_refund_that_was_taken_before_is_not_blocked(
    steps: ProviderActivities, provider: ScriptedProvider
) -> None:
    fault = refused()
    fault.executed = True
    provider.script("refund", REFUND.reference, fault)
    submission = RefundSubmission(refund=REFUND, payment=PAYMENT)
    report = await ActivityEnvironment().run(steps.submit_refund, submission)
    assert report.outcome is RefundOutcome.SUCCEEDED


async def test_a_refund_that_was_blocked_and_is_abnormal_now_calls_again(
    steps: ProviderActivities, provider: ScriptedProvider
) -> None:
    abnormal = provider.refund_report(REFUND, RefundOutcome.ABNORMAL)
    provider.script("query_refund", REFUND.reference, Fault(report=abnormal))
    submission = RefundSubmission(refund=FLAGGED, payment=PAYMENT)
    report = await ActivityEnvironment().run(steps.poll_refund, submission)
    assert report.outcome is RefundOutcome.ABNORMAL


async def test_a_query_rejected_for_our_accounts_sake_raises_its_alarm_and_is_repeated(
    steps: ProviderActivities, provider: ScriptedProvider, database: Database
) -> None:
    why = f"bad signature {uuid4().hex}"
    provider.script("query", PAYMENT.reference, refused(why))
    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(steps.query_payment, PAYMENT)
    assert caught.value.type == STILL_PENDING
    assert why in await alarms(database)


async def test_an_order_rejected_for_our_accounts_sake_is_rejected(
    steps: ProviderActivities, provider: ScriptedProvider, database: Database
) -> None:
    why = f"receiving suspended {uuid4().hex}"
    del provider.orders[PAYMENT.reference]
    provider.script("create", PAYMENT.reference, refused(why))
    with pytest.raises(ApplicationError) as caught:
        await ActivityEnvironment().run(steps.create_checkout, Submission(payment=PAYMENT))
    assert (caught.value.type, caught.value.non_retryable) == ("provider_rejected", True)
    assert why in await alarms(database)
