"""Speaks the App Store Server API: a fresh token for every call, a verdict on every answer."""

import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from providers.apple_iap import codes, signing
from providers.apple_iap.config import PROVIDER, AppleIapConfig, Environment
from providers.base import raise_verdict
from providers.kit.calls import send, unknown

_log = logging.getLogger(__name__)
_AUDIENCE = "appstoreconnect-v1"
# At most an hour is allowed; a token is used once, and at once.
_TOKEN_LIVES = timedelta(minutes=5)
_LONGEST_WAIT = 3600.0
# How far back a host's notification history reaches, less a day of margin.
_HISTORY = {Environment.PRODUCTION: timedelta(days=179), Environment.SANDBOX: timedelta(days=29)}


@dataclass(frozen=True)
class Host:
    """One environment's API; it knows nothing of the other's transactions."""

    base_url: str
    remembers: timedelta


@dataclass(frozen=True)
class Request:
    """One call, whichever host it goes to. `path` starts with a slash, its values quoted."""

    method: str
    path: str
    params: Mapping[str, str] | None = None
    body: Mapping[str, object] | None = None


def get(template: str, value: str, **params: str) -> Request:
    """A question about one id, which is quoted into the template's `{}`."""
    return Request("GET", template.format(quote(value, safe="")), params=params or None)


class AppleClient:
    """Signs for one account. Raises ValueError for a key that is none."""

    def __init__(
        self, config: AppleIapConfig, http: httpx.AsyncClient, clock: Callable[[], datetime]
    ) -> None:
        self._config = config
        self._key = signing.load_key(config.private_key.get_secret_value())
        self._http = http
        self._clock = clock
        self._timeout = httpx.Timeout(config.read_timeout, connect=config.connect_timeout)
        self.hosts = tuple(Host(config.address(one), _HISTORY[one]) for one in config.environments)

    async def call(self, host: Host, request: Request) -> dict[str, Any]:
        """The answer's JSON object; empty where the store says 202 and no more.

        Raises ProviderRejected, ProviderUnavailable or OutcomeUnknown.
        """
        response = await self._send(host, request)
        if response.is_success:
            # Read as an empty history, a 200 cut short would hide a sale for good.
            taken = response.status_code == HTTPStatus.ACCEPTED and not response.content
            return {} if taken else _object(response)
        return self._refuse(response)

    def _refuse(self, response: httpx.Response) -> NoReturn:
        refusal = _refusal(response)
        code = refusal.get("errorCode")
        code = str(code) if isinstance(code, int) else None
        raise_verdict(
            codes.verdict_of(response.status_code, code),
            provider=PROVIDER,
            code=code or f"HTTP {response.status_code}",
            message=str(refusal.get("errorMessage", "no reason given")),
            retry_after=self._retry_after(response),
        )

    async def _send(self, host: Host, request: Request) -> httpx.Response:
        built = self._http.build_request(
            request.method,
            f"{host.base_url}{request.path}",
            params=request.params,
            json=request.body,
            headers={"Authorization": f"Bearer {self._token()}", "User-Agent": "Paysaga"},
            timeout=self._timeout,
        )
        response = await send(self._http, built, provider=PROVIDER)
        _log.debug("%s %s: %s", request.method, request.path, response.status_code)
        return response

    def _token(self) -> str:
        now = self._clock()
        claims = {
            "iss": self._config.issuer_id,
            "iat": int(now.timestamp()),
            "exp": int((now + _TOKEN_LIVES).timestamp()),
            "aud": _AUDIENCE,
            "bid": self._config.bundle_id,
        }
        return signing.sign(self._key, self._config.key_id, claims)

    def _retry_after(self, response: httpx.Response) -> float | None:
        """Seconds until the call may come again: the App Store names a UNIX time in ms."""
        text = response.headers.get("retry-after", "")
        if response.status_code != HTTPStatus.TOO_MANY_REQUESTS or not text.isdecimal():
            return None
        try:
            wait = (signing.instant(int(text)) - self._clock()).total_seconds()
        except ValueError:
            return None
        return min(max(wait, 1.0), _LONGEST_WAIT)


def _object(response: httpx.Response) -> dict[str, Any]:
    try:
        return signing.parse_object(response.content)
    except signing.NotGenuine as error:
        raise unknown(PROVIDER, f"the answer proves nothing: {error}") from error


def _refusal(response: httpx.Response) -> dict[str, Any]:
    try:
        return signing.parse_object(response.content)
    except signing.NotGenuine:
        return {}
