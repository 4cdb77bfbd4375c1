from datetime import UTC, datetime, timedelta, timezone
from uuid import UUID, uuid4

import pytest
from standardwebhooks.webhooks import Webhook, WebhookVerificationError

from webhooks.signing import UnusableSecretError, new_secret, signed_headers

EVENT = UUID("00743842-fdff-55d2-a105-8b9d102aa12c")


def test_the_signature_is_the_one_that_the_specification_defines() -> None:
    # HMAC-SHA256 over "id.timestamp.payload", computed with openssl.
    headers = signed_headers(
        '{"test": 2432232314}',
        event_id=EVENT,
        sent_at=datetime(2021, 2, 25, 8, 55, 30, tzinfo=UTC),
        secrets_in_use=["whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSw"],
    )

    assert headers == {
        "webhook-id": str(EVENT),
        "webhook-timestamp": "1614243330",
        "webhook-signature": "v1,5r/IEyTPm45vrfoUSvqHE5PWQUsIs/pbTowcMuo+GQI=",
    }


@pytest.mark.parametrize("hours", [-11, 0, 8])
def test_a_clock_in_any_zone_signs_the_same_moment(hours: int) -> None:
    secret, payload = new_secret(), "{}"
    now = datetime.now(timezone(timedelta(hours=hours)))

    headers = signed_headers(payload, event_id=uuid4(), sent_at=now, secrets_in_use=[secret])

    assert Webhook(secret).verify(payload, headers) == {}


def test_another_secret_another_body_or_another_id_does_not_verify() -> None:
    secret = new_secret()
    headers = signed_headers(
        "{}", event_id=EVENT, sent_at=datetime.now(UTC), secrets_in_use=[secret]
    )

    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify("{}", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify("{ }", headers)
    with pytest.raises(WebhookVerificationError):
        Webhook(secret).verify("{}", headers | {"webhook-id": str(uuid4())})


@pytest.mark.parametrize("secret", [None, "", "whsec_", "whsec_a", "whsec_é", "plain-text-secret"])
def test_nothing_is_signed_with_a_secret_that_is_none(secret: str | None) -> None:
    given = [] if secret is None else [secret]
    for secrets in (given, [new_secret(), *given] if given else []):
        with pytest.raises(UnusableSecretError):
            signed_headers("{}", event_id=EVENT, sent_at=datetime.now(UTC), secrets_in_use=secrets)


def test_while_a_secret_is_replaced_either_verifies() -> None:
    secrets = [new_secret(), new_secret()]
    headers = signed_headers(
        "{}", event_id=EVENT, sent_at=datetime.now(UTC), secrets_in_use=secrets
    )

    for secret in secrets:
        assert Webhook(secret).verify("{}", headers) == {}
    with pytest.raises(WebhookVerificationError):
        Webhook(new_secret()).verify("{}", headers)


def test_a_new_secret_is_random_and_long_enough() -> None:
    assert new_secret() != new_secret()
    assert len(new_secret()) == len("whsec_") + 44
