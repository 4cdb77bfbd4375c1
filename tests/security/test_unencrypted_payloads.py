"""What a client of Temporal without our payload keys must not achieve, on a real server."""

from typing import Any
from uuid import uuid4

import pytest
from temporalio.api.common.v1 import Payload, WorkflowExecution
from temporalio.api.workflowservice.v1 import (
    ResetWorkflowExecutionRequest,
)
from temporalio.client import (
    WorkflowUpdateFailedError,
)
from temporalio.common import RawValue

from tests.api.house import House, ProviderSide, Shop, eventually
from tests.security.keyless import Target, is_untouched, notification, plain, workflow_id

REFERENCE = {"encoding": b"json/external-storage-reference"}
MARKED = {"encoding": b"json/plain", "__temporal_external_storage_reference": b"true"}
PROTOBUF = {
    "encoding": b"json/protobuf",
    "messageType": b"temporal.api.sdk.v1.ExternalStorageReference",
}


async def test_an_unencrypted_notification_never_makes_a_payment_succeed(
    house: House, shop: Shop, provider: ProviderSide, payment: dict[str, Any], target: Target
) -> None:
    await target.signal(await plain(notification(payment)))

    await is_untouched(house, shop, provider, payment)


@pytest.mark.parametrize(
    "payloads",
    [
        [],
        [Payload(metadata={"encoding": b"json/plain"}, data=b"1")] * 2,
        [Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"k9"})],
        [Payload(metadata={"encoding": b"binary/encrypted", "encryption-key-id": b"k1"})],
        [Payload(metadata={"encoding": b"binary/rejected"}, data=b"{}")],
        [Payload(metadata=REFERENCE, data=b"{}")],
        [Payload(metadata=PROTOBUF, data=b"{}")],
        [Payload(metadata=MARKED, data=b"{}")],
        [Payload()],
    ],
    ids=["none", "two", "key", "cut", "rejected", "reference", "protobuf", "marked", "empty"],
)
async def test_a_malformed_signal_never_stops_a_payment(
    house: House,
    shop: Shop,
    provider: ProviderSide,
    payment: dict[str, Any],
    target: Target,
    payloads: list[Payload],
) -> None:
    await target.signal(payloads)

    await is_untouched(house, shop, provider, payment)


async def test_another_payments_notification_never_reaches_a_payment(
    house: House, shop: Shop, provider: ProviderSide, payment: dict[str, Any], target: Target
) -> None:
    other = await shop.pending()
    await provider.pay(other)
    await provider.notify(other)
    await shop.reaches(other, "succeeded")
    [copied] = await Target(target.client, workflow_id(other)).signals()

    await target.signal(copied)

    await is_untouched(house, shop, provider, payment)


async def test_the_workflows_own_start_is_never_taken_for_a_notification(
    house: House, shop: Shop, provider: ProviderSide, payment: dict[str, Any], target: Target
) -> None:
    own = await target.inputs()
    await target.signal(own)
    await target.signal([*own, *own])

    await is_untouched(house, shop, provider, payment)


@pytest.mark.parametrize(
    ("update", "arguments"),
    [
        ("cancel", ["a stranger"]),
        ("cancel", []),
        ("sync", ["too much"]),
        ("resolve", [{"action": "accept", "note": "a stranger"}]),
        ("checkout", ["0" * 64]),
        ("checkout", []),
    ],
)
async def test_a_strangers_update_is_rejected_and_leaves_no_trace(
    house: House,
    shop: Shop,
    provider: ProviderSide,
    payment: dict[str, Any],
    target: Target,
    update: str,
    arguments: list[Any],
) -> None:
    await target.has_processed_all()
    before = len(await target.history())

    with pytest.raises(WorkflowUpdateFailedError):
        await target.handle.execute_update(update, args=arguments)

    assert len(await target.history()) == before
    await is_untouched(house, shop, provider, payment)


async def test_a_copied_argument_is_never_one_too_many(
    house: House, shop: Shop, provider: ProviderSide, payment: dict[str, Any], target: Target
) -> None:
    [own] = await target.inputs()
    with pytest.raises(WorkflowUpdateFailedError):
        await target.handle.execute_update("sync", RawValue(own))

    await is_untouched(house, shop, provider, payment)


async def test_resetting_a_payment_orders_nothing_twice(
    house: House, shop: Shop, provider: ProviderSide, payment: dict[str, Any], target: Target
) -> None:
    async def completed_task() -> int | None:
        for event in await target.history():
            if event.HasField("workflow_task_completed_event_attributes"):
                return event.event_id
        return None

    # The merchant has its answer before the first task is completed.
    finish = await eventually(completed_task)
    await target.client.workflow_service.reset_workflow_execution(
        ResetWorkflowExecutionRequest(
            namespace=target.client.namespace,
            workflow_execution=WorkflowExecution(workflow_id=target.workflow_id),
            reason="a stranger",
            workflow_task_finish_event_id=finish,
            request_id=uuid4().hex,
        )
    )
    await target.has_processed_all()

    assert len(await provider.orders(payment)) == 1
    await is_untouched(house, shop, provider, payment)
