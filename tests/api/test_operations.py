import asyncio
from base64 import b64encode
from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest
import pytest_asyncio
from google.protobuf import json_format
from temporalio.api.common.v1 import Payload, Payloads

from api.app import create_app
from crypto.key_ring import new_key_file
from engine.encryption import PayloadEncryption
from settings import Mode
from storage.database import Database
from tests.api.fixtures import KEYS, UI_ORIGIN
from tests.api.house import House, running, visitor
from tests.domain.making import IDENTITY


async def ready(client: httpx.AsyncClient) -> dict[str, Any]:
    """Until the server has heard the workers ask; at most twenty seconds."""
    async with asyncio.timeout(20):
        while (response := await client.get("/readyz")).is_error:  # noqa: ASYNC110 - a server knows
            await asyncio.sleep(0.05)
    answer: dict[str, Any] = response.json()
    return answer


async def test_ready_means_database_temporal_and_worker(stranger: httpx.AsyncClient) -> None:
    answer = await ready(stranger)
    assert (answer["database"], answer["temporal"], answer["worker"]) == (True, True, True)


async def test_without_a_worker_it_is_not_ready(house_without_worker: House) -> None:
    async with visitor(house_without_worker.app) as client:
        response = await client.get("/readyz")
    assert response.status_code == 503
    assert response.json()["err_detail"] == "Missing: worker."
    assert response.json()["result_code"] == 503


async def test_without_temporal_it_is_not_ready_but_alive(house_without_temporal: House) -> None:
    async with visitor(house_without_temporal.app) as client:
        ready, alive = await client.get("/readyz"), await client.get("/healthz")
    assert ready.json()["err_detail"] == "Missing: temporal, worker."
    assert (ready.status_code, alive.status_code) == (503, 200)


async def test_without_a_database_it_says_so_everywhere(house: House) -> None:
    away = Database("postgresql+asyncpg://nobody@127.0.0.1:1/none")
    stores = type(house.dependencies.stores).on(away)
    app = await running(replace(house.dependencies, database=away, stores=stores))
    async with visitor(app, "psk_any") as client:
        ready, listed = await client.get("/readyz"), await client.get("/v1/payments")
    assert ready.json()["err_detail"] == "Missing: database."
    assert (listed.status_code, listed.json()["code"]) == (503, "database_unavailable")
    assert listed.json()["retryable"] is True
    await away.close()


async def test_requests_are_counted_by_route_and_never_by_path(
    house: House, stranger: httpx.AsyncClient
) -> None:
    shop = await house.shop()
    made = await shop.pending()
    await shop.read(made)
    await stranger.get("/no/such/secret-path")
    counted = (await stranger.get("/metrics")).text
    assert 'route="/v1/payments/{payment_id}",status="200"' in counted
    assert 'route="none",status="404"' in counted
    assert made["id"] not in counted
    assert "secret-path" not in counted


PLAIN = Payload(metadata={"encoding": b"json/plain"}, data=b'"hello"')


def _document(*payloads: Payload) -> dict[str, Any]:
    return json_format.MessageToDict(Payloads(payloads=payloads))


async def test_what_the_codec_encrypts_it_opens(stranger: httpx.AsyncClient) -> None:
    sealed = await stranger.post("/ops/codec/encode", json=_document(PLAIN))
    assert sealed.status_code == 200
    assert "aGVsbG8" not in sealed.text
    opened = await stranger.post(
        "/ops/codec/decode?preserveStorageRefs=true",
        json=sealed.json(),
        headers={"X-Namespace": "default"},
    )
    assert opened.json() == _document(PLAIN)


async def test_the_codec_opens_what_our_workflows_encrypted(stranger: httpx.AsyncClient) -> None:
    [sealed] = await PayloadEncryption(KEYS).encode([PLAIN])
    opened = await stranger.post("/ops/codec/decode", json=_document(sealed))
    assert opened.json() == _document(PLAIN)


@pytest.mark.parametrize(
    ("body", "code"),
    [
        (b"nonsense", "invalid_json"),
        (b'{"payloads": 7}', "invalid_json"),
        (
            b'{"payloads":[{"metadata":{"encoding":"YmluYXJ5L2VuY3J5cHRlZA=="},"data":"AAAA"}]}',
            "payload_not_opened",
        ),
    ],
)
async def test_the_codec_rejects_what_it_cannot_open(
    stranger: httpx.AsyncClient, body: bytes, code: str
) -> None:
    response = await stranger.post("/ops/codec/decode", content=body)
    assert (response.status_code, response.json()["code"]) == (400, code)


@pytest.mark.parametrize("path", ["/ops/codec/decode", "/ops/codec/encode"])
async def test_only_the_temporal_ui_may_call_the_codec_from_a_browser(
    stranger: httpx.AsyncClient, path: str
) -> None:
    asked = {
        "Access-Control-Request-Method": "POST",
        "Access-Control-Request-Headers": "authorization,content-type,x-namespace",
    }
    ours = await stranger.options(path, headers={"Origin": UI_ORIGIN} | asked)
    theirs = await stranger.options(path, headers={"Origin": "https://evil.example"} | asked)
    assert ours.status_code == 200
    assert ours.headers["access-control-allow-origin"] == UI_ORIGIN
    assert theirs.status_code == 400
    assert "access-control-allow-origin" not in theirs.headers
    answered = await stranger.post(path, json=_document(PLAIN), headers={"Origin": UI_ORIGIN})
    assert answered.headers["access-control-allow-origin"] == UI_ORIGIN


async def test_other_routes_are_for_no_browser_at_all(stranger: httpx.AsyncClient) -> None:
    response = await stranger.get("/healthz", headers={"Origin": UI_ORIGIN})
    assert "access-control-allow-origin" not in response.headers


@pytest_asyncio.fixture
async def production(house: House, tmp_path: Path) -> AsyncIterator[httpx.AsyncClient]:
    token = tmp_path / "operator-token"
    token.write_text("operators-only\n")
    settings = house.dependencies.settings.model_copy(
        update={"mode": Mode.PRODUCTION, "operator_token_file": token}
    )
    async with visitor(await running(replace(house.dependencies, settings=settings))) as client:
        yield client


@pytest.mark.parametrize("header", ["", "Bearer wrong", "Bearer ", "Bearer operators-onlyx"])
async def test_in_production_only_operators_open_payloads(
    production: httpx.AsyncClient, header: str
) -> None:
    response = await production.post(
        "/ops/codec/decode", json=_document(PLAIN), headers={"Authorization": header}
    )
    assert (response.status_code, response.json()["code"]) == (401, "unauthenticated")


async def test_in_production_an_operator_opens_payloads(production: httpx.AsyncClient) -> None:
    headers = {"Authorization": "Bearer operators-only"}
    response = await production.post("/ops/codec/decode", json=_document(PLAIN), headers=headers)
    assert response.json() == _document(PLAIN)


async def test_in_production_no_token_means_no_door(house: House) -> None:
    settings = house.dependencies.settings.model_copy(update={"mode": Mode.PRODUCTION})
    app = await running(replace(house.dependencies, settings=settings))
    async with visitor(app) as client:
        response = await client.post("/ops/codec/decode", json=_document(PLAIN))
    assert (response.status_code, response.json()["code"]) == (403, "operator_token_not_set")


async def test_the_application_opens_what_its_settings_name(
    house: House, database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "keys.toml").write_text(new_key_file())
    (tmp_path / "accounts.toml").write_text("")
    (tmp_path / "identity-key").write_text(b64encode(IDENTITY.secret).decode())
    service = house.dependencies.temporal.service_client
    for name, value in {
        "PAYSAGA_MODE": "sandbox",
        "PAYSAGA_DATABASE_URL": database_url,
        "PAYSAGA_PUBLIC_URL": "http://paysaga.test",
        "PAYSAGA_ACCOUNTS_FILE": str(tmp_path / "accounts.toml"),
        "PAYSAGA_PAYLOAD_KEYS_FILE": str(tmp_path / "keys.toml"),
        "PAYSAGA_IDENTITY_KEY_FILE": str(tmp_path / "identity-key"),
        "TEMPORAL_ADDRESS": service.config.target_host,
        "TEMPORAL_NAMESPACE": house.dependencies.temporal.namespace,
    }.items():
        monkeypatch.setenv(name, value)
    settled: list[bool] = []
    monkeypatch.setattr("engine.memory.settle", lambda: settled.append(True))
    app = create_app()
    async with app.router.lifespan_context(app), visitor(app) as client:
        answer = await ready(client)
    # What the start has made is out of the garbage collector's sight.
    assert settled == [True]
    assert answer["worker"]
