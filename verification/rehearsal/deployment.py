"""What the manual says of the deployed stack, looked up in the running one."""

import asyncpg
import httpx

from cli.embedded.ports import HOST
from verification.rehearsal.shape import Shape

# Of docs/operations.md, Watch: those that only the real server has.
METRICS = ("persistence_latency", "persistence_errors", "certificates_expir")
_INDEXES = "SELECT count(*) FROM pg_indexes WHERE tablename = 'executions_visibility'"
# All that a release's schema makes, and those that are used.
MOST, USED = 70, 15


async def as_documented(shape: Shape) -> list[str]:
    """What is not as the manual says: Temporal's metrics, and its visibility indexes."""
    url = f"http://{HOST}:{shape.ports['temporal-metrics']}/metrics"
    async with httpx.AsyncClient(trust_env=False) as http:
        served = (await http.get(url)).text
    broken = [f"Temporal serves no {name}" for name in METRICS if name not in served]
    if (used := await _indexes(shape)) != USED:
        broken.append(f"{used} visibility indexes in place of {USED}")
    command = ("python", "-m", "deploy.visibility_indexes")
    await shape.job("temporal-indexes", *command, "all")
    if (all_ := await _indexes(shape)) < MOST:
        broken.append(f"{all_} visibility indexes after all were restored")
    await shape.job("temporal-indexes", *command, "used")
    return broken


async def _indexes(shape: Shape) -> int:
    connection = await asyncpg.connect(
        host=HOST,
        port=shape.ports["postgres"],
        user="postgres",
        password=shape.superuser["PGPASSWORD"],
        database="temporal_visibility",
    )
    try:
        return int(await connection.fetchval(_INDEXES))
    finally:
        await connection.close()
