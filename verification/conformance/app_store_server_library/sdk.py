"""How Apple's library is made to reach the sandbox, and to trust its root: nothing else."""

from pathlib import Path

from appstoreserverlibrary.api_client import AppStoreServerAPIClient
from appstoreserverlibrary.models.Environment import Environment
from appstoreserverlibrary.signed_data_verifier import SignedDataVerifier
from oracle import Sandbox

ENVIRONMENTS = {Environment.SANDBOX: "base_url", Environment.PRODUCTION: "production_url"}


def client(
    sandbox: Sandbox, environment: Environment = Environment.SANDBOX, **changes: str | bytes
) -> AppStoreServerAPIClient:
    """The client of the sandbox's app; the library has no parameter for an address."""
    section = sandbox.manifest["apple_iap"]
    app = section["apps"]["main"]
    settings = {
        "signing_key": Path(app["private_key_file"]).read_bytes(),
        "key_id": app["key_id"],
        "issuer_id": app["issuer_id"],
        "bundle_id": app["bundle_id"],
    }
    built = AppStoreServerAPIClient(**(settings | changes), environment=environment)
    built._base_url = section[ENVIRONMENTS[environment]]  # noqa: SLF001 - see above
    return built


def verifier(
    sandbox: Sandbox, environment: Environment = Environment.SANDBOX
) -> SignedDataVerifier:
    """The strict verifier, through its public constructor, with our root."""
    section = sandbox.manifest["apple_iap"]
    app = section["apps"]["main"]
    root = Path(section["root_certificate_file"]).read_bytes()
    return SignedDataVerifier([root], False, environment, app["bundle_id"], app["app_apple_id"])
