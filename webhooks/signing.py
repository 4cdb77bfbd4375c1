"""Standard Webhooks signatures (https://github.com/standard-webhooks/standard-webhooks)."""

import binascii
import secrets
from base64 import b64encode
from collections.abc import Sequence
from datetime import UTC, datetime
from uuid import UUID

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

# The specification requires 24 to 64 random bytes.
_SECRET_BYTES = 32
_MARK = "whsec_"


class UnusableSecretError(ValueError):
    """There is no secret, or it is not a Standard Webhooks secret. Nothing is sent unsigned."""


def new_secret() -> str:
    """A fresh `whsec_…` secret to share with a merchant."""
    return _MARK + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def is_usable(secret: str) -> bool:
    """Whether something can be signed with it."""
    try:
        _webhook(secret)
    except UnusableSecretError:
        return False
    return True


def signed_headers(
    payload: str, *, event_id: UUID, sent_at: datetime, secrets_in_use: Sequence[str]
) -> dict[str, str]:
    """The three headers that prove the payload is ours and fresh.

    `webhook-id` is the event's id on every try, `webhook-timestamp` the time of this try. While a
    secret is replaced there is a signature of each, with a blank between (Standard Webhooks,
    "Signature scheme"). Raises UnusableSecretError where there is no secret, or none can sign.
    """
    if not secrets_in_use:
        raise UnusableSecretError("the merchant has no webhook secret")
    webhooks = [_webhook(secret) for secret in secrets_in_use]
    # The package takes the wall clock's digits for UTC, whatever the zone.
    sent_at = sent_at.astimezone(UTC)
    return {
        "webhook-id": str(event_id),
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": " ".join(
            webhook.sign(str(event_id), sent_at, payload) for webhook in webhooks
        ),
    }


def _webhook(secret: str) -> Webhook:
    if not secret.startswith(_MARK):
        raise UnusableSecretError("the merchant's webhook secret is not a `whsec_…`")
    try:
        return Webhook(secret)
    except (binascii.Error, ValueError, EmptyWebhookSecretError) as error:
        raise UnusableSecretError("the merchant's webhook secret is not base64") from error
