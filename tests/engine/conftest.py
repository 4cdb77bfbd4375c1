import sys
from collections.abc import AsyncIterator
from pathlib import Path
from uuid import uuid4

import pytest
from google.protobuf.duration_pb2 import Duration
from temporalio.api.workflowservice.v1 import RegisterNamespaceRequest
from temporalio.client import Client
from temporalio.envconfig import ClientConnectConfig
from temporalio.testing import WorkflowEnvironment

from crypto.key_ring import KeyRing
from engine.client import connect

TEMPORAL = Path(sys.executable).with_name("temporal")


@pytest.fixture(scope="session")
def database_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("engine") / "temporal.db"


@pytest.fixture(scope="session")
async def server(database_file: Path) -> AsyncIterator[WorkflowEnvironment]:
    async with await WorkflowEnvironment.start_local(
        dev_server_existing_path=str(TEMPORAL),
        dev_server_database_filename=str(database_file),
        dev_server_log_level="error",
    ) as environment:
        yield environment


@pytest.fixture
def keys() -> KeyRing:
    return KeyRing(newest="k1", keys={"k1": bytes(range(32))})


@pytest.fixture
async def client(server: WorkflowEnvironment, keys: KeyRing) -> Client:
    """A client of a namespace that nobody else uses, with one day of retention."""
    namespace = f"n-{uuid4().hex}"
    await server.client.workflow_service.register_namespace(
        RegisterNamespaceRequest(
            namespace=namespace, workflow_execution_retention_period=Duration(seconds=86400)
        )
    )
    host = server.client.service_client.config.target_host
    return await connect(keys, target=ClientConnectConfig(target_host=host, namespace=namespace))
