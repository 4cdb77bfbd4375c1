"""Sending: sign, post, verify the raw answer. What cannot be verified is an unknown outcome."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from http import HTTPStatus

import httpx

from providers.kit.calls import send, unknown
from providers.unionpay import codes, wire
from providers.unionpay.config import PROVIDER, UnionpayConfig
from providers.unionpay.keys import NotGenuine, Signer

_HEADERS = {"content-type": "application/x-www-form-urlencoded;charset=UTF-8"}
# An answer must be about what was asked: it may be genuine and still another's.
_ECHOED = ("merId", "orderId", "txnTime")


@dataclass(frozen=True)
class Answer:
    """A verified answer; `code` is its respCode."""

    code: str
    message: str
    fields: Mapping[str, str]


class UnionpayClient:
    """Signers for one account and speaks with the gateway."""

    def __init__(
        self,
        config: UnionpayConfig,
        signer: Signer,
        http: httpx.AsyncClient,
        clock: Callable[[], datetime],
    ) -> None:
        self._base_url = config.base_url.rstrip("/")
        self._signer = signer
        self._http = http
        self._clock = clock
        self._timeout = httpx.Timeout(config.read_timeout, connect=config.connect_timeout)

    def address(self, endpoint: str) -> str:
        """The endpoint's full address."""
        return f"{self._base_url}/{endpoint}"

    async def call(self, endpoint: str, fields: Mapping[str, str]) -> Answer:
        """Send and return what UnionPay signed, good or bad.

        Raises ProviderUnavailable where nothing was sent, OutcomeUnknown for every other trouble.
        """
        body = await self._post(endpoint, self._signer.signed(fields))
        try:
            answered = wire.parse_answer(body)
            self._signer.verify(answered, self._clock())
        except (wire.Malformed, NotGenuine) as error:
            raise unknown(PROVIDER, f"the answer proves nothing: {error}") from error
        code = answered.get("respCode", "")
        for name in _ECHOED:
            # A refusal may repeat less than the request; a success says what it is about.
            missing_is_fine = code not in codes.SUCCESSES
            if answered.get(name, fields[name] if missing_is_fine else None) != fields[name]:
                raise unknown(PROVIDER, f"the answer is about another {name}")
        return Answer(code, answered.get("respMsg", ""), answered)

    async def _post(self, endpoint: str, fields: Mapping[str, str]) -> bytes:
        request = self._http.build_request(
            "POST",
            self.address(endpoint),
            content=wire.form(fields),
            headers=_HEADERS,
            timeout=self._timeout,
        )
        response = await send(self._http, request, provider=PROVIDER)
        if response.status_code != HTTPStatus.OK:
            raise unknown(PROVIDER, f"HTTP status {response.status_code} is no answer")
        return response.content
