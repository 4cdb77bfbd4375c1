from pathlib import Path

import pytest
from pydantic import SecretStr

from crypto.key_ring import new_key_file
from domain.event import Event
from domain.merchant import Merchant
from engine.workers import open_activities
from settings import Mode, Settings
from storage.database import Database
from tests.webhooks.endpoint import Endpoint, listening

URL = "postgresql+asyncpg://nobody@127.0.0.1:1/none"


async def test_a_workers_webhooks_pass_by_every_proxy(
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    event: Event,
    merchant: Merchant,
    endpoint: Endpoint,
) -> None:
    accounts = tmp_path / "accounts.toml"
    accounts.touch()
    keys = tmp_path / "keys.toml"
    keys.write_text(new_key_file())
    settings = Settings(
        mode=Mode.SANDBOX,
        database_url=SecretStr(URL),
        public_url="http://paysaga.test",
        accounts_file=accounts,
        payload_keys_file=keys,
    )
    async with listening() as proxy:
        for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        for name in ("NO_PROXY", "no_proxy"):
            monkeypatch.delenv(name, raising=False)
        async with open_activities(settings, Database(URL)) as (activities, _):
            sender = activities.webhooks._sender  # noqa: SLF001 - as the worker has wired it
            assert (await sender.deliver(event, merchant)).status == 204
    assert len(endpoint.requests) == 1
    assert proxy.requests == []
