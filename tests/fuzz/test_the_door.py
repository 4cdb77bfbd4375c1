"""Every operation of the OpenAPI document, with what fits its schema and with what does not."""

import json
from collections.abc import Iterator
from http import HTTPMethod
from typing import Any

import httpx
import pytest
import schemathesis
from hypothesis import given
from hypothesis import strategies as st
from schemathesis.checks import load_all_checks
from schemathesis.specs.openapi.checks import (
    content_type_conformance,
    response_schema_conformance,
)

from api.app import create_app
from api.metrics import Metrics
from tests.api.house import House, visitor
from tests.fuzz.mangling import mangled, thorough

load_all_checks()
KIND = {"Content-Type": "application/json"}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
METHODS = {method.lower() for method in HTTPMethod.__members__}


def document() -> dict[str, Any]:
    """The document alone needs nothing behind it."""
    return create_app(_NoDependencies()).openapi()  # type: ignore[arg-type] # see above


class _NoDependencies:
    settings = type("Settings", (), {"ui_origin": None})
    metrics = Metrics()


SCHEMA = schemathesis.openapi.from_dict(document())


def operations() -> Iterator[Any]:
    for path, item in SCHEMA.raw_schema["paths"].items():
        for method in sorted(METHODS & set(item)):
            yield pytest.param(path, method.upper(), id=f"{method.upper()} {path}")


@pytest.fixture(scope="session")
async def payment(house: House) -> dict[str, Any]:
    """One that is there, so that requests reach further than 404."""
    shop = await house.shop()
    made = await shop.pending()
    return made | {"key": await house.dependencies.stores.keys.create(shop.merchant.id, "fuzz")}


@pytest.mark.parametrize(("path", "method"), list(operations()))
@thorough(8)
@given(data=st.data())
async def test_no_request_is_answered_by_an_error_of_ours(
    house: House, payment: dict[str, Any], path: str, method: str, data: st.DataObject
) -> None:
    operation = SCHEMA[path][method]
    modes = list(schemathesis.GenerationMode)
    case = data.draw(operation.as_strategy(generation_mode=data.draw(st.sampled_from(modes))))
    if "payment_id" in (case.path_parameters or {}) and data.draw(st.booleans()):
        case.path_parameters["payment_id"] = payment["id"]
    if "provider" in (case.path_parameters or {}) and data.draw(st.booleans()):
        case.path_parameters |= {"provider": "wechatpay", "account": "cert"}
    if isinstance(case.body, dict) and "order_no" in case.body and data.draw(st.booleans()):
        case.body |= {"provider": "wechatpay", "account": "pubkey", "channel": "qr"}

    async with visitor(house.app, payment["key"]) as client:
        sent = request(client, case)
        if method == "POST" and (body := data.draw(replaced(sent.content))) is not None:
            sent = client.build_request(method, sent.url, headers=KIND, content=body)
        response = await client.send(sent)

    assert is_no_error_of_ours(response), response.text
    if method != "POST" or response.status_code < 400:
        case.validate_response(
            response, checks=[content_type_conformance, response_schema_conformance]
        )


def replaced(body: bytes) -> st.SearchStrategy[bytes | None]:
    """Left as it is, any JSON in its place, or mangled: no schema says what else may come."""
    return st.one_of(st.none(), ANY_JSON.map(json.dumps).map(str.encode), mangled(body or b"{}"))


def request(client: httpx.AsyncClient, case: schemathesis.Case[Any]) -> httpx.Request:
    """The case as schemathesis would send it, key included."""
    wanted = case.as_transport_kwargs(base_url=str(client.base_url))
    headers = {
        name: value if isinstance(value, bytes) else str(value).encode("utf-8", "replace")
        for name, value in (wanted.get("headers") or {}).items()
        if name.lower() not in ("authorization", "content-length", "host")
    }
    content: Any = wanted.get("data")
    if "json" in wanted and wanted["json"] is not None:
        content = json.dumps(wanted["json"]).encode()
        headers.setdefault("Content-Type", b"application/json")
    if isinstance(content, dict | list):
        content = json.dumps(content).encode()
    if isinstance(content, str):
        content = content.encode("utf-8", "surrogatepass")
    return client.build_request(
        wanted["method"], wanted["url"], params=wanted.get("params"), headers=headers,
        content=content,
    )  # fmt: skip


def is_no_error_of_ours(response: httpx.Response) -> bool:
    if response.status_code < 500:
        return True
    # WeChat Pay's protocol has no other way to refuse a notification.
    refusal = b'{"code": "FAIL"' in response.content
    return refusal and response.request.url.path.startswith("/notify/wechatpay")
