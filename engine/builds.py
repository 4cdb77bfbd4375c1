"""The builds of a deployment: which one begins new workflows, and what the others still hold.

Temporal's Worker Versioning: a workflow is pinned to the build whose worker completed its first
task, and its tasks and activities go to workers of that build alone (ADR 35). Without a build id a
deployment has no versions, and any worker takes any task.
"""

import asyncio
from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from typing import Any

from temporalio.api.deployment.v1 import WorkerDeploymentInfo
from temporalio.api.workflowservice.v1 import (
    DescribeWorkerDeploymentRequest,
    SetWorkerDeploymentCurrentVersionRequest,
)
from temporalio.client import (
    Client,
    Interceptor,
    OutboundInterceptor,
    StartWorkflowInput,
    StartWorkflowUpdateWithStartInput,
    WorkflowExecution,
    WorkflowHandle,
    WorkflowUpdateHandle,
)
from temporalio.common import (
    PinnedVersioningOverride,
    VersioningBehavior,
    WorkerDeploymentVersion,
)
from temporalio.service import RPCError, RPCStatusCode
from temporalio.worker import WorkerDeploymentConfig

from activities.pollers import POLLED_WITHIN, polling_builds
from domain.frozen import Frozen
from workflows.policies import TASK_QUEUE

DEPLOYMENT = "paysaga"
# A worker has registered its queues by then; a version that is promoted at the same moment by
# several may be refused for a while.
_PATIENCE = timedelta(seconds=60)
_AGAIN_SECONDS = 0.5
_MOST_TRIES = 10
_RPC = timedelta(seconds=10)
_NOT_YET = (
    RPCStatusCode.NOT_FOUND,
    RPCStatusCode.FAILED_PRECONDITION,
    RPCStatusCode.RESOURCE_EXHAUSTED,
    RPCStatusCode.UNAVAILABLE,
)


class Build(Frozen):
    """One build: whether it begins new workflows, whether a worker of it runs, and what it holds.

    `open_workflows` lags behind by some seconds, as Temporal's lists do.
    """

    id: str
    current: bool
    polled: bool
    open_workflows: int

    @property
    def strands(self) -> bool:
        """Whether workflows wait for a worker of this build that is not there."""
        return self.open_workflows > 0 and not self.polled


def pinned(build_id: str | None) -> WorkerDeploymentConfig | None:
    """Return what a worker of the build says of itself; None without a build id."""
    if build_id is None:
        return None
    return WorkerDeploymentConfig(
        version=_version(build_id),
        use_worker_versioning=True,
        default_versioning_behavior=VersioningBehavior.PINNED,
    )


class StartsOnBuild(Interceptor):
    """Pins what a client starts to its own build, whichever build is current.

    The input of a workflow has a policy, and an older build refuses one that says more than it
    knows (ADR 15). Where no worker of the build was ever there, a start fails, and is repeated.
    """

    def __init__(self, build_id: str) -> None:
        self._override = PinnedVersioningOverride(_version(build_id))

    def intercept_client(
        self,
        next: OutboundInterceptor,  # noqa: A002 - the SDK's name
    ) -> OutboundInterceptor:
        """Return the interceptor of one client."""
        return _StartsOnBuild(next, self._override)


class _StartsOnBuild(OutboundInterceptor):
    def __init__(self, following: OutboundInterceptor, override: PinnedVersioningOverride) -> None:
        super().__init__(following)
        self._override = override

    async def start_workflow(
        self,
        input: StartWorkflowInput,  # noqa: A002 - the SDK's name
    ) -> WorkflowHandle[Any, Any]:
        input.versioning_override = self._override
        return await super().start_workflow(input)

    async def start_update_with_start_workflow(
        self,
        input: StartWorkflowUpdateWithStartInput,  # noqa: A002 - the SDK's name
    ) -> WorkflowUpdateHandle[Any]:
        input.start_workflow_input.versioning_override = self._override
        return await super().start_update_with_start_workflow(input)


async def read_builds(client: Client) -> list[Build]:
    """Return every build that Temporal knows, newest first. RPCError."""
    found = await _deployment(client)
    if found is None:
        return []
    current = found.routing_config.current_deployment_version.build_id
    polling = await _polling(client)
    summaries = sorted(
        found.version_summaries, key=lambda each: each.create_time.ToNanoseconds(), reverse=True
    )
    ids = [summary.deployment_version.build_id for summary in summaries]
    counts = await asyncio.gather(*(client.count_workflows(_open(build)) for build in ids))
    return [
        Build(
            id=build,
            current=build == current,
            polled=build in polling,
            open_workflows=count.count,
        )
        for build, count in zip(ids, counts, strict=True)
    ]


def open_workflows(client: Client, build_id: str) -> AsyncIterator[WorkflowExecution]:
    """List the open workflows that are pinned to the build."""
    return client.list_workflows(_open(build_id))


async def promote(client: Client, build_id: str, *, only_first: bool = False) -> bool:
    """Let the build begin new workflows, once its workers poll every queue that others polled.

    `only_first`: only where no build does so yet. Returns whether the build is the current one.
    Raises RPCError where Temporal refuses for a minute: no worker of the build polls.
    """
    deadline = asyncio.get_running_loop().time() + _PATIENCE.total_seconds()
    while True:
        try:
            current = await _current(client)
            if current == build_id or (only_first and current):
                return current == build_id
            await _require_worker(client, build_id)
            await client.workflow_service.set_worker_deployment_current_version(
                SetWorkerDeploymentCurrentVersionRequest(
                    namespace=client.namespace, deployment_name=DEPLOYMENT, build_id=build_id
                ),
                timeout=_RPC,
            )
        except RPCError as error:
            if error.status not in _NOT_YET or asyncio.get_running_loop().time() > deadline:
                raise
            await asyncio.sleep(_AGAIN_SECONDS)
        else:
            return True


async def _require_worker(client: Client, build_id: str) -> None:
    """Temporal itself takes any build that has ever polled."""
    if build_id not in await _polling(client):
        message = f"no worker of build {build_id} is running"
        raise RPCError(message, RPCStatusCode.FAILED_PRECONDITION, b"")


def _version(build_id: str) -> WorkerDeploymentVersion:
    return WorkerDeploymentVersion(deployment_name=DEPLOYMENT, build_id=build_id)


async def _current(client: Client) -> str | None:
    found = await _deployment(client)
    return found.routing_config.current_deployment_version.build_id or None if found else None


async def _deployment(client: Client) -> WorkerDeploymentInfo | None:
    """The deployment; None where Temporal knows of none. RPCError.

    Temporal answers few such calls a second, whoever makes them.
    """
    for _ in range(_MOST_TRIES - 1):
        try:
            return await _described(client)
        except RPCError as error:
            if error.status is not RPCStatusCode.RESOURCE_EXHAUSTED:
                raise
        await asyncio.sleep(_AGAIN_SECONDS)
    return await _described(client)


async def _described(client: Client) -> WorkerDeploymentInfo | None:
    try:
        found = await client.workflow_service.describe_worker_deployment(
            DescribeWorkerDeploymentRequest(namespace=client.namespace, deployment_name=DEPLOYMENT),
            timeout=_RPC,
        )
    except RPCError as error:
        if error.status is RPCStatusCode.NOT_FOUND:
            return None
        raise
    return found.worker_deployment_info


async def _polling(client: Client) -> frozenset[str]:
    """The builds whose workers run now."""
    return await polling_builds(client, TASK_QUEUE, datetime.now(UTC) - POLLED_WITHIN)


def _open(build_id: str) -> str:
    version = f"{DEPLOYMENT}:{build_id}"
    # Not the sweep, which moves by itself.
    pinned = "TemporalWorkflowVersioningBehavior = 'Pinned' AND ExecutionStatus = 'Running'"
    return f"TemporalWorkerDeploymentVersion = '{version}' AND {pinned}"
