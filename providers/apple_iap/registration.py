"""What the registry and mode production must know of the App Store."""

from collections.abc import Iterator

from providers.apple_iap.config import AppleIapConfig, Environment
from providers.apple_iap.provider import build
from providers.kit.registration import Account, Registration, Unfit


def _unfit(account: Account) -> Iterator[Unfit]:
    environment = account.get("environment", Environment.PRODUCTION)
    if environment != Environment.PRODUCTION:
        found = f"{environment} sells without money"
        yield Unfit("environment", found, 'Leave it out, or write "Production".')
    if account.get("root_certificate") is not None:
        found = "purchases would be accepted that Apple's root did not sign"
        yield Unfit("root_certificate", found, "Leave it out: Apple's own root is built in.")


REGISTRATION = Registration(
    build=build,
    configuration=AppleIapConfig,
    identity=("bundle_id",),
    endpoints=("base_url", "sandbox_base_url"),
    test_hosts=("storekit-sandbox.apple.com", "storekit-sandbox.itunes.apple.com"),
    # A production app's test purchases are looked up there.
    test_endpoints=("sandbox_base_url",),
    unfit=_unfit,
)
