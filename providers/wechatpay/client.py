"""Sends signed calls and decides how far an answer can be believed.

A success must be signed, or nobody knows what happened. Refusals often come unsigned (no SDK
checks them), so an unsigned one counts, but only where its body is WeChat Pay's own; a signature
that is there and wrong makes any answer worthless. Calls that move money ask once more before
they believe a refusal: see `provider.py`.
"""

import json
import logging
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from http import HTTPStatus
from typing import Any, NoReturn

import httpx

from providers.base import Verdict, raise_verdict
from providers.kit.calls import send, unknown
from providers.wechatpay import codes
from providers.wechatpay.codes import Operation
from providers.wechatpay.config import PROVIDER, WechatpayConfig
from providers.wechatpay.keys import PlatformKeys
from providers.wechatpay.signing import BadSignature, MerchantAuth, MerchantSigner
from providers.wechatpay.wire import Malformed, Model, Refusal, read

_log = logging.getLogger(__name__)
_RETRY_AFTER = re.compile(r"[0-9]{1,5}", re.ASCII)


@dataclass(frozen=True)
class Answer:
    """An answer that can be believed; `code` is None for a success."""

    operation: Operation
    status: int
    body: bytes = field(repr=False)
    code: str | None = None
    message: str = ""
    retry_after: float | None = None
    is_signed: bool = False

    @property
    def is_success(self) -> bool:
        """Whether the call was executed and the body is its result."""
        return self.status in (HTTPStatus.OK, HTTPStatus.NO_CONTENT)

    @property
    def verdict(self) -> Verdict:
        """What an answer other than success says of the money."""
        return codes.verdict(self.operation, self.status, self.code, self.message)

    @property
    def refuses_us(self) -> bool:
        """Whether WeChat Pay will not hear us at all, whatever we ask."""
        return codes.refuses_us(self.status, self.code, is_signed=self.is_signed)

    def says(self, known: frozenset[str]) -> bool:
        """Whether the code is one of `known`, in either spelling."""
        return self.code is not None and codes.bare(self.code) in known

    def read(self, model: type[Model]) -> Model:
        """The body as the model; raises OutcomeUnknown."""
        try:
            return read(model, self.body)
        except Malformed as error:
            message = f"the answer to {self.operation} is not as documented: {error}"
            raise unknown(PROVIDER, message) from error

    def fail(self, verdict: Verdict | None = None) -> NoReturn:
        """Raise what this answer stands for, or this verdict of it."""
        raise_verdict(
            verdict or self.verdict,
            provider=PROVIDER,
            code=self.code or f"HTTP {self.status}",
            message=self.message or "no reason given",
            retry_after=self.retry_after,
        )


class WechatpayClient:
    """Speaks API v3 for one account. `keys` verifies notifications as well."""

    def __init__(
        self,
        config: WechatpayConfig,
        *,
        signer: MerchantSigner,
        http: httpx.AsyncClient,
        clock: Callable[[], datetime],
    ) -> None:
        self._http = http
        self._base_url = config.base_url.rstrip("/")
        self._auth = MerchantAuth(signer, clock)
        self._timeout = httpx.Timeout(config.timeout, connect=config.connect_timeout)
        self._headers = {
            "Accept": "application/json",
            "Content-Type": "application/json",
            "User-Agent": "Paysaga",
        }
        if config.public_key_id is not None:
            # Asks for answers under the public key; without it they may come under a certificate.
            self._headers["Wechatpay-Serial"] = config.public_key_id
        self.keys = PlatformKeys(config, clock, self._download)

    async def call(
        self, operation: Operation, method: str, target: str, body: Mapping[str, Any] | None = None
    ) -> Answer:
        """Send and return a believable answer, refusals too.

        Raises ProviderUnavailable (not sent) or OutcomeUnknown.
        """
        await self.keys.prepare()
        content = b""
        if body is not None:
            content = json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()
        response = await self._send(method, target, content)
        is_signed = "wechatpay-signature" in response.headers
        if is_signed or response.is_success:
            await self._verify(response, operation)
        return _answer(operation, response, is_signed=is_signed)

    async def _verify(self, response: httpx.Response, operation: Operation) -> None:
        try:
            await self.keys.verify(response.headers, response.content)
        except BadSignature as error:
            message = f"the answer to {operation} ({response.status_code}) is not verified: {error}"
            raise unknown(PROVIDER, message) from error

    async def _download(self) -> httpx.Response:
        return await self._send("GET", "/v3/certificates", b"")

    async def _send(self, method: str, target: str, content: bytes) -> httpx.Response:
        request = self._http.build_request(
            method,
            f"{self._base_url}{target}",
            content=content,
            headers=self._headers,
            timeout=self._timeout,
        )
        response = await send(self._http, request, provider=PROVIDER, auth=self._auth)
        _log.debug(
            "%s %s: %s, Request-ID %s",
            method, target, response.status_code, response.headers.get("request-id"),
        )  # fmt: skip
        return response


def _answer(operation: Operation, response: httpx.Response, *, is_signed: bool) -> Answer:
    answer = Answer(operation, response.status_code, response.content)
    if answer.is_success:
        return answer
    try:
        refusal = read(Refusal, response.content)
    except Malformed:
        refusal = None
    return Answer(
        operation,
        response.status_code,
        response.content,
        code=refusal.code if refusal else None,
        message=(refusal.message if refusal else None) or "",
        retry_after=_seconds(response.headers.get("retry-after", "")),
        is_signed=is_signed,
    )


def _seconds(text: str) -> float | None:
    return float(text) if _RETRY_AFTER.fullmatch(text) else None
