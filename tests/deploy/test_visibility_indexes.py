"""Indexes of Temporal's visibility table that nothing is searched by go, and come back."""

from collections.abc import AsyncIterator

import asyncpg
import pytest

from cli.embedded.config import Service, StackConfig
from cli.embedded.stack import Stack
from deploy.visibility_indexes import aliased_columns, drop_unused, is_unused, main, restore
from engine.namespace import prepare_namespace
from workflows.search_attributes import ALL

# Of the release's schema, with the columns that make each index. GIN indexes need btree_gin, which
# the embedded server does not have; the rehearsal looks at all of them.
COLUMNS = {
    "by_status": "status",
    "by_workflow_id": "workflow_id",
    "by_workflow_type": "workflow_type_name",
    "by_task_queue": "task_queue",
    "by_history_length": "history_length",
    "by_temporal_namespace_division": "TemporalNamespaceDivision",
    "by_temporal_worker_deployment_version": "TemporalWorkerDeploymentVersion",
    "by_temporal_worker_deployment": "TemporalWorkerDeployment",
    "by_temporal_low_cardinality_keyword_01": "TemporalLowCardinalityKeyword01",
    "by_not_known_to_this_release": "SomethingNew",
    **{f"by_{kind.lower()}_{n:02}": f"{kind}{n:02}" for kind in ("Bool", "Int") for n in (1, 2, 3)},
    **{f"by_keyword_{n:02}": f"Keyword{n:02}" for n in range(1, 11)},
}
OF_TEMPORAL = {
    "executions_visibility_pkey",
    "default_idx",
    "by_status",
    "by_workflow_id",
    "by_workflow_type",
    "by_temporal_namespace_division",
    "by_temporal_worker_deployment_version",
    "by_not_known_to_this_release",
}
ORDER = "(COALESCE(close_time, '9999-12-31 23:59:59')) DESC, start_time DESC, run_id"


@pytest.fixture
async def visibility(owner_url: str) -> AsyncIterator[asyncpg.Connection]:
    """A database with the table's columns and indexes, as Temporal makes them."""
    sql = await asyncpg.connect(owner_url.replace("+asyncpg", ""))
    await sql.execute("CREATE SCHEMA visibility")
    await sql.execute("SET search_path TO visibility")
    columns = ", ".join(f"{column} text" for column in COLUMNS.values())
    await sql.execute(
        "CREATE TABLE executions_visibility (namespace_id text NOT NULL, run_id text NOT NULL,"
        f" start_time timestamp, close_time timestamp, {columns},"
        " PRIMARY KEY (namespace_id, run_id))"
    )
    place = "executions_visibility (namespace_id"
    await sql.execute(f"CREATE INDEX default_idx ON {place}, {ORDER})")
    for name, column in COLUMNS.items():
        await sql.execute(f"CREATE INDEX {name} ON {place}, {column}, {ORDER})")
    yield sql
    await sql.execute("DROP SCHEMA visibility CASCADE")
    await sql.close()


async def indexes(sql: asyncpg.Connection) -> set[str]:
    rows = await sql.fetch(
        "SELECT indexname FROM pg_indexes WHERE tablename = 'executions_visibility'"
    )
    return {row["indexname"] for row in rows}


async def test_what_nothing_is_searched_by_goes_and_comes_back(
    visibility: asyncpg.Connection,
) -> None:
    before = await indexes(visibility)
    definitions = "SELECT indexdef FROM pg_indexes WHERE schemaname = 'visibility' ORDER BY 1"
    whole = await visibility.fetch(definitions)

    first = await drop_unused(visibility, {"keyword03", "int01"})
    again = await drop_unused(visibility, {"keyword03", "int01"})

    assert await indexes(visibility) == OF_TEMPORAL | {"by_keyword_03", "by_int_01"}
    assert set(first) == before - await indexes(visibility)
    assert again == []
    assert set(await restore(visibility)) == set(first)
    assert [row for row in await visibility.fetch(definitions) if "dropped_" not in row[0]] == whole
    assert await restore(visibility) == []


async def test_an_index_that_a_restore_left_half_made_is_made_again(
    visibility: asyncpg.Connection,
) -> None:
    await drop_unused(visibility, set())
    row = "INSERT INTO executions_visibility (namespace_id, run_id, Int02) VALUES ('n', $1, '1')"
    await visibility.executemany(row, [("a",), ("b",)])
    with pytest.raises(asyncpg.UniqueViolationError):
        await visibility.execute(
            "CREATE UNIQUE INDEX CONCURRENTLY by_int_02 ON executions_visibility (Int02)"
        )

    await restore(visibility)

    made = await visibility.fetchval("SELECT pg_get_indexdef('by_int_02'::regclass)")
    assert "(namespace_id, int02," in made


def test_a_column_of_the_namespaces_own_is_used() -> None:
    assert is_unused({"keyword01"}, {"keyword02"})
    assert not is_unused({"keyword02"}, {"keyword02"})
    assert not is_unused({"keyword01", "status"}, set())
    assert not is_unused(set(), set())


@pytest.mark.stack
async def test_the_namespaces_search_attributes_are_found_in_their_columns(
    tmp_path_factory: pytest.TempPathFactory,
) -> None:
    folder = tmp_path_factory.mktemp("visibility") / "state"
    async with Stack(StackConfig(folder, services=frozenset({Service.TEMPORAL}))) as stack:
        client = await stack.temporal_client()
        await prepare_namespace(client, ALL)

        found = await aliased_columns(client)

    assert len(found) == len(ALL)
    assert all(is_unused({column}, set()) for column in found)


@pytest.mark.parametrize("arguments", [[], ["none"], ["all", "used"]])
def test_anything_else_is_answered_by_how_to_call_it(arguments: list[str]) -> None:
    with pytest.raises(SystemExit, match=r"used\|all"):
        main(arguments)
