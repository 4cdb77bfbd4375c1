"""What a client without our payload keys must not say in place of an activity."""

import asyncio
from contextlib import suppress
from typing import Any

import pytest
from temporalio.api.common.v1 import Payloads
from temporalio.api.failure.v1 import Failure
from temporalio.api.workflowservice.v1 import (
    RespondActivityTaskCompletedByIdRequest,
    RespondActivityTaskFailedByIdRequest,
)
from temporalio.client import Client
from temporalio.converter import WorkflowSerializationContext
from temporalio.service import RPCError

from api.workflow_calls import NoAnswerYet, bounded
from domain.errors import ProviderRejected
from domain.payment import Payment
from tests.api.house import House, ProviderSide, Shop, eventually, order
from tests.domain.making import IDENTITY
from tests.security.keyless import (
    Target,
    activity_of,
    is_untouched,
    paid,
    plain,
    reference,
    workflow_id,
)


async def delayed(
    provider: ProviderSide, operation: str, payment: dict[str, Any], seconds: float
) -> None:
    """Have the provider take so long over its next answer about this payment."""
    fault = {"provider": provider.provider, "operation": operation, "kind": "delay"}
    aimed = fault | {"reference": reference(payment), "params": {"seconds": seconds}}
    response = await provider.control.post("/_sandbox/faults", json=aimed)
    assert response.status_code == 201, response.text


async def pending_call(target: Target, activity: str) -> str:
    """The id of the call that is on its way to the provider."""

    async def asked() -> str | None:
        with suppress(RPCError):
            description = await target.handle.describe()
            for pending in description.raw_description.pending_activities:
                if pending.activity_type.name == activity and pending.attempt:
                    return pending.activity_id
        return None

    found: str = await eventually(asked)
    return found


@pytest.mark.parametrize("forged", ["plain", "copied"])
async def test_a_forged_activity_result_never_moves_a_payment(
    house: House,
    shop: Shop,
    provider: ProviderSide,
    payment: dict[str, Any],
    target: Target,
    forged: str,
) -> None:
    payloads = await plain(paid(payment))
    if forged == "copied":
        # As good as a copy can be: our keys, the same activity, but another payment's workflow.
        context = activity_of("payment-of-another", "query_payment", target.client.namespace)
        ours = house.dependencies.temporal.data_converter.with_context(context)
        payloads = await ours.encode([paid(payment)])
    await delayed(provider, "query", payment, seconds=6)
    asking = asyncio.create_task(shop.http.post(f"/v1/payments/{payment['id']}/sync"))

    await target.client.workflow_service.respond_activity_task_completed_by_id(
        RespondActivityTaskCompletedByIdRequest(
            namespace=target.client.namespace,
            workflow_id=target.workflow_id,
            activity_id=await pending_call(target, "query_payment"),
            result=Payloads(payloads=payloads),
        )
    )

    await asking
    await target.has_processed_all()
    await is_untouched(house, shop, provider, payment)


async def test_a_forged_rejection_by_the_provider_never_fails_a_payment(
    house: House, shop: Shop, provider: ProviderSide, stranger_at_temporal: Client
) -> None:
    # The first call hangs for longer than it may take; a queue asks whether it was executed.
    payment = {"id": str(IDENTITY.payment_id(shop.merchant.id, "once"))}
    await delayed(provider, "create", payment, seconds=6)
    await delayed(provider, "query", payment, seconds=20)
    body = order()
    creating = asyncio.create_task(shop.create(body, key="once"))
    target = Target(stranger_at_temporal, workflow_id(payment))
    failure = Failure(message="no")
    failure.application_failure_info.type = ProviderRejected.code
    failure.application_failure_info.non_retryable = True

    await target.client.workflow_service.respond_activity_task_failed_by_id(
        RespondActivityTaskFailedByIdRequest(
            namespace=target.client.namespace,
            workflow_id=target.workflow_id,
            activity_id=await pending_call(target, "create_checkout"),
            failure=failure,
        )
    )

    await creating
    await target.has_processed_all()
    assert (await shop.read(payment))["status"] == "pending"
    answer = await shop.create(body, key="once")
    assert answer.json()["status"] == "pending"


async def test_an_answer_of_a_strangers_worker_is_no_answer(
    house: House, payment: dict[str, Any], target: Target
) -> None:
    ours = house.dependencies.temporal
    context = WorkflowSerializationContext(ours.namespace, target.workflow_id)
    answer = payment | {"status": "succeeded"}

    with pytest.raises(NoAnswerYet):
        async with bounded():
            await ours.data_converter.with_context(context).decode(await plain(answer), [Payment])
