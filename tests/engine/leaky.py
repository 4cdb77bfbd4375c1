"""A workflow that puts what it is given everywhere that Temporal takes text."""

from datetime import timedelta

from temporalio import activity, workflow
from temporalio.exceptions import ApplicationError


@activity.defn
async def leak(secret: str) -> str:
    raise ApplicationError(f"no money on {secret}", secret, non_retryable=True)


@workflow.defn
class Leaky:
    @workflow.run
    async def run(self, secret: str) -> str:
        workflow.set_current_details(f"details {secret}")
        return await workflow.execute_activity(
            leak, secret, start_to_close_timeout=timedelta(seconds=5), summary=secret
        )
