from collections.abc import Iterator
from typing import Any

import httpx
import jsonschema
import pytest

OPEN = ("/healthz", "/readyz", "/notify", "/return")


@pytest.fixture
async def document(stranger: httpx.AsyncClient) -> dict[str, Any]:
    response = await stranger.get("/openapi.json")
    found: dict[str, Any] = response.json()
    return found


def _operations(document: dict[str, Any]) -> Iterator[tuple[str, dict[str, Any]]]:
    for path, item in document["paths"].items():
        for method, operation in item.items():
            yield f"{method} {path}", operation


def _references(node: Any) -> Iterator[str]:
    if isinstance(node, dict):
        for key, value in node.items():
            if key == "$ref":
                yield value
            else:
                yield from _references(value)
    elif isinstance(node, list):
        for value in node:
            yield from _references(value)


def test_every_reference_leads_somewhere(document: dict[str, Any]) -> None:
    assert document["openapi"].startswith("3.1")
    for reference in _references(document):
        node = document
        for step in reference.removeprefix("#/").split("/"):
            node = node[step]


def test_every_schema_is_json_schema(document: dict[str, Any]) -> None:
    for schema in document["components"]["schemas"].values():
        jsonschema.Draft202012Validator.check_schema(schema)


def test_every_example_fits_its_schema(document: dict[str, Any]) -> None:
    checked = 0
    for name, operation in _operations(document):
        holders = [operation.get("requestBody", {}), *operation["responses"].values()]
        for media in (m for holder in holders for m in holder.get("content", {}).values()):
            examples = [example["value"] for example in media.get("examples", {}).values()]
            examples += [media["example"]] if "example" in media else []
            for example in examples:
                schema = media["schema"] | {"components": document["components"]}
                jsonschema.validate(example, schema)
                checked += 1
        assert operation["summary"], name
        assert operation["tags"], name
    assert checked > 30


def test_every_route_of_merchants_needs_a_key(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        path = name.partition(" ")[2]
        if path.startswith("/v1/"):
            assert operation["security"] == [{"ApiKey": []}], name
            assert "401" in operation["responses"], name
        elif not path.startswith(("/ops", "/metrics")):
            assert "security" not in operation, name
            assert path.startswith(OPEN), name


def test_every_error_is_a_problem(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        for status, response in operation["responses"].items():
            if status >= "400" and "/readyz" not in name:
                assert list(response["content"]) == ["application/problem+json"], name


def test_every_route_names_its_limit(document: dict[str, Any]) -> None:
    for name, operation in _operations(document):
        assert "429" in operation["responses"], name
        assert "Retry-After" in operation["responses"]["429"]["headers"], name


async def test_the_documentation_opens(stranger: httpx.AsyncClient) -> None:
    response = await stranger.get("/docs")
    assert response.status_code == 200
    assert "Paysaga" in response.text
