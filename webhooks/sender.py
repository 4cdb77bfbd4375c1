import asyncio
import json
from collections.abc import Callable
from datetime import UTC, datetime
from http.cookiejar import DefaultCookiePolicy

import httpx

from domain.errors import PaymentError
from domain.event import Event
from domain.merchant import Merchant
from webhooks.answers import WebhookAnswer, read_answer, read_retry_after
from webhooks.resolving import HostResolver
from webhooks.signing import UnusableSecretError, signed_headers
from webhooks.stored_secrets import StoredSecrets
from webhooks.targets import Resolver, Target, TargetRefused, check

# An endpoint should store the event and answer; what takes longer is retried.
CONNECT_SECONDS = 5.0
ATTEMPT_SECONDS = 12.0
LARGEST_ANSWER = 16 * 1024
# An answer that says something to us has one or two; each costs the event loop some time.
_MOST_PARTS = 64
_GONE = 410


class WebhookFailed(PaymentError):  # noqa: N818 - the name says what it is
    """The event was not delivered.

    `gone`: it wants no more (HTTP 410). `retry_after`: seconds, where it named them. `status` is
    None where there was no answer.
    """

    code = "webhook_failed"

    def __init__(
        self,
        message: str,
        *,
        retry_after: float | None = None,
        gone: bool = False,
        status: int | None = None,
    ) -> None:
        super().__init__(message)
        self.retry_after = retry_after
        self.gone = gone
        self.status = status


class WebhookSender:
    """Sends one event once.

    Args:
        http: for this sender alone, from `webhook_client`.
        allow_private: sandbox mode: plain http, loopback and private networks are lawful targets.
        stored_secrets: decrypts the secrets that webhooks are signed with.
        clock: now, in UTC.
        resolver: addresses of a host, best first; else a HostResolver.
    """

    def __init__(
        self,
        http: httpx.AsyncClient,
        *,
        allow_private: bool,
        stored_secrets: StoredSecrets,
        clock: Callable[[], datetime],
        resolver: Resolver | None = None,
    ) -> None:
        # Endpoints are told apart by address here: a cookie would go to strangers beside them.
        http.cookies.jar.set_policy(DefaultCookiePolicy(allowed_domains=[]))
        self._http = http
        self._allow_private = allow_private
        self._stored_secrets = stored_secrets
        self._clock = clock
        self._resolver = resolver or HostResolver()

    async def deliver(self, event: Event, merchant: Merchant) -> WebhookAnswer:
        """Send, and read what the endpoint answered. WebhookFailed for all but a 2xx."""
        if merchant.webhook_url is None:
            raise WebhookFailed("The merchant has no webhook URL.")
        payload = serialise(event)
        now = self._clock()
        try:
            secrets = self._stored_secrets.signing(merchant.id, merchant.webhook_secret, now)
            headers = signed_headers(
                payload, event_id=event.id, sent_at=now, secrets_in_use=secrets
            )
            async with asyncio.timeout(ATTEMPT_SECONDS):
                target = await check(
                    merchant.webhook_url,
                    allow_private=self._allow_private,
                    resolver=self._resolver,
                )
                return await self._send(target, payload.encode(), headers)
        except UnusableSecretError as error:
            raise WebhookFailed(f"Nothing is sent unsigned: {error}.") from error
        except TargetRefused as error:
            raise WebhookFailed(error.message) from error
        except TimeoutError as error:
            raise WebhookFailed("The endpoint did not answer in time.") from error
        except httpx.HTTPError as error:
            raise WebhookFailed(f"The endpoint did not answer: {type(error).__name__}.") from error

    async def _send(self, target: Target, payload: bytes, headers: dict[str, str]) -> WebhookAnswer:
        *others, last = target.addresses
        for address in others:
            try:
                return await self._send_to(address, target, payload, headers)
            except (httpx.ConnectError, httpx.ConnectTimeout):
                # Nothing was sent yet, so the next address is no second delivery.
                continue
        return await self._send_to(last, target, payload, headers)

    async def _send_to(
        self, address: str, target: Target, payload: bytes, headers: dict[str, str]
    ) -> WebhookAnswer:
        async with self._http.stream(
            "POST",
            target.pinned(address),
            content=payload,
            headers={
                "host": target.authority,
                "content-type": "application/json",
                "user-agent": "Paysaga-Webhooks/1",
                # The cap below counts what is read: nothing may unfold to more.
                "accept-encoding": "identity",
                # The pool knows connections by address; one that was verified for this host must
                # not be reused for another host at the same address.
                "connection": "close",
                **headers,
            },
            extensions={"sni_hostname": target.host},
            follow_redirects=False,
            timeout=httpx.Timeout(ATTEMPT_SECONDS, connect=CONNECT_SECONDS),
        ) as response:
            if not response.is_success:
                raise self._failure(response)
            return read_answer(response.status_code, await _capped(response))

    def _failure(self, response: httpx.Response) -> WebhookFailed:
        status = response.status_code
        note = " Redirects are not followed." if response.is_redirect else ""
        return WebhookFailed(
            f"The endpoint answered {status}.{note}",
            retry_after=read_retry_after(response.headers.get("retry-after"), self._clock()),
            gone=status == _GONE,
            status=status,
        )


def serialise(event: Event) -> str:
    """The body: compact JSON, made once, signed and sent as it is.

    `timestamp` is when the change happened, the same on every try.
    """
    return json.dumps(
        {
            "type": event.type,
            "timestamp": event.created_at.astimezone(UTC).isoformat().replace("+00:00", "Z"),
            "data": event.data,
        },
        ensure_ascii=False,
        separators=(",", ":"),
    )


async def _capped(response: httpx.Response) -> bytes:
    """Return the body; nothing of one that is too large to be an answer to us."""
    body, parts = b"", 0
    async for chunk in response.aiter_raw():
        body += chunk
        parts += 1
        if len(body) > LARGEST_ANSWER or parts > _MOST_PARTS:
            return b""
    return body
