"""The set-up scripts against the servers that they are written for."""

import subprocess
import sys
from collections.abc import AsyncIterator, Callable
from pathlib import Path
from uuid import uuid4

import asyncpg
import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest

from cli.embedded.config import Service, StackConfig
from cli.embedded.postgres_programs import BINARIES
from cli.embedded.stack import Stack
from cli.embedded.temporal import BINARY
from engine.namespace import verify_search_attributes
from workflows.search_attributes import ALL

pytestmark = pytest.mark.stack

Execute = Callable[..., subprocess.CompletedProcess[str]]


@pytest.fixture(scope="module")
async def stack(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Stack]:
    services = frozenset({Service.POSTGRES, Service.TEMPORAL})
    folder = tmp_path_factory.mktemp("deploy") / "state"
    async with Stack(StackConfig(folder, services=services)) as running:
        yield running


def prepare(execute: Execute, stack: Stack, namespace: str) -> subprocess.CompletedProcess[str]:
    return execute(
        "deploy/temporal/namespace.sh",
        PATH=f"{BINARY.parent}:/usr/bin:/bin",
        TEMPORAL_ADDRESS=stack.temporal_address,
        TEMPORAL_NAMESPACE=namespace,
        TEMPORAL_RETENTION="90d",
    )


async def test_the_namespace_job_makes_what_our_code_demands_and_repeats(
    stack: Stack, execute: Execute
) -> None:
    namespace = f"n-{uuid4().hex[:8]}"
    for _ in range(2):
        done = prepare(execute, stack, namespace)
        assert done.returncode == 0, done.stderr
    client = await stack.temporal_client()
    service = client.workflow_service
    found = await service.describe_namespace(DescribeNamespaceRequest(namespace=namespace))
    assert found.config.workflow_execution_retention_ttl.ToTimedelta().days == 90
    config = client.config()
    config["namespace"] = namespace
    await verify_search_attributes(type(client)(**config), ALL)


def test_an_attribute_of_another_type_ends_the_job_at_once(stack: Stack, execute: Execute) -> None:
    namespace = f"n-{uuid4().hex[:8]}"
    at = ("--address", stack.temporal_address, "--namespace", namespace)
    execute(BINARY, "operator", "namespace", "create", *at)
    wrong = ("--name", "Amount", "--type", "Keyword")
    execute(BINARY, "operator", "search-attribute", "create", *wrong, *at)
    done = prepare(execute, stack, namespace)
    assert done.returncode != 0
    assert "different type" in done.stderr


async def test_each_user_of_the_database_server_gets_its_own_and_no_other(
    stack: Stack, execute: Execute, tmp_path: Path
) -> None:
    place = stack.database_url.replace("+asyncpg", "").partition("@")[2].rpartition("/")[0]
    await make_room(stack, place)
    files = {
        "paysaga_owner": "paysaga_owner_password",
        "paysaga": "paysaga_database_password",
        "temporal": "temporal_database_password",
    }
    for name, file in files.items():
        (tmp_path / file).write_text(f"{name}'s \\ pass\n")
    host, _, port = place.partition(":")
    done = execute(
        "deploy/postgres/databases.sh",
        PATH=f"{BINARIES}:/usr/bin:/bin",
        SECRETS=str(tmp_path),
        POSTGRES_USER="admin",
        PGPASSWORD="admin",
        PGHOST=host,
        PGPORT=port,
    )
    assert done.returncode == 0, done.stderr
    assert "pass" not in done.stdout + done.stderr
    address = {"host": host, "port": int(port)}
    for role, database in (("temporal", "temporal_visibility"), ("paysaga_owner", "paysaga")):
        word = f"{role}'s \\ pass"
        mine = await asyncpg.connect(user=role, password=word, database=database, **address)
        await mine.execute("CREATE TABLE mine (id int)")
        await mine.execute("DROP TABLE mine")
        await mine.close()
        other = "paysaga" if role == "temporal" else "temporal"
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await asyncpg.connect(user=role, password=word, database=other, **address)

    await check_migration(execute, place, tmp_path / "paysaga_owner_password")
    runtime = await asyncpg.connect(
        user="paysaga", password="paysaga's \\ pass", database="paysaga", **address
    )
    assert await runtime.fetchval("SELECT count(*) FROM payments") == 0
    with pytest.raises(asyncpg.InsufficientPrivilegeError):
        await runtime.execute("CREATE TABLE mine (id int)")
    await runtime.close()


async def check_migration(execute: Execute, place: str, password: Path) -> None:
    """Our migration, as the owner and with its password's file, twice."""
    for _ in range(2):
        done = execute(
            *(sys.executable, "-m", "deploy.migrate"),
            PAYSAGA_DATABASE_URL=f"postgresql+asyncpg://paysaga_owner@{place}/paysaga",
            PAYSAGA_DATABASE_PASSWORD_FILE=str(password),
            PAYSAGA_DATABASE_RUNTIME_ROLE="paysaga",
        )
        assert done.returncode == 0, done.stderr
    admin = await asyncpg.connect(f"postgresql://admin:admin@{place}/paysaga")
    assert await admin.fetchval("SELECT count(*) FROM payments") == 0
    await admin.close()


async def make_room(stack: Stack, place: str) -> None:
    """The embedded server's own role and database give way to those of the script."""
    owner = await asyncpg.connect(stack.database_owner_url.replace("+asyncpg", ""))
    await owner.execute("CREATE ROLE admin SUPERUSER LOGIN PASSWORD 'admin'")
    await owner.close()
    admin = await asyncpg.connect(f"postgresql://admin:admin@{place}/postgres")
    await admin.execute("ALTER DATABASE paysaga RENAME TO embedded")
    await admin.execute("ALTER ROLE paysaga RENAME TO embedded")
    await admin.close()
