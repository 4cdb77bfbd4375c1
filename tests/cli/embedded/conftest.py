from collections.abc import Callable
from pathlib import Path

import pytest

from cli.embedded.config import Service, StackConfig

SERVERS = frozenset({Service.POSTGRES, Service.TEMPORAL})


@pytest.fixture
def servers(tmp_path: Path) -> StackConfig:
    """PostgreSQL and Temporal alone, on a folder of their own."""
    return StackConfig(tmp_path / "state", services=SERVERS)


@pytest.fixture
def only(tmp_path: Path) -> Callable[[Service], StackConfig]:
    """One service alone."""

    def config(service: Service) -> StackConfig:
        return StackConfig(tmp_path / "state", services=frozenset({service}))

    return config
