"""Standard Webhooks signatures (https://github.com/standard-webhooks/standard-webhooks)."""

import binascii
import secrets
from base64 import b64encode
from datetime import UTC, datetime
from uuid import UUID

from standardwebhooks.webhooks import EmptyWebhookSecretError, Webhook

# The specification asks for 24 to 64 random bytes.
_SECRET_BYTES = 32
_MARK = "whsec_"


class UnusableSecretError(ValueError):
    """There is no secret, or it is not a Standard Webhooks secret. Nothing is sent unsigned."""


def new_secret() -> str:
    """A fresh `whsec_…` secret to share with a merchant."""
    return _MARK + b64encode(secrets.token_bytes(_SECRET_BYTES)).decode()


def signed_headers(
    payload: str, *, event_id: UUID, sent_at: datetime, secret: str | None
) -> dict[str, str]:
    """The three headers that prove the payload is ours and fresh.

    `webhook-id` is the event's id on every try, `webhook-timestamp` the time of this try.
    """
    if not secret or not secret.startswith(_MARK):
        raise UnusableSecretError("the merchant has no webhook secret")
    try:
        webhook = Webhook(secret)
    except (binascii.Error, ValueError, EmptyWebhookSecretError) as error:
        raise UnusableSecretError("the merchant's webhook secret is not base64") from error
    # The package takes the wall clock's digits for UTC, whatever the zone.
    sent_at = sent_at.astimezone(UTC)
    return {
        "webhook-id": str(event_id),
        "webhook-timestamp": str(int(sent_at.timestamp())),
        "webhook-signature": webhook.sign(str(event_id), sent_at, payload),
    }
