"""Providers' notifications: verify, store and route, and only then acknowledge.

Anything but a durable outcome is answered with the provider's own rejection, so that it sends the
notification again.
"""

import asyncio
import logging
from collections.abc import Mapping
from contextlib import suppress
from datetime import UTC, datetime
from http import HTTPStatus

from fastapi import APIRouter, Request, Response
from starlette.background import BackgroundTask
from temporalio.service import RPCError

from api.dependencies import Dependencies, Deps
from api.http.openapi import problems
from api.http.problems import ApiProblem
from api.notifications.acknowledged import digest_of
from api.notifications.receive import ALARMED, Received, store_and_route, store_outcome
from domain.alarm import Alarm, AlarmKind
from domain.errors import InvalidRequest, InvalidSignature, PaymentError, Unreadable
from domain.notification import Notification, NotificationOutcome
from providers.base import Provider
from storage.notifications import Arrival

router = APIRouter(tags=["providers"])
_log = logging.getLogger(__name__)

# WeChat Pay counts an answer after five seconds as a failure; ours would then be wasted.
NOTIFY_SECONDS = 4.5
_NEWS = (NotificationOutcome.SIGNALLED, NotificationOutcome.LATE)
# Never kept, whoever sends them.
_PRIVATE_HEADERS = frozenset({"authorization", "cookie", "proxy-authorization"})


@router.post(
    "/notify/{provider}/{account}",
    summary="A provider's notification",
    response_class=Response,
    responses=problems(404, 413)
    | {200: {"description": "The provider's own acknowledgement, byte for byte."}},
)
async def receive_notification(
    provider: str, account: str, request: Request, dependencies: Deps
) -> Response:
    """For providers only. The address that they are given when a payment is made."""
    source = _source(dependencies, provider, account)
    body = await request.body()
    digest = digest_of(provider, account, request.headers, body)
    if digest in dependencies.acknowledged:
        request.state.is_genuine, request.state.is_new = True, False
        dependencies.metrics.notification(provider, account, NotificationOutcome.DUPLICATE)
        return _answer(source, accepted=True)
    try:
        async with asyncio.timeout(NOTIFY_SECONDS):
            received = await _handle(dependencies, source, request.headers, body)
    except Unreadable as error:
        request.state.is_genuine, request.state.is_new = True, False
        _log.warning("unreadable notification at %s/%s: %s", provider, account, error.message)
        await _alarm(dependencies, source, error)
        return _reject(dependencies, source, "unreadable", "not as documented")
    except InvalidSignature as error:
        # Nothing in it is believed, so nothing of it is stored.
        _log.warning("forged or stale notification at %s/%s: %s", provider, account, error.message)
        return _reject(dependencies, source, "forged", "signature not accepted")
    except (RPCError, PaymentError, TimeoutError) as error:
        request.state.is_genuine, request.state.is_new = True, False
        _log.warning("notification at %s/%s not taken: %s", provider, account, type(error).__name__)
        return _reject(dependencies, source, "not_taken", "try again later")
    routed = received.routed
    request.state.is_genuine, request.state.is_new = True, routed.outcome in _NEWS
    if routed.acknowledged:
        # A parked one may be somebody's by the time that it comes again.
        if not routed.parked:
            dependencies.acknowledged.add(digest)
        dependencies.metrics.notification(provider, account, routed.outcome)
        answer = _answer(source, accepted=True)
    else:
        if routed.outcome not in ALARMED:
            _log.warning("notification at %s/%s: %s", provider, account, routed)
        answer = _reject(dependencies, source, routed.outcome, str(routed.outcome))
    answer.background = BackgroundTask(store_outcome, dependencies, received)
    return answer


async def _alarm(dependencies: Dependencies, source: Provider, error: Unreadable) -> None:
    """Call an operator; where that fails, the provider's repeat tries again."""
    alarm = Alarm(
        kind=AlarmKind.UNREADABLE_NOTIFICATION,
        subject=f"{source.name}/{source.account}",
        detail=error.message,
    )
    with suppress(PaymentError):
        await dependencies.stores.alarms.raise_alarm(alarm)


async def _handle(
    dependencies: Dependencies, source: Provider, headers: Mapping[str, str], body: bytes
) -> Received:
    received_at = datetime.now(UTC)
    notification = await source.parse_notification(headers, body)
    arrival = Arrival(_kept(headers), body, received_at)
    return await store_and_route(dependencies, _named(notification, source), arrival)


def _named(notification: Notification, source: Provider) -> Notification:
    """The account is whose keys verified it, whatever the message says of itself."""
    return notification.model_copy(
        update={
            "provider": source.name,
            "account": source.account,
            "needs_confirmation": source.confirms_notifications,
        }
    )


def _kept(headers: Mapping[str, str]) -> dict[str, str]:
    return {name: value for name, value in headers.items() if name not in _PRIVATE_HEADERS}


def _source(dependencies: Dependencies, provider: str, account: str) -> Provider:
    try:
        return dependencies.registry.get(provider, account)
    except InvalidRequest as error:
        raise ApiProblem(HTTPStatus.NOT_FOUND, "account_not_found", error.message) from error


def _reject(
    dependencies: Dependencies, source: Provider, outcome: str | NotificationOutcome, why: str
) -> Response:
    dependencies.metrics.notification(source.name, source.account, outcome)
    return _answer(source, accepted=False, message=why)


def _answer(source: Provider, *, accepted: bool, message: str = "") -> Response:
    answer = source.acknowledge(accepted=accepted, message=message)
    return Response(
        answer.body, status_code=answer.status, headers={"Content-Type": answer.content_type}
    )
