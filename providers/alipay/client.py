"""Sending: sign, post, verify the raw answer. What cannot be verified is an unknown outcome."""

import base64
import json
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NoReturn
from urllib.parse import quote

import httpx

from domain.errors import ProviderRejected, ProviderUnavailable
from providers.alipay import codes, encryption, signing
from providers.alipay.config import PROVIDER, AlipayConfig
from providers.alipay.keys import Credentials
from providers.alipay.mapping import stamp
from providers.alipay.wire import Envelope, open_envelope, read_object
from providers.kit.calls import send, unknown

_DOWNLOAD = "alipay.open.app.alipaycert.download"
_OK = 200
# Our code for an answer that cannot be read.
_GARBLED = "garbled"
# In JSON they stand in texts alone, where an escape means the same.
_DIVIDERS = str.maketrans({"&": "\\u0026", "=": "\\u003d"})


@dataclass(frozen=True)
class Answer:
    """A verified answer. `fields` is the whole node; `sub_code` is without its `ACQ.` prefix."""

    code: str
    sub_code: str
    message: str
    fields: Mapping[str, Any]

    @property
    def name(self) -> str:
        """The most precise code there is, as Alipay wrote it."""
        return str(self.fields.get("sub_code") or self.code)


@dataclass(frozen=True)
class Links:
    """Where Alipay sends its notification and the payer's browser."""

    notify_url: str | None = None
    return_url: str | None = None


class AlipayClient:
    """Signs for one account and speaks with the gateway."""

    def __init__(
        self,
        config: AlipayConfig,
        credentials: Credentials,
        http: httpx.AsyncClient,
        clock: Callable[[], datetime],
    ) -> None:
        self._config = config
        self._credentials = credentials
        self._http = http
        self._clock = clock
        self._timeout = httpx.Timeout(config.read_timeout, connect=config.connect_timeout)

    def order_string(self, method: str, content: Mapping[str, Any], links: Links) -> str:
        """Everything signed, as the phone's SDK takes it. No call is made."""
        return self._encode(self._signed(method, content, links))

    def page_url(self, method: str, content: Mapping[str, Any], links: Links) -> str:
        """Where the payer's browser goes. No call is made."""
        return f"{self._config.gateway_url}?{self.order_string(method, content, links)}"

    async def call(
        self, method: str, content: Mapping[str, Any], links: Links | None = None
    ) -> Answer:
        """Send and return what Alipay signed, good or bad.

        Raises ProviderUnavailable where nothing was sent, OutcomeUnknown for every other trouble.
        """
        text = await self._post(method, content, links or Links())
        envelope = self._open(text, method)
        await self._learn(envelope.cert_sn)
        signed = envelope.text.encode(self._config.codec)
        if envelope.signature is None or not self._credentials.is_alipays(
            signed, envelope.signature, envelope.cert_sn
        ):
            self._distrust(envelope.value)
        return self._answer(envelope.value)

    async def _post(self, method: str, content: Mapping[str, Any], links: Links) -> str:
        params = self._signed(method, content, links)
        body = self._encode({"biz_content": params.pop("biz_content")})
        kind = f"application/x-www-form-urlencoded;charset={self._config.charset}"
        request = self._http.build_request(
            "POST",
            f"{self._config.gateway_url}?{self._encode(params)}",
            content=body,
            headers={"content-type": kind},
            timeout=self._timeout,
        )
        response = await send(self._http, request, provider=PROVIDER)
        if response.status_code != _OK:
            code = str(response.status_code)
            raise unknown(PROVIDER, "the answer is an HTTP status", code=code)
        try:
            return response.content.decode(self._config.codec)
        except UnicodeDecodeError as error:
            raise unknown(PROVIDER, "the answer is in another charset", code=_GARBLED) from error

    def _signed(self, method: str, content: Mapping[str, Any], links: Links) -> dict[str, str]:
        # Pure ASCII, so that no subject is beyond the account's charset; without what divides the
        # signed string, so that nobody can cut it up into other parameters.
        text = json.dumps(content, separators=(",", ":")).translate(_DIVIDERS)
        params = {
            "app_id": self._config.app_id,
            "method": method,
            "format": "JSON",
            "charset": self._config.charset,
            "sign_type": "RSA2",
            "timestamp": stamp(self._clock()),
            "version": "1.0",
            "notify_url": links.notify_url or "",
            "return_url": links.return_url or "",
            "biz_content": text,
            **self._credentials.identity,
        }
        if self._credentials.aes_key:
            # First sealed, then signed: the signature covers the ciphertext (sheet 1.6).
            sealed = encryption.encrypt(self._credentials.aes_key, text.encode())
            params |= {"biz_content": sealed, "encrypt_type": "AES"}
        params = {key: value for key, value in params.items() if value}
        raw = {key.encode(): self._bytes(value) for key, value in params.items()}
        if not signing.is_unambiguous(raw):
            raise ProviderRejected(
                "An address or the app_id of this account holds &", provider=PROVIDER
            )
        canonical = signing.canonical(raw, without=frozenset({b"sign"}))
        return params | {"sign": signing.sign(self._credentials.private_key, canonical)}

    def _bytes(self, value: str) -> bytes:
        return value.encode(self._config.codec, "replace")

    def _encode(self, params: Mapping[str, str]) -> str:
        return "&".join(
            f"{key}={quote(self._bytes(value), safe='')}" for key, value in params.items()
        )

    def _open(self, text: str, method: str) -> Envelope:
        try:
            return open_envelope(text, method)
        except ValueError as error:
            raise unknown(PROVIDER, "the answer is garbled", code=_GARBLED) from error

    def _answer(self, value: Any) -> Answer:
        try:
            if isinstance(value, str):
                value = self._decrypted(value)
        except ValueError as error:
            raise unknown(PROVIDER, "the answer cannot be decrypted", code=_GARBLED) from error
        if not isinstance(value, dict) or not isinstance(value.get("code"), str):
            raise unknown(PROVIDER, "the answer has no code", code=_GARBLED)
        message = str(value.get("sub_msg") or value.get("msg") or "")
        return Answer(value["code"], codes.bare(str(value.get("sub_code") or "")), message, value)

    def _decrypted(self, text: str) -> dict[str, Any]:
        if self._credentials.aes_key is None:
            raise ValueError("no aes_key is configured")
        plain = encryption.decrypt(self._credentials.aes_key, text)
        return read_object(plain.decode(self._config.codec))

    def _distrust(self, value: Any) -> NoReturn:
        """Unsigned words help a person to find the fault, and prove nothing (sheet 1.4)."""
        said = value if isinstance(value, dict) else {}
        code = str(said.get("sub_code") or said.get("code") or "unsigned")
        message = str(said.get("sub_msg") or said.get("msg") or "")
        raise unknown(
            PROVIDER, "the answer is not signed by Alipay", code=code, provider_message=message
        )

    async def _learn(self, cert_sn: str | None) -> None:
        """Fetch the certificate that an answer was signed with, where it is new to us.

        The download cannot be verified with the key that it brings: only the chain is believed.
        """
        if cert_sn is None or self._credentials.knows(cert_sn):
            return
        try:
            text = await self._post(_DOWNLOAD, {"alipay_cert_sn": cert_sn}, Links())
        except ProviderUnavailable as error:
            # The call that led here was sent all the same.
            raise unknown(PROVIDER, "the new certificate is missing", code="unreachable") from error
        value = self._open(text, _DOWNLOAD).value
        answer = self._answer(value)
        try:
            encoded = str(answer.fields.get("alipay_cert_content", ""))
            pem = base64.b64decode(encoded, validate=True).decode()
        except ValueError as error:
            raise unknown(PROVIDER, "the new certificate is garbled", code=_GARBLED) from error
        self._credentials.learn(cert_sn, pem, self._clock())
