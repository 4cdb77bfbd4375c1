import dataclasses
from collections.abc import Callable
from pathlib import Path

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from cli.embedded.config import Service, StackConfig
from cli.embedded.errors import ProgramFailedError, TemporalVersionError
from cli.embedded.program import run
from cli.embedded.stack import Stack
from cli.embedded.temporal import Temporal
from engine.namespace import RETENTION, verify_search_attributes
from workflows import search_attributes

pytestmark = pytest.mark.stack


async def test_it_is_ready_with_our_search_attributes_and_retention(
    only: Callable[[Service], StackConfig],
) -> None:
    async with Stack(only(Service.TEMPORAL)) as stack:
        client = await stack.temporal_client()
        await verify_search_attributes(client, search_attributes.ALL)
        namespace = await client.workflow_service.describe_namespace(
            DescribeNamespaceRequest(namespace=client.namespace)
        )

    kept = namespace.config.workflow_execution_retention_ttl.ToTimedelta()
    assert kept == RETENTION


@pytest.mark.parametrize("name", ["half%20way", "100%", "what?", "tea#2", "茶 馆'"])
async def test_the_file_is_where_it_is_promised_whatever_the_path(
    tmp_path: Path, name: str
) -> None:
    state = tmp_path / name / "state"
    async with Stack(StackConfig(state, services=frozenset({Service.TEMPORAL}))):
        assert (state / "temporal" / "temporal.db").exists()


async def test_a_second_server_on_the_file_is_rejected(
    only: Callable[[Service], StackConfig],
) -> None:
    async with Stack(only(Service.TEMPORAL)) as stack:
        folder = stack.config.state_dir / "temporal"
        rival = Temporal(folder, (0, 0), folder.parent / "rival.log", stack.keys, ())
        with pytest.raises(ProgramFailedError, match=r"another process holds .*temporal\.db"):
            await run(rival.program("http://127.0.0.1:1"))


async def test_a_file_of_another_version_is_rejected_until_it_is_set_aside(
    only: Callable[[Service], StackConfig],
) -> None:
    config = only(Service.TEMPORAL)
    async with Stack(config) as stack:
        client = await stack.temporal_client()
        await client.start_workflow("Anything", id="old", task_queue="nobody")
    (config.state_dir / "temporal" / "version").write_text("1.0.0\n")

    with pytest.raises(TemporalVersionError, match=r"1\.0\.0.*set-temporal-aside"):
        await Stack(config).__aenter__()

    async with Stack(dataclasses.replace(config, set_temporal_aside=True)) as stack:
        client = await stack.temporal_client()
        assert (await client.count_workflows("WorkflowId = 'old'")).count == 0
    (kept,) = config.state_dir.glob("temporal-*")
    assert (kept / "temporal.db").exists()
