"""What the registry and mode production must know of Alipay."""

from collections.abc import Iterator

from providers.alipay.certificates import root_serial_number
from providers.alipay.config import AlipayConfig
from providers.alipay.provider import build
from providers.kit.registration import TEST_NAME, Account, Registration, Unfit, certificates

# Of the root file that Alipay's console hands out.
_ROOTS = "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6"


def _unfit(account: Account) -> Iterator[Unfit]:
    for key in ("app_cert", "alipay_cert", "alipay_root_cert"):
        names = [found.issuer.rfc4514_string() for found in certificates(account, key)]
        if key != "app_cert":
            # The subject of an app's certificate is the merchant, who may be called anything.
            names += [found.subject.rfc4514_string() for found in certificates(account, key)]
        tested = next(filter(TEST_NAME.search, names), None)
        if tested is not None:
            advice = "Download the file again from the console of the production app."
            yield Unfit(key, f"{tested} is of a test environment", advice)
    roots = certificates(account, "alipay_root_cert")
    if roots and root_serial_number(roots) != _ROOTS:
        found, advice = "it is not Alipay's known root file", "Compare it with a fresh download."
        yield Unfit("alipay_root_cert", found, advice, is_warning=True)


REGISTRATION = Registration(
    build=build,
    configuration=AlipayConfig,
    identity=("app_id",),
    endpoints=("gateway_url",),
    test_hosts=("alipaydev.com",),
    unfit=_unfit,
)
