import asyncio
import dataclasses
import os
from collections.abc import Callable
from pathlib import Path

import asyncpg
import httpx
import pytest
from temporalio.client import WorkflowExecutionStatus

from cli.embedded.config import Service, StackConfig
from cli.embedded.errors import (
    PortTakenError,
    ProgramFailedError,
    StackFolderError,
    StackRunningError,
)
from cli.embedded.stack import Stack
from tests.cli.embedded.processes import alive, descendants, kill

pytestmark = pytest.mark.stack


async def connect(stack: Stack) -> asyncpg.Connection:
    return await asyncpg.connect(stack.database_owner_url.replace("+asyncpg", ""))


async def remember(stack: Stack) -> None:
    """Leave a row and an open workflow behind."""
    connection = await connect(stack)
    await connection.execute("CREATE TABLE kept (word text)")
    await connection.execute("INSERT INTO kept VALUES ('here')")
    await connection.close()
    client = await stack.temporal_client()
    await client.start_workflow("Anything", "secret", id="kept", task_queue="nobody")


async def assert_remembered(stack: Stack) -> None:
    connection = await connect(stack)
    assert await connection.fetchval("SELECT word FROM kept") == "here"
    await connection.close()
    client = await stack.temporal_client()
    description = await client.get_workflow_handle("kept").describe()
    assert description.status == WorkflowExecutionStatus.RUNNING


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can give a folder to another user")
async def test_the_folder_of_another_users_stack_is_rejected_before_anything_in_it_changes(
    servers: StackConfig,
) -> None:
    servers.state_dir.mkdir(mode=0o700)
    lock = servers.state_dir / "lock"
    lock.touch()
    os.chown(lock, 61234, 61234)

    with pytest.raises(StackFolderError, match="holds the stack of the user with id 61234"):
        await Stack(servers).__aenter__()

    assert list(servers.state_dir.iterdir()) == [lock]


async def test_a_folder_that_cannot_be_written_is_rejected_with_its_name() -> None:
    config = StackConfig(Path("/proc/paysaga"), services=frozenset())

    with pytest.raises(StackFolderError, match="/proc/paysaga cannot be written"):
        await Stack(config).__aenter__()


async def test_the_folder_of_a_stack_is_closed_to_other_users(servers: StackConfig) -> None:
    config = dataclasses.replace(servers, services=frozenset())
    async with Stack(config):
        assert config.state_dir.stat().st_mode & 0o777 == 0o700


@pytest.mark.parametrize("name", ["postgres", "temporal"])
async def test_a_killed_server_comes_back_with_what_it_knew(
    servers: StackConfig, name: str
) -> None:
    async with Stack(servers) as stack:
        await remember(stack)
        await kill(stack, name)
        await kill(stack, name)
        await assert_remembered(stack)


async def test_a_stopped_stack_leaves_no_process_and_starts_again_with_its_state_and_links(
    servers: StackConfig,
) -> None:
    async with Stack(servers) as stack:
        await remember(stack)
        pids, links, address = descendants(os.getpid()), stack.links, stack.temporal_address
        ours = {stack.process("postgres"), stack.process("temporal")}
        assert ours <= pids
    assert not any(alive(pid) for pid in ours)

    async with Stack(servers) as stack:
        await assert_remembered(stack)
        assert (stack.links, stack.temporal_address) == (links, address)


async def test_a_service_restarts_cleanly_on_request(servers: StackConfig) -> None:
    async with Stack(servers) as stack:
        await remember(stack)
        old = stack.process("temporal")
        await stack.restart("temporal")
        assert stack.process("temporal") != old
        await assert_remembered(stack)


async def test_a_second_stack_on_the_folder_is_rejected_and_notified_who_runs_it(
    only: Callable[[Service], StackConfig],
) -> None:
    config = only(Service.TEMPORAL)
    async with Stack(config) as stack:
        with pytest.raises(StackRunningError, match=f"process {os.getpid()} already"):
            await Stack(config).__aenter__()
        assert alive(stack.process("temporal"))
    async with Stack(config):
        pass


async def test_two_stacks_on_two_folders_do_not_meet(tmp_path: Path) -> None:
    temporal = frozenset({Service.TEMPORAL})
    async with (
        Stack(StackConfig(tmp_path / "a", services=temporal)) as a,
        Stack(StackConfig(tmp_path / "b", services=temporal)) as b,
    ):
        assert a.temporal_address != b.temporal_address
        assert a.keys != b.keys


async def test_the_temporal_ui_is_served(only: Callable[[Service], StackConfig]) -> None:
    async with Stack(only(Service.TEMPORAL)) as stack, httpx.AsyncClient(trust_env=False) as http:
        page = await http.get(stack.links["Temporal UI"])
        settings = await http.get(f"{stack.ui_url}/api/v1/settings")

    assert page.status_code == httpx.codes.OK
    assert settings.json()["Codec"]["Endpoint"] == f"{stack.api_url}/ops/codec"


async def test_a_server_of_the_users_own_is_not_started(tmp_path: Path) -> None:
    config = StackConfig(
        tmp_path / "state",
        services=frozenset({Service.POSTGRES, Service.TEMPORAL}),
        database_url="postgresql+asyncpg://elsewhere/db",
        external_temporal=True,
    )
    async with Stack(config) as stack:
        assert stack.database_url == "postgresql+asyncpg://elsewhere/db"
        for name in ("postgres", "temporal"):
            with pytest.raises(LookupError):
                stack.process(name)


async def test_a_port_that_was_requested_and_is_taken_is_an_error(
    only: Callable[[Service], StackConfig],
) -> None:
    server = await asyncio.start_server(lambda *_: None, "127.0.0.1", 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        config = dataclasses.replace(only(Service.POSTGRES), ports={"postgres": port})
        with pytest.raises(PortTakenError, match=str(port)):
            await Stack(config).__aenter__()


async def test_a_server_that_does_not_start_says_why_and_takes_the_others_down(
    servers: StackConfig,
) -> None:
    data = servers.state_dir / "postgres" / "data"
    data.mkdir(parents=True, mode=0o700)
    stack = Stack(servers)

    with pytest.raises(ProgramFailedError, match="postgres doesn't start"):
        await stack.__aenter__()

    with pytest.raises(LookupError):
        stack.process("temporal")
    data.rmdir()
    async with stack:
        assert alive(stack.process("postgres"))
