"""What our workflows and our API make of failures, genuine and forged."""

import pytest
from temporalio.api.common.v1 import Payload
from temporalio.api.failure.v1 import Failure
from temporalio.converter import (
    ActivitySerializationContext,
    DataConverter,
    WorkflowSerializationContext,
)
from temporalio.exceptions import (
    ActivityError,
    ApplicationError,
    CancelledError,
    TimeoutError,  # noqa: A004 - the SDK's name
)

from crypto.key_ring import KeyRing
from domain.payment import Failure as Reason
from engine.converter import PAYLOAD_REJECTED, data_converter

ACTIVITY = ActivitySerializationContext(
    namespace="shop",
    activity_id=None,
    activity_type="create_checkout",
    activity_task_queue=None,
    workflow_id="payment-1",
    workflow_type=None,
    is_local=False,
)
PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'{"message": "no", "type": "x"}')


@pytest.fixture
def converter(keys: KeyRing) -> DataConverter:
    return data_converter(keys).with_context(ACTIVITY)


async def rejection_of(converter: DataConverter) -> Failure:
    """A provider's genuine no, as its activity reports it."""
    failure = Failure()
    reason = Reason(code="provider_rejected", message="no")
    error = ApplicationError("no", reason, type="provider_rejected", non_retryable=True)
    await converter.encode_failure(error, failure)
    return failure


async def decoded(converter: DataConverter, failure: Failure) -> ApplicationError:
    error = await converter.decode_failure(Failure.FromString(failure.SerializeToString()))
    assert isinstance(error, ApplicationError)
    return error


async def test_a_genuine_failure_says_all_that_it_said(converter: DataConverter) -> None:
    error = await decoded(converter, await rejection_of(converter))

    assert (error.message, error.type, error.non_retryable) == ("no", "provider_rejected", True)
    assert error.details[0]["code"] == "provider_rejected"


async def test_a_failure_that_is_not_encrypted_says_nothing(converter: DataConverter) -> None:
    forged = Failure(message="no")
    forged.application_failure_info.type = "provider_rejected"
    forged.application_failure_info.non_retryable = True
    forged.application_failure_info.details.payloads.append(PLAIN)
    forged.cause.CopyFrom(await rejection_of(converter))

    for attributes in (None, PLAIN):
        if attributes is not None:
            forged.encoded_attributes.CopyFrom(attributes)
        error = await decoded(converter, forged)
        assert (error.type, error.non_retryable) == (PAYLOAD_REJECTED, False)
        assert (error.details, error.cause) == ((), None)


async def test_what_is_in_clear_of_a_genuine_failure_cannot_be_changed(
    converter: DataConverter,
) -> None:
    genuine = await rejection_of(converter)
    for field, value in (("type", "conflict"), ("non_retryable", False)):
        changed = Failure.FromString(genuine.SerializeToString())
        setattr(changed.application_failure_info, field, value)
        assert (await decoded(converter, changed)).type == PAYLOAD_REJECTED
    genuine.application_failure_info.details.payloads[0].CopyFrom(PLAIN)
    assert (await decoded(converter, genuine)).type == PAYLOAD_REJECTED


async def test_another_activitys_failure_says_nothing(keys: KeyRing) -> None:
    free = data_converter(keys)
    there = WorkflowSerializationContext(namespace="shop", workflow_id="payment-2")
    genuine = await rejection_of(free.with_context(ACTIVITY))

    assert (await decoded(free.with_context(there), genuine)).type == PAYLOAD_REJECTED


async def test_a_timeout_and_a_cancellation_of_the_server_are_what_they_are(
    converter: DataConverter,
) -> None:
    late, cancelled = Failure(message="activity timeout"), Failure(message="activity cancelled")
    late.timeout_failure_info.timeout_type = 1  # type: ignore[assignment]
    cancelled.canceled_failure_info.details.payloads.append(PLAIN)

    assert isinstance(await converter.decode_failure(late), TimeoutError)
    error = await converter.decode_failure(cancelled)
    assert isinstance(error, CancelledError)
    assert error.details == ()


async def test_a_failure_that_a_workflow_passes_on_stays_genuine(keys: KeyRing) -> None:
    activity = data_converter(keys).with_context(ACTIVITY)
    ours = data_converter(keys).with_context(
        WorkflowSerializationContext(namespace="shop", workflow_id="payment-1")
    )
    wrapped = Failure(message="activity error")
    wrapped.activity_failure_info.activity_id = "1"
    wrapped.cause.CopyFrom(await rejection_of(activity))
    error = await activity.decode_failure(wrapped)
    assert isinstance(error, ActivityError)

    passed_on = Failure()
    await ours.encode_failure(error, passed_on)

    again = await ours.decode_failure(passed_on)
    assert isinstance(again, ActivityError)
    assert isinstance(again.cause, ApplicationError)
    assert (again.cause.type, again.cause.message) == ("provider_rejected", "no")


async def test_arguments_that_are_not_encrypted_are_an_error(converter: DataConverter) -> None:
    with pytest.raises(ApplicationError, match="it is not encrypted") as raised:
        await converter.decode([PLAIN], [dict])

    assert (raised.value.type, raised.value.non_retryable) == (PAYLOAD_REJECTED, True)
