"""`/metrics`, in the Prometheus text format."""

from fastapi import APIRouter, Response
from prometheus_client import generate_latest
from prometheus_client.exposition import CONTENT_TYPE_LATEST

from api.dependencies import Deps
from api.http.authentication import Operator
from api.http.openapi import problems

router = APIRouter(tags=["operations"])


@router.get(
    "/metrics",
    summary="Prometheus metrics",
    response_class=Response,
    dependencies=[Operator],
    responses=problems(401, 403, 429),
)
async def show(dependencies: Deps) -> Response:
    """For operators: it names every account and counts its payments."""
    counted = generate_latest(dependencies.metrics.registry)
    return Response(counted, media_type=CONTENT_TYPE_LATEST)
