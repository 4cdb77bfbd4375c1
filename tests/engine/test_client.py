from pathlib import Path
from uuid import uuid4

import pytest
from temporalio.client import Client, WorkflowFailureError
from temporalio.envconfig import ClientConnectConfig
from temporalio.worker import Worker

from crypto.key_ring import KeyRing
from engine.client import LOCAL_ADDRESS, configured_target, connect
from tests.engine.leaky import Leaky, leak

SECRET = "planted-secret-6222021234567890"


async def test_no_planted_secret_is_readable_in_the_servers_file(
    client: Client, database_file: Path
) -> None:
    queue, workflow_id = uuid4().hex, f"leaky-{uuid4().hex}"
    async with Worker(client, task_queue=queue, workflows=[Leaky], activities=[leak]):
        with pytest.raises(WorkflowFailureError) as failed:
            await client.execute_workflow(
                Leaky.run,
                SECRET,
                id=workflow_id,
                task_queue=queue,
                memo={"payer": SECRET},
                static_summary=SECRET,
                static_details=SECRET,
            )

    assert SECRET in str(failed.value.cause.__cause__)
    files = list(database_file.parent.glob("temporal.db*"))
    everything = b"".join(file.read_bytes() for file in files)
    assert workflow_id.encode() in everything
    assert SECRET.encode() not in everything
    assert b"no money on" not in everything


def test_the_environment_says_where_temporal_is(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    profiles = tmp_path / "temporal.toml"
    profiles.write_text('[profile.prod]\naddress = "t.example:7233"\nnamespace = "pay"\n')
    monkeypatch.setenv("TEMPORAL_CONFIG_FILE", str(profiles))
    monkeypatch.setenv("TEMPORAL_PROFILE", "prod")

    assert configured_target() == {"target_host": "t.example:7233", "namespace": "pay"}
    monkeypatch.setenv("TEMPORAL_ADDRESS", "other.example:7233")
    assert configured_target()["target_host"] == "other.example:7233"


async def test_without_a_report_it_is_the_local_server(keys: KeyRing) -> None:
    client = await connect(keys, target=ClientConnectConfig(), lazy=True)

    assert client.service_client.config.target_host == LOCAL_ADDRESS
    assert client.namespace == "default"


async def test_a_server_that_is_not_there_is_an_error(keys: KeyRing) -> None:
    with pytest.raises(RuntimeError, match="connect"):
        await connect(keys, target=ClientConnectConfig(target_host="127.0.0.1:1"))
