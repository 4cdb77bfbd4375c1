"""A store's notifications that never reached us, fetched by an operator after an outage."""

from collections import Counter
from datetime import UTC, datetime

from fastapi import APIRouter
from pydantic import AwareDatetime, Field

from api.dependencies import Deps
from api.http.authentication import Operator
from api.http.openapi import problems
from api.http.problems import Answer
from api.notifications.receive import receive
from api.schemas import Body
from domain.errors import InvalidRequest
from providers.base import Store
from storage.notifications import Arrival

router = APIRouter(prefix="/ops/stores", tags=["operations"], dependencies=[Operator])


class CatchUpRequest(Body):
    """Since when notifications may have been lost."""

    since: AwareDatetime


class CatchUpAnswer(Answer):
    """Their outcomes."""

    outcomes: dict[str, int] = Field(description="How many notifications had each outcome.")


@router.post(
    "/{provider}/{account}/catch-up",
    summary="Fetch a store's notifications again",
    responses=problems(401, 403, 422, 503),
)
async def catch_up(
    provider: str, account: str, body: CatchUpRequest, dependencies: Deps
) -> CatchUpAnswer:
    """Every notification since then, as if it came now: a repeat changes nothing."""
    source = dependencies.registry.get(provider, account)
    if not isinstance(source, Store):
        raise InvalidRequest(f"{provider} keeps no history of its notifications.", param="provider")
    outcomes: Counter[str] = Counter()
    for notification in await source.find_lost(body.since):
        routed = await receive(dependencies, notification, Arrival({}, b"", datetime.now(UTC)))
        outcomes[routed.outcome] += 1
    return CatchUpAnswer(outcomes=dict(outcomes))
