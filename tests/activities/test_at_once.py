"""An event told inside the workflow task, and the endpoints that are better told otherwise."""

import asyncio
from uuid import UUID

import pytest
from temporalio.exceptions import ApplicationError
from temporalio.testing import ActivityEnvironment

from activities.bulkhead import Bulkhead
from activities.errors import STILL_PENDING
from activities.webhooks import WEBHOOK_FAILED, Told, WebhookActivities
from domain.event import DeliveryStatus
from domain.payment import Payment
from tests.activities.conftest import Alarm
from tests.workflows.merchants import ListeningMerchants
from webhooks.answers import WebhookAnswer
from webhooks.sender import WebhookFailed


async def at_once(webhooks: WebhookActivities, event: UUID) -> Told:
    told: Told = await ActivityEnvironment().run(webhooks.deliver_at_once, event)
    return told


async def refused(webhooks: WebhookActivities, event: UUID) -> str | None:
    with pytest.raises(ApplicationError) as error:
        await at_once(webhooks, event)
    return error.value.type


async def test_what_was_answered_is_known_without_notifying_it_again(
    webhooks: WebhookActivities, merchants: ListeningMerchants, recorded: Payment, alarm: Alarm
) -> None:
    event = await alarm("R1")
    merchants.answers[recorded.id] = [WebhookAnswer(status=200, decision="refund")]

    first, second = await at_once(webhooks, event), await at_once(webhooks, event)

    assert first == second == Told(delivery=DeliveryStatus.DELIVERED, refund=True)
    assert merchants.heard(recorded) == ["payment.attention"]


async def test_an_endpoint_that_fails_is_left_to_the_queue_for_a_while(
    webhooks: WebhookActivities,
    merchants: ListeningMerchants,
    recorded: Payment,
    alarm: Alarm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    event = await alarm("R1")
    merchants.answers[recorded.id] = [WebhookFailed("The endpoint answered 503.", status=503)]

    assert await refused(webhooks, event) == WEBHOOK_FAILED
    assert await refused(webhooks, event) == STILL_PENDING
    monkeypatch.setattr("activities.webhooks.AVOIDED_SECONDS", 0.0)
    webhooks._avoid(recorded.merchant_id)  # noqa: SLF001 - its time is over
    assert (await at_once(webhooks, event)).delivery is DeliveryStatus.DELIVERED


async def test_a_merchant_is_notified_of_a_few_events_at_once_and_not_of_all(
    webhooks: WebhookActivities,
    merchants: ListeningMerchants,
    recorded: Payment,
    alarm: Alarm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(webhooks, "_telling", Bulkhead(1))
    event = await alarm("R1")
    merchants.answers[recorded.id] = [answered := asyncio.Event()]

    telling = asyncio.create_task(at_once(webhooks, event))
    await merchants.hear(recorded, "payment.attention")
    assert await refused(webhooks, event) == STILL_PENDING
    answered.set()
    await telling
    assert (await at_once(webhooks, event)).delivery is DeliveryStatus.DELIVERED


async def test_an_endpoint_that_is_slow_is_not_cut_off_but_avoided(
    webhooks: WebhookActivities,
    merchants: ListeningMerchants,
    recorded: Payment,
    alarm: Alarm,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("activities.webhooks.AT_ONCE_SECONDS", 0.0)
    first, second = await alarm("R1"), await alarm("R2")
    merchants.answers[recorded.id] = [answered := asyncio.Event()]

    telling = asyncio.create_task(at_once(webhooks, first))
    async with asyncio.timeout(10):
        while recorded.merchant_id not in webhooks._avoided_until:  # noqa: SLF001, ASYNC110
            await asyncio.sleep(0.01)
    answered.set()

    assert (await telling).delivery is DeliveryStatus.DELIVERED
    assert await refused(webhooks, second) == STILL_PENDING
    assert merchants.heard(recorded) == ["payment.attention"]
