"""What the namespace must be before the first payment: retention, typed search attributes.

A development server forgets closed workflows after 24 hours, and with them the guard against a
second workflow of the same id. Adding a search attribute that exists with another type succeeds
silently, so the types are read back and compared.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import timedelta
from typing import Any

from google.protobuf.duration_pb2 import Duration
from temporalio.api.enums.v1 import IndexedValueType
from temporalio.api.namespace.v1 import NamespaceConfig
from temporalio.api.operatorservice.v1 import (
    AddSearchAttributesRequest,
    ListSearchAttributesRequest,
)
from temporalio.api.workflowservice.v1 import (
    DescribeNamespaceRequest,
    UpdateNamespaceRequest,
)
from temporalio.client import Client
from temporalio.common import SearchAttributeKey
from temporalio.service import RPCError, RPCStatusCode

RETENTION = timedelta(days=7)
RETRY_SECONDS = 0.1

# While a server boots or its search attribute cache refreshes, these mean "not yet".
_NOT_YET = frozenset(
    {
        RPCStatusCode.UNAVAILABLE,
        RPCStatusCode.NOT_FOUND,
        RPCStatusCode.INVALID_ARGUMENT,
        RPCStatusCode.DEADLINE_EXCEEDED,
    }
)


class NamespaceMismatchError(RuntimeError):
    """The namespace holds a search attribute of ours with another type, or lacks it."""


async def prepare_namespace(
    client: Client,
    attributes: Sequence[SearchAttributeKey[Any]],
    *,
    retention: timedelta = RETENTION,
    timeout_seconds: float = 30,
) -> None:
    """Give the client's namespace its retention and search attributes, and wait until they work.

    A longer retention than requested is kept.

    Raises:
        NamespaceMismatchError: an attribute exists with another type.
        TimeoutError: the namespace isn't usable in time.
    """
    async with asyncio.timeout(timeout_seconds):
        await _until_accepted(lambda: _extend_retention(client, retention))
        await _until_accepted(lambda: _add_missing(client, attributes))
        await verify_search_attributes(client, attributes)
        await _until_accepted(lambda: _query_each(client, attributes))


async def verify_search_attributes(
    client: Client, attributes: Sequence[SearchAttributeKey[Any]]
) -> None:
    """Refuse a namespace whose search attributes aren't ours, type by type.

    Raises:
        NamespaceMismatchError: one is missing or has another type.
    """
    known = await _registered(client)
    wrong = [
        f"{key.name} should be {key.indexed_value_type.name} but is {_type_name(known, key.name)}"
        for key in attributes
        if known.get(key.name) != key.indexed_value_type
    ]
    if wrong:
        raise NamespaceMismatchError(f"namespace {client.namespace!r}: {'; '.join(wrong)}")


async def _extend_retention(client: Client, retention: timedelta) -> None:
    service = client.workflow_service
    found = await service.describe_namespace(DescribeNamespaceRequest(namespace=client.namespace))
    if found.config.workflow_execution_retention_ttl.ToTimedelta() >= retention:
        return
    ttl = Duration()
    ttl.FromTimedelta(retention)
    await service.update_namespace(
        UpdateNamespaceRequest(
            namespace=client.namespace,
            config=NamespaceConfig(workflow_execution_retention_ttl=ttl),
        )
    )


async def _add_missing(client: Client, attributes: Sequence[SearchAttributeKey[Any]]) -> None:
    known = await _registered(client)
    missing = {
        key.name: IndexedValueType.ValueType(key.indexed_value_type)
        for key in attributes
        if key.name not in known
    }
    if missing:
        await client.operator_service.add_search_attributes(
            AddSearchAttributesRequest(namespace=client.namespace, search_attributes=missing)
        )


async def _registered(client: Client) -> Mapping[str, int]:
    listed = await client.operator_service.list_search_attributes(
        ListSearchAttributesRequest(namespace=client.namespace)
    )
    return listed.custom_attributes


async def _query_each(client: Client, attributes: Sequence[SearchAttributeKey[Any]]) -> None:
    if attributes:
        await client.count_workflows(" AND ".join(f"{key.name} IS NULL" for key in attributes))


async def _until_accepted(call: Callable[[], Awaitable[None]]) -> None:
    """Repeat an idempotent call while the server says that it isn't ready for it."""
    while True:
        try:
            return await call()
        except RPCError as error:
            if error.status not in _NOT_YET:
                raise
        await asyncio.sleep(RETRY_SECONDS)


def _type_name(known: Mapping[str, int], name: str) -> str:
    if name not in known:
        return "missing"
    found = IndexedValueType.Name(IndexedValueType.ValueType(known[name]))
    return found.removeprefix("INDEXED_VALUE_TYPE_")
