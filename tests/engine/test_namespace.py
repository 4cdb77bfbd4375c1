from datetime import timedelta

import pytest
from temporalio.api.workflowservice.v1 import DescribeNamespaceRequest
from temporalio.client import Client
from temporalio.common import SearchAttributeKey, SearchAttributePair, TypedSearchAttributes

from engine.namespace import (
    RETENTION,
    NamespaceMismatchError,
    prepare_namespace,
    verify_search_attributes,
)

STATUS = SearchAttributeKey.for_keyword("PaymentStatus")
AMOUNT = SearchAttributeKey.for_int("Amount")


async def retention(client: Client) -> timedelta:
    found = await client.workflow_service.describe_namespace(
        DescribeNamespaceRequest(namespace=client.namespace)
    )
    return found.config.workflow_execution_retention_ttl.ToTimedelta()


async def test_a_prepared_namespace_takes_a_workflow_with_the_attributes_at_once(
    client: Client,
) -> None:
    await prepare_namespace(client, [STATUS, AMOUNT])

    handle = await client.start_workflow(
        "Anything",
        id="w",
        task_queue="nobody",
        search_attributes=TypedSearchAttributes(
            [SearchAttributePair(STATUS, "pending"), SearchAttributePair(AMOUNT, 1)]
        ),
    )

    description = await handle.describe()
    assert description.typed_search_attributes[AMOUNT] == 1


async def test_retention_is_raised_and_never_lowered(client: Client) -> None:
    await prepare_namespace(client, [])
    assert await retention(client) == RETENTION

    await prepare_namespace(client, [], retention=timedelta(days=90))
    await prepare_namespace(client, [], retention=timedelta(days=8))
    assert await retention(client) == timedelta(days=90)


async def test_preparing_again_changes_nothing(client: Client) -> None:
    await prepare_namespace(client, [STATUS])
    await prepare_namespace(client, [STATUS, AMOUNT])

    await verify_search_attributes(client, [STATUS, AMOUNT])


async def test_an_attribute_of_another_type_is_rejected(client: Client) -> None:
    await prepare_namespace(client, [SearchAttributeKey.for_text("PaymentStatus")])

    with pytest.raises(NamespaceMismatchError, match="PaymentStatus should be KEYWORD but is TEXT"):
        await prepare_namespace(client, [STATUS])


async def test_a_missing_attribute_is_named(client: Client) -> None:
    with pytest.raises(NamespaceMismatchError, match="Amount should be INT but is missing"):
        await verify_search_attributes(client, [AMOUNT])


async def test_a_namespace_that_never_comes_is_a_timeout(client: Client) -> None:
    nowhere = Client(client.service_client, namespace="nowhere")

    with pytest.raises(TimeoutError):
        await prepare_namespace(nowhere, [STATUS], timeout_seconds=0.3)
