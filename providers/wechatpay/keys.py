"""WeChat Pay's keys: which are live, and which one a message names.

A public key from the console and downloaded platform certificates may be live at once, several
certificates too (rotation, graded migration). The key is chosen by `Wechatpay-Serial` alone; there
is never a fall-back to another one.
"""

import asyncio
import logging
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from http import HTTPStatus

import httpx
from cryptography import x509
from cryptography.exceptions import UnsupportedAlgorithm
from cryptography.hazmat.primitives.asymmetric.rsa import RSAPublicKey

from domain.errors import OutcomeUnknown, ProviderError, ProviderUnavailable
from providers.wechatpay import codes
from providers.wechatpay.config import PROVIDER, WechatpayConfig
from providers.wechatpay.encryption import decrypt
from providers.wechatpay.signing import (
    BadSignature,
    SignatureHeaders,
    certificate_serial,
    comparable_serial,
)
from providers.wechatpay.wire import CertificateEntry, CertificateList, Malformed, Refusal, read

# Docs ask for less than 12 h between downloads.
REFRESH_AFTER = timedelta(hours=11)
# Anyone can send a message with a made-up serial; it must not make us download without end.
SEARCH_INTERVAL = timedelta(seconds=30)
PUBLIC_KEY_PREFIX = "PUB_KEY_ID_"

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class PlatformCertificate:
    """A downloaded certificate's key, and when it may be used."""

    key: RSAPublicKey
    not_before: datetime
    not_after: datetime

    def is_live(self, now: datetime) -> bool:
        """Whether `now` lies in the certificate's own validity."""
        return self.not_before <= now < self.not_after


def open_certificates(body: bytes, api_v3_key: bytes) -> dict[str, PlatformCertificate]:
    """The certificates in a download, by `comparable_serial`; unusable entries are left out.

    Raises Malformed where the download is not a list of certificates.
    """
    opened = {}
    for entry in read(CertificateList, body).data:
        try:
            opened[comparable_serial(entry.serial_no)] = _open(entry, api_v3_key)
        except Malformed as error:
            _log.warning("platform certificate %r is left out: %s", entry.serial_no, error)
    return opened


def _open(entry: CertificateEntry, api_v3_key: bytes) -> PlatformCertificate:
    pem = decrypt(api_v3_key, entry.encrypt_certificate)
    try:
        certificate = x509.load_pem_x509_certificate(pem)
        serial, key = certificate_serial(certificate), certificate.public_key()
    # SM2 keys are in use at WeChat Pay and unknown here; a negative serial overflows.
    except (ValueError, OverflowError, UnsupportedAlgorithm):
        raise Malformed("it is no certificate that we can read") from None
    if comparable_serial(serial) != comparable_serial(entry.serial_no):
        raise Malformed("its serial is not the one it is listed under")
    if not isinstance(key, RSAPublicKey):
        raise Malformed("its key is not an RSA key")
    return PlatformCertificate(
        key, certificate.not_valid_before_utc, certificate.not_valid_after_utc
    )


def _has_no_certificates(answer: httpx.Response) -> bool:
    # What an account of the public key kind is told; unsigned, like other refusals.
    if answer.status_code != HTTPStatus.NOT_FOUND:
        return False
    return codes.bare(read(Refusal, answer.content).code) in codes.NO_CERTIFICATES


class PlatformKeys:
    """Finds the key for a serial; downloads certificates when due, one download at a time."""

    def __init__(
        self,
        config: WechatpayConfig,
        clock: Callable[[], datetime],
        download: Callable[[], Awaitable[httpx.Response]],
    ) -> None:
        self._clock = clock
        self._download = download
        self._api_v3_key = config.api_v3_key.get_secret_value().encode()
        self._downloads = config.platform_certificates
        self._public = {
            comparable_serial(key_id): key for key_id, key in config.public_keys.items()
        }
        self._certificates: dict[str, PlatformCertificate] = {}
        self._fetched_at: datetime | None = None
        self._tried_at: datetime | None = None
        self._searched_at: datetime | None = None
        self._tries = 0
        self._lock = asyncio.Lock()

    async def prepare(self) -> None:
        """Have a live key before anything is sent, and fresh ones where they are due.

        Raises ProviderUnavailable: a call whose answer nobody could check is better not made.
        """
        if self._public:
            return
        if not self._has_live_certificate():
            await self._refresh()
            if not self._has_live_certificate():
                raise ProviderUnavailable(
                    "WeChat Pay's platform certificates cannot be fetched", provider=PROVIDER
                )
        elif self._is_past(self._fetched_at, REFRESH_AFTER) and self._is_past(
            self._tried_at, SEARCH_INTERVAL
        ):
            await self._refresh()

    async def verify(self, headers: Mapping[str, str], body: bytes) -> None:
        """Raise BadSignature unless the raw body is WeChat Pay's own and fresh."""
        signed = SignatureHeaders.read(headers)
        signed.check_fresh(self._clock())
        signed.check(await self._key(comparable_serial(signed.serial)), body)

    async def _key(self, serial: str) -> RSAPublicKey:
        key = self._find(serial)
        if key is None and self._may_search(serial):
            if not self._lock.locked():
                self._searched_at = self._clock()
            await self._refresh()
            key = self._find(serial)
        if key is None:
            raise BadSignature("the serial names no live key of WeChat Pay")
        return key

    def _find(self, serial: str) -> RSAPublicKey | None:
        certificate = self._certificates.get(serial)
        if certificate is not None and certificate.is_live(self._clock()):
            return certificate.key
        return self._public.get(serial)

    def _may_search(self, serial: str) -> bool:
        return (
            self._downloads
            and not serial.startswith(PUBLIC_KEY_PREFIX)
            # A download under way costs nothing more to wait for.
            and (self._lock.locked() or self._is_past(self._searched_at, SEARCH_INTERVAL))
        )

    def _has_live_certificate(self) -> bool:
        now = self._clock()
        return any(certificate.is_live(now) for certificate in self._certificates.values())

    def _is_past(self, then: datetime | None, age: timedelta) -> bool:
        return then is None or self._clock() - then >= age

    async def _refresh(self) -> None:
        """Download once for all who wait; a failure keeps the certificates that we have."""
        seen = self._tries
        async with self._lock:
            if self._tries != seen:
                return
            try:
                self._certificates = await self._fetch()
                self._fetched_at = self._clock()
            except (ProviderError, BadSignature, Malformed) as error:
                _log.warning("platform certificates are not refreshed: %s", error)
            self._tried_at = self._clock()
            self._tries += 1

    async def _fetch(self) -> dict[str, PlatformCertificate]:
        answer = await self._download()
        if self._public and _has_no_certificates(answer):
            return {}
        if answer.status_code != HTTPStatus.OK:
            raise OutcomeUnknown(f"the download answered {answer.status_code}", provider=PROVIDER)
        fresh = open_certificates(answer.content, self._api_v3_key)
        self._check_download(answer, fresh)
        return fresh

    def _check_download(
        self, answer: httpx.Response, fresh: Mapping[str, PlatformCertificate]
    ) -> None:
        # The certificate that signs the first download is in it. That is no circle: only WeChat
        # Pay could have encrypted it under our API v3 key.
        now = self._clock()
        signed = SignatureHeaders.read(answer.headers)
        signed.check_fresh(now)
        serial = comparable_serial(signed.serial)
        certificate = fresh.get(serial)
        live = certificate is not None and certificate.is_live(now)
        key = certificate.key if certificate and live else self._public.get(serial)
        if key is None:
            raise BadSignature("the download is signed by no certificate in it")
        signed.check(key, answer.content)
