"""The Temporal server that commands reach: the stack's, or else the one that TEMPORAL_* names."""

import json
from collections.abc import Mapping
from pathlib import Path

from temporalio.client import Client
from temporalio.envconfig import ClientConnectConfig

from cli.embedded.stack import ENV_FILE
from crypto.key_ring import KeyRing
from engine.client import connect


async def connect_temporal(state_dir: Path, keys: KeyRing) -> Client:
    """Connect with the payload keys. Raises RuntimeError where the server can't be reached."""
    variables = _variables(state_dir / ENV_FILE)
    if address := variables.get("TEMPORAL_ADDRESS"):
        namespace = variables.get("TEMPORAL_NAMESPACE", "default")
        target = ClientConnectConfig(target_host=address, namespace=namespace)
        return await connect(keys, target=target)
    return await connect(keys)


def _variables(env_file: Path) -> Mapping[str, str]:
    if not env_file.exists():
        return {}
    lines = (line.partition("=") for line in env_file.read_text().splitlines())
    return {name: json.loads(value) for name, _, value in lines}
