"""Every operation of the OpenAPI document, with what fits its schema and with what does not."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
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
from api.http.metrics import Metrics
from settings import Settings
from tests.api.buyer import Buyer
from tests.api.house import House, visitor
from tests.fuzz.mangling import mangled, thorough

load_all_checks()
KIND = {"Content-Type": "application/json"}
ANY_JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=5,
)
REFUSALS = {
    "wechatpay": re.compile(rb'\{"code": "FAIL".*'),
    "unionpay": re.compile(b"fail"),
    "apple_iap": re.compile(b""),
}
METHODS = {method.lower() for method in HTTPMethod.__members__}


def document() -> dict[str, Any]:
    """The document alone needs nothing behind it."""
    return create_app(_NoDependencies()).openapi()  # type: ignore[arg-type] # see above


class _NoDependencies:
    settings = Settings.model_construct()
    metrics = Metrics()


SCHEMA = schemathesis.openapi.from_dict(document())


def operations() -> Iterator[Any]:
    for path, item in SCHEMA.raw_schema["paths"].items():
        for method in sorted(METHODS & set(item)):
            yield pytest.param(path, method.upper(), id=f"{method.upper()} {path}")


@dataclass(frozen=True)
class Known:
    """What is there, so that requests reach further than 404. The last payment is bought already,
    but for its proof."""

    key: str
    payments: tuple[str, str]
    proof: str
    accounts: tuple[tuple[str, str], ...]


@pytest.fixture(scope="session")
async def known(house: House) -> Known:
    shop = await house.shop()
    made, buyer = await shop.pending(), Buyer.of(shop, house.provider)
    asked = await buyer.ask()
    return Known(
        key=await house.dependencies.stores.keys.create(shop.merchant.id, "fuzz"),
        payments=(made["id"], asked["id"]),
        proof=await buyer.signed(await buyer.buy(asked)),
        accounts=tuple(
            (account.name, account.account) for account in house.dependencies.registry.all()
        ),
    )


@pytest.mark.parametrize(("path", "method"), list(operations()))
@thorough(8)
@given(data=st.data())
async def test_no_request_is_answered_by_an_error_of_ours(
    house: House, known: Known, path: str, method: str, data: st.DataObject
) -> None:
    operation = SCHEMA[path][method]
    modes = list(schemathesis.GenerationMode)
    case = data.draw(operation.as_strategy(generation_mode=data.draw(st.sampled_from(modes))))
    lead_on(case.path_parameters or {}, case.body, known, data)

    async with visitor(house.app, known.key) as client:
        sent = request(client, case)
        if method == "POST" and (body := data.draw(replaced(sent.content))) is not None:
            sent = client.build_request(method, sent.url, headers=KIND, content=body)
        response = await client.send(sent)

    assert is_no_error_of_ours(response), response.text
    if method != "POST" or response.status_code < 400:
        case.validate_response(
            response, checks=[content_type_conformance, response_schema_conformance]
        )


def lead_on(path: dict[str, Any], body: object, known: Known, data: st.DataObject) -> None:
    """Every other time, name what is there."""
    if data.draw(st.booleans()):
        return
    if "payment_id" in path:
        path["payment_id"] = data.draw(st.sampled_from(known.payments))
    if "provider" in path:
        path["provider"], path["account"] = data.draw(st.sampled_from(known.accounts))
    if not isinstance(body, dict):
        return
    if "order_no" in body:
        body |= {"provider": "wechatpay", "account": "pubkey", "channel": "qr"}
    proof = data.draw(st.one_of(st.just(known.proof), half_true(known.proof)))
    if "signed_transaction" in body:
        body["signed_transaction"] = proof
    if "signed_transactions" in body:
        body |= {"provider": "apple_iap", "account": "main", "transaction_id": None}
        body["signed_transactions"] = [proof]


def half_true(proof: str) -> st.SearchStrategy[str]:
    return mangled(proof.encode()).map(lambda text: text.decode("latin-1"))


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
    # These protocols have no other way to refuse a notification.
    _, door, provider, *_ = f"{response.request.url.path}//".split("/")
    refusal = REFUSALS.get(provider)
    return door == "notify" and refusal is not None and bool(refusal.fullmatch(response.content))
