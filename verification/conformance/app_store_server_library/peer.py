"""What Apple's library makes of texts that Paysaga's own verifier is asked about too."""

import base64
import json
from typing import Any

from appstoreserverlibrary.api_client import AppStoreServerAPIClient
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier, VerificationException
from oracle import serve


def verify(kind: str, text: str, app: dict[str, Any]) -> dict[str, Any]:
    """Whether a `transaction`, `renewal` or `notification` is believed, and what it says.

    `app` has the trusted `root` (DER in base64), `environment`, `bundle_id` and `app_apple_id`.
    """
    verifier = SignedDataVerifier(
        [base64.b64decode(app["root"])],
        enable_online_checks=False,
        environment=Environment(app["environment"]),
        bundle_id=app["bundle_id"],
        app_apple_id=app.get("app_apple_id"),
    )
    readers = {
        "transaction": verifier.verify_and_decode_signed_transaction,
        "renewal": verifier.verify_and_decode_renewal_info,
        "notification": verifier.verify_and_decode_notification,
    }
    try:
        readers[kind](text)
    except VerificationException as error:
        return {"ok": False, "status": error.status.name}
    payload = text.split(".")[1]
    return {"ok": True, "claims": json.loads(base64.urlsafe_b64decode(payload + "=="))}


def token(private_key: str, key_id: str, issuer_id: str, bundle_id: str) -> str:
    """The developer's token for the API."""
    client = AppStoreServerAPIClient(
        private_key.encode(), key_id, issuer_id, bundle_id, Environment.SANDBOX
    )
    return str(client._generate_token())  # noqa: SLF001 - nothing else gives it


if __name__ == "__main__":
    serve({"verify": verify, "token": token})
