"""The account's keys: sign what we send, and verify that a message is UnionPay's."""

import base64
import binascii
from collections.abc import Mapping
from datetime import datetime
from typing import Protocol

from pydantic import SecretStr

from providers.unionpay import signing
from providers.unionpay.certificates import Trust, UntrustedCertificate, load_pfx
from providers.unionpay.config import UnionpayConfig

_TEST_MODE = "01"


class NotGenuine(ValueError):  # noqa: N818 - the name says what it is
    """A message that UnionPay did not sign, or not with a certificate that is good now."""


class Signer(Protocol):
    """One method of signing; a message signed by another is not believed: no downgrade."""

    def signed(self, fields: Mapping[str, str]) -> dict[str, str]:
        """The fields with all that signing adds."""
        ...

    def verify(self, fields: Mapping[str, str], at: datetime) -> None:
        """Raise NotGenuine unless UnionPay signed exactly these fields."""
        ...


class CertificateSigner:
    """Method 01: the merchant's PFX, and UnionPay's certificate inside every message."""

    def __init__(self, config: UnionpayConfig) -> None:
        self._key, self._cert_id = load_pfx(_bytes(config.pfx), _secret(config.pfx_password))
        self._trust = Trust(
            config.root_certificate or "",
            config.middle_certificate or "",
            accepts_test_name=config.mode == _TEST_MODE,
        )

    def signed(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Signed under our certificate's number."""
        named = {**fields, "signMethod": signing.RSA, "certId": self._cert_id}
        return named | {signing.SIGNATURE: signing.sign(self._key, named)}

    def verify(self, fields: Mapping[str, str], at: datetime) -> None:
        """The certificate first, then the signature; raises NotGenuine."""
        _check_form(fields, signing.RSA)
        try:
            key = self._trust.public_key(fields.get("signPubKeyCert", ""), at)
        except UntrustedCertificate as error:
            raise NotGenuine(str(error)) from error
        if not signing.is_signed(key, fields):
            raise NotGenuine("the signature does not fit the message")


class SharedKeySigner:
    """Methods 11 and 12: one key shared with UnionPay."""

    def __init__(self, config: UnionpayConfig) -> None:
        self._method = config.sign_method
        self._secure_key = config.secure_key

    def signed(self, fields: Mapping[str, str]) -> dict[str, str]:
        """Digested with the key; no certificate is named."""
        named = {**fields, "signMethod": self._method}
        digest = signing.keyed_digest(self._method, _secret(self._secure_key), named)
        return named | {signing.SIGNATURE: digest}

    def verify(self, fields: Mapping[str, str], at: datetime) -> None:  # noqa: ARG002 - no dates here
        """Raise NotGenuine unless the digest is right."""
        _check_form(fields, self._method)
        if not signing.is_keyed_digest(self._method, _secret(self._secure_key), fields):
            raise NotGenuine("the digest does not fit the message")


def load_signer(config: UnionpayConfig) -> Signer:
    """Return the account's signer; raises ValueError naming the account, never a key."""
    try:
        return (
            CertificateSigner(config)
            if config.sign_method == signing.RSA
            else SharedKeySigner(config)
        )
    except ValueError as error:
        raise ValueError(f"unionpay account {config.name!r}: {error}") from error


def _check_form(fields: Mapping[str, str], method: str) -> None:
    if fields.get("signMethod") != method:
        raise NotGenuine("the message is signed by another method than the account's")
    if not signing.is_unambiguous(fields):
        raise NotGenuine("the message may have been cut up differently than it was signed")


def _bytes(value: SecretStr | None) -> bytes:
    try:
        return base64.b64decode(_secret(value), validate=True)
    except binascii.Error:
        raise ValueError("pfx is not base64") from None


def _secret(value: SecretStr | None) -> str:
    return value.get_secret_value() if value else ""
