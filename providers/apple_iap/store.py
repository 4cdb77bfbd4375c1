"""What the App Store's API says, verified: every signed text in an answer stands on its own."""

import math
import re
from collections.abc import AsyncIterator, Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

from domain.errors import ProviderRejected
from domain.notification import Notification
from domain.purchase import Purchase
from providers.apple_iap import codes
from providers.apple_iap.client import AppleClient, Host, Request, get
from providers.apple_iap.config import PROVIDER
from providers.apple_iap.notification import Reader
from providers.apple_iap.signing import NotGenuine
from providers.kit.calls import unknown

_TRANSACTION = "/inApps/v1/transactions/{}"
_HISTORY = "/inApps/v2/history/{}"
_NOTIFICATIONS = "/inApps/v1/notifications/history"
_CONSUMPTION = "/inApps/v2/transactions/consumption/{}"
# Twenty entries each: a limit for a server that never says that it is done.
_MOST_PAGES = 1000
_ANY_LIST = frozenset({"hasMore", "status"})
_TOKEN = re.compile(r"[!-~]{1,4096}")
# Apple's clock is not ours: what it has only just told must not lie outside the span. An end in
# the future means now (docs: NotificationHistoryRequest, endDate).
_BEHIND, _AHEAD = timedelta(minutes=5), timedelta(days=1)


class AppStore:
    """Asks for one account; raises as a Provider's verbs do."""

    def __init__(self, client: AppleClient, reader: Reader, clock: Callable[[], datetime]) -> None:
        self._client = client
        self._reader = reader
        self._clock = clock

    async def transaction(self, transaction_id: str) -> Purchase:
        """Get Transaction Info."""
        _, answer = await self._known(get(_TRANSACTION, transaction_id))
        found = self._purchase(answer.get("signedTransactionInfo"))
        if found.transaction_id != transaction_id:
            raise unknown(PROVIDER, "the answer is about another transaction")
        return found

    async def history(self, transaction_id: str) -> list[Purchase]:
        """Get Transaction History, second version: all kinds, finished consumables too."""
        return await self._revisions(_HISTORY, transaction_id)

    async def send_consumption(self, transaction_id: str, body: Mapping[str, object]) -> None:
        """Send Consumption Information, second version."""
        path = get(_CONSUMPTION, transaction_id).path
        await self._known(Request("PUT", path, body=body))

    async def notifications(
        self, begin: datetime, end: datetime | None = None
    ) -> AsyncIterator[Notification]:
        """Notification History of every environment, whether or not a word of it reached us.

        Without an end, all that there are. What does not verify is OutcomeUnknown, and only at the
        end: it may be what was looked for.
        """
        unread: NotGenuine | None = None
        now = self._clock()
        for host in self._client.hosts:
            span = (max(begin - _BEHIND, now - host.remembers), end or now + _AHEAD)
            async for signed in self._told(host, *span):
                try:
                    yield self._reader.message(signed)
                except NotGenuine as error:
                    unread = error
        if unread is not None:
            raise unknown(
                PROVIDER, f"the history holds what nobody can verify: {unread}"
            ) from unread

    async def _told(self, host: Host, begin: datetime, end: datetime) -> AsyncIterator[str]:
        if begin >= end:
            return
        span: dict[str, object] = {"startDate": _ms(begin), "endDate": _ms(end)}
        params: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            request = Request("POST", _NOTIFICATIONS, params=params or None, body=span)
            answer = await self._client.call(host, request)
            for entry in _list(answer, "notificationHistory"):
                yield _signed(entry)
            if not _has_more(answer):
                return
            params = {"paginationToken": _next(answer, "paginationToken", params)}
        raise unknown(PROVIDER, "the history has no end")

    async def _revisions(self, template: str, transaction_id: str) -> list[Purchase]:
        host, answer = await self._known(get(template, transaction_id))
        found = self._purchases(answer)
        params: dict[str, str] = {}
        for _ in range(_MOST_PAGES):
            if not _has_more(answer):
                return found
            params = {"revision": _next(answer, "revision", params)}
            answer = await self._client.call(host, get(template, transaction_id, **params))
            found += self._purchases(answer)
        raise unknown(PROVIDER, "the history has no end")

    async def _known(self, request: Request) -> tuple[Host, dict[str, Any]]:
        """The first environment's answer that knows the transaction: ids do not say which."""
        *others, last = self._client.hosts
        for host in others:
            try:
                return host, await self._client.call(host, request)
            except ProviderRejected as error:
                if error.provider_code not in codes.NOT_FOUND:
                    raise
        return last, await self._client.call(last, request)

    def _purchases(self, answer: Mapping[str, Any]) -> list[Purchase]:
        return [self._purchase(signed) for signed in _list(answer, "signedTransactions")]

    def _purchase(self, signed: object) -> Purchase:
        if not isinstance(signed, str):
            raise unknown(PROVIDER, "the answer carries no signed transaction")
        try:
            return self._reader.purchase(signed)
        except NotGenuine as error:
            raise unknown(PROVIDER, f"the answer proves nothing: {error}") from error


def _ms(moment: datetime) -> int:
    return math.floor(moment.timestamp() * 1000)


def _list(answer: Mapping[str, Any], name: str) -> list[Any]:
    # An empty list may be left out; an object that says nothing at all is nobody's history.
    found = answer.get(name, [] if answer.keys() & _ANY_LIST else None)
    if not isinstance(found, list):
        raise unknown(PROVIDER, f"{name} is no list")
    return found


def _signed(entry: object) -> str:
    signed = entry.get("signedPayload") if isinstance(entry, dict) else None
    if not isinstance(signed, str):
        raise unknown(PROVIDER, "the history holds an entry without signedPayload")
    return signed


def _has_more(answer: Mapping[str, Any]) -> bool:
    return answer.get("hasMore") is True


def _next(answer: Mapping[str, Any], name: str, before: Mapping[str, str]) -> str:
    found = answer.get(name)
    if not isinstance(found, str) or found == before.get(name):
        raise unknown(PROVIDER, f"the answer has more and no new {name}")
    # It goes into an address, which takes no half characters and has an end.
    if not _TOKEN.fullmatch(found):
        raise unknown(PROVIDER, f"the answer's {name} is none")
    return found
