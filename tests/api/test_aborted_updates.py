"""What an update's ways of failing mean to the caller of the API."""

import pytest
from temporalio.service import RPCError, RPCStatusCode

from api.workflow_calls import WorkflowEnded, bounded

CLOSING = "workflow update was aborted by closing workflow"


async def test_an_update_that_its_workflow_closed_with_is_answered_from_the_database() -> None:
    with pytest.raises(WorkflowEnded):
        async with bounded():
            raise RPCError(CLOSING, RPCStatusCode.ABORTED, b"")


@pytest.mark.parametrize(
    ("message", "status"),
    [
        ("workflow update was aborted", RPCStatusCode.ABORTED),
        (CLOSING, RPCStatusCode.UNAVAILABLE),
    ],
)
async def test_an_update_that_temporal_lost_for_another_reason_is_not_taken_for_an_end(
    message: str, status: RPCStatusCode
) -> None:
    with pytest.raises(RPCError):
        async with bounded():
            raise RPCError(message, status, b"")
