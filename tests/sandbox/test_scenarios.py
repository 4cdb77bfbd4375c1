"""What the sandbox hands out to whoever plays its providers through."""

import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import httpx
import pytest

from cli.demo_lines import Course, lines
from cli.embedded.environment import write_accounts
from domain.payment import Channel
from providers import registry
from sandbox.app import create_app
from sandbox.sides import find_sides
from settings import Settings

ORIGIN = "http://127.0.0.1:1"


@pytest.fixture(scope="module")
def manifest(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Any]:
    folder = tmp_path_factory.mktemp("sandbox")
    create_app(folder, ORIGIN)
    found: dict[str, Any] = json.loads((folder / "sandbox.json").read_text())
    return found


@pytest.fixture(scope="module")
def configured(
    manifest: dict[str, Any], tmp_path_factory: pytest.TempPathFactory
) -> registry.Registry:
    """The accounts as a process of ours reads them."""
    accounts: Path = write_accounts(tmp_path_factory.mktemp("state") / "accounts.toml", manifest)
    settings = Settings(
        _env_file=None,
        accounts_file=accounts,
        database_url="postgresql+asyncpg://nobody@127.0.0.1:1/none",
        public_url="http://127.0.0.1:2",
        payload_keys_file=accounts,
    )
    return registry.build(
        settings.read_accounts(),
        http=httpx.AsyncClient(),
        clock=lambda: datetime.now(UTC),
        public_url="http://127.0.0.1:2",
    )


def test_every_provider_has_a_side() -> None:
    assert find_sides().keys() == registry.PROVIDERS.keys()


def test_every_account_is_one_that_its_provider_takes(
    manifest: dict[str, Any], configured: registry.Registry
) -> None:
    handed_out = {
        (provider, account["name"])
        for provider, accounts in manifest["accounts"].items()
        for account in accounts
    }

    assert {(found.name, found.account) for found in configured.all()} == handed_out
    assert {provider for provider, _ in handed_out} == registry.PROVIDERS.keys()


def test_the_demo_takes_every_channel_and_no_other(
    manifest: dict[str, Any], configured: registry.Registry
) -> None:
    taken = lines(manifest)

    channels = {(found.name, channel) for found in configured.all() for channel in found.channels}
    assert {(line.provider, Channel(line.channel)) for line in taken} == channels
    assert all(configured.get(line.provider, line.account) for line in taken)
    assert {line.course for line in taken} == set(Course)


def test_a_payers_code_is_another_in_every_demo(manifest: dict[str, Any]) -> None:
    codes = [
        line.payer["auth_code"]
        for _ in range(2)
        for line in lines(manifest)
        if "auth_code" in line.payer
    ]

    assert len(set(codes)) == len(codes) > 0
    assert all(code.endswith("9999") for code in codes)


def test_every_link_is_an_address_of_the_sandbox(manifest: dict[str, Any]) -> None:
    assert all(url.startswith("http://127.0.0.1:") for url in manifest["links"].values())
    assert {"Cashier", "Control"} < manifest["links"].keys()
