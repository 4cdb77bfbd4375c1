"""What the registry and mode production must know of UnionPay."""

from collections.abc import Iterator

from providers.kit.registration import TEST_NAME, Account, Registration, Unfit, certificates
from providers.unionpay.config import UnionpayConfig
from providers.unionpay.provider import build

_TEST_MODE = "01"
_TEST_MERCHANTS = ("777290058110048", "777290058110097", "700000000000001")
_TEST_PREFIX = "777"
_TEST_KEY = "88888888"
_AUTHORITY = "China Financial Certification Authority"


def _unfit(account: Account) -> Iterator[Unfit]:
    if account.get("mode") == _TEST_MODE:
        yield Unfit("mode", "01 is UnionPay's test mode", 'Leave it out, or write "00".')
    number, theirs = str(account.get("mer_id", "")), "Write that of your contract with UnionPay."
    if number in _TEST_MERCHANTS:
        yield Unfit("mer_id", f"{number} is a test merchant of UnionPay's documents", theirs)
    elif number.startswith(_TEST_PREFIX):
        found = f"{number} looks like a test merchant of open.unionpay.com"
        yield Unfit("mer_id", found, theirs, is_warning=True)
    if str(account.get("secure_key", "")).strip() == _TEST_KEY:
        found = "it is the test key of UnionPay's documents, with which anyone can sign"
        yield Unfit("secure_key", found, theirs)
    advice = "Use the certificates of UnionPay's production environment."
    for key in ("root_certificate", "middle_certificate"):
        for certificate in certificates(account, key):
            name = certificate.subject.rfc4514_string()
            if TEST_NAME.search(name):
                yield Unfit(key, f"{name} signs for a test environment", advice)
            elif _AUTHORITY not in name:
                found = f"{name} is not of CFCA, which certifies UnionPay"
                yield Unfit(key, found, advice, is_warning=True)


REGISTRATION = Registration(
    build=build,
    configuration=UnionpayConfig,
    # A merchant may have several terminals.
    identity=("mer_id", "terminal_id"),
    endpoints=("base_url",),
    test_hosts=("test.95516.com", "101.231.204.80"),
    unfit=_unfit,
)
