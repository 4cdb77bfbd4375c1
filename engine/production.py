"""What mode production refuses: a provider's sandbox, its test keys, and addresses without TLS.

Pure but for `checked_settings`, which a process calls at its start, and `exposed_files`. The hosts,
numbers and names of the providers' test environments are those of their documents.
"""

import logging
import os
import re
import stat
import warnings
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, NamedTuple

import httpx
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning

from providers.alipay.certificates import load_certificates, root_serial_number
from settings import Mode, Settings
from webhooks.targets import may_be_public

Account = Mapping[str, Any]
Accounts = Mapping[str, Sequence[Account]]

# The keys of an account that are addresses, by provider.
ENDPOINTS = {
    "alipay": ("gateway_url",),
    "wechatpay": ("base_url",),
    "unionpay": ("base_url",),
    "apple_iap": ("base_url", "sandbox_base_url"),
}
# A host, or the domain that every host of a test environment is in.
_TEST_HOSTS = {
    "alipay": ("alipaydev.com",),
    "unionpay": ("test.95516.com", "101.231.204.80"),
    "apple_iap": ("storekit-sandbox.apple.com", "storekit-sandbox.itunes.apple.com"),
}
# A production app's test purchases are looked up there: that key alone may name Apple's sandbox.
_FOR_TEST_PURCHASES = "sandbox_base_url"
_UNIONPAY_TEST_MODE = "01"
_UNIONPAY_TEST_MERCHANTS = ("777290058110048", "777290058110097", "700000000000001")
_UNIONPAY_TEST_PREFIX = "777"
_UNIONPAY_TEST_KEY = "88888888"
_UNIONPAY_AUTHORITY = "China Financial Certification Authority"
# Of the root file that Alipay's console hands out.
_ALIPAY_ROOTS = "687b59193f3f462dd5336e5abf83c5d8_02941eef3187dddf3d3b83462e1dfcf6"
_APPLE_PRODUCTION = "Production"
_TEST_NAME = re.compile(r"\b(test|sandbox)\b", re.IGNORECASE)

_log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Problem:
    """One setting that does not belong in production; never quotes a secret.

    `setting` is the variable, or the account's section, name and key; `advice` says what to write
    instead. A warning does not keep a process from starting.
    """

    setting: str
    found: str
    advice: str
    is_warning: bool = False

    def __str__(self) -> str:
        return f"{self.setting}: {self.found}. {self.advice}"


def checked_settings() -> Settings:
    """Return this process's settings, once mode production has nothing against them.

    Raises SystemExit that names every problem at once; warnings are logged.
    """
    settings = Settings()
    if settings.mode is not Mode.PRODUCTION:
        return settings
    problems = production_problems(settings, settings.read_accounts())
    warned = [*problems, *unknown_peers(settings), *exposed_files(settings.secret_files())]
    for warning in warned:
        if warning.is_warning:
            _log.warning("%s", warning)
    refused = [str(problem) for problem in problems if not problem.is_warning]
    if refused:
        raise SystemExit(
            "\n- ".join(["PAYSAGA_MODE=production does not start with these settings:", *refused])
            + "\nNothing was started. PAYSAGA_MODE=sandbox takes them, and is for a sandbox alone."
        )
    return settings


def production_problems(settings: Settings, accounts: Accounts) -> list[Problem]:
    """Return everything that mode production has against these settings and accounts.

    `accounts` is what `Settings.read_accounts` returns. Empty in mode sandbox.
    """
    if settings.mode is not Mode.PRODUCTION:
        return []
    problems = [*_public_url(settings.public_url), *_ui_origin(settings.ui_origin)]
    for provider, entries in accounts.items():
        for account in entries:
            problems += _of_account(provider, account)
    return problems


def unknown_peers(settings: Settings) -> list[Problem]:
    """Return a warning where nothing says from which address a request came to the proxy."""
    if settings.peer_header is not None:
        return []
    return [
        Problem(
            "PAYSAGA_PEER_HEADER",
            "not set: behind a reverse proxy all callers without a credential share one address,"
            " and a flood of one delays genuine notifications",
            "Name the header that the proxy sets (X-Forwarded-For, X-Real-IP), and its networks in"
            " PAYSAGA_TRUSTED_PROXIES.",
            is_warning=True,
        )
    ]


def exposed_files(paths: Iterable[Path]) -> list[Problem]:
    """Return a warning for each file with secrets that every user of this machine can read.

    A read-only mount is a container's own: no other user lives there.
    """
    return [
        Problem(
            str(path),
            "every user of this machine can read it",
            f"Close it: chmod o-rwx {path}.",
            is_warning=True,
        )
        for path in paths
        if path.exists() and _is_open_to_all(path)
    ]


def _is_open_to_all(path: Path) -> bool:
    if os.statvfs(path).f_flag & os.ST_RDONLY:
        return False
    found = path.resolve()
    reachable = all(folder.stat().st_mode & stat.S_IXOTH for folder in found.parents)
    return reachable and bool(found.stat().st_mode & stat.S_IROTH)


def _public_url(url: str) -> Iterator[Problem]:
    advice = (
        "Write the https address where providers and payers reach this API, such as"
        " https://pay.example.com, without a path's last slash, query or fragment."
    )
    for found in _address_faults(url):
        yield Problem("PAYSAGA_PUBLIC_URL", found, advice)
    if url.endswith("/") or "?" in url or "#" in url:
        yield Problem("PAYSAGA_PUBLIC_URL", "other addresses are built by adding to it", advice)


def _ui_origin(origin: str | None) -> Iterator[Problem]:
    """An operator's own machine may do without TLS: decrypted payloads do not leave it."""
    if origin is None:
        return
    parts = _parsed(origin)
    advice = "Write the origin of the Temporal UI, such as https://temporal.example.com."
    if parts is None or parts.scheme not in ("http", "https") or parts.raw_path != b"/":
        yield Problem("PAYSAGA_UI_ORIGIN", "it is not the origin of a web page", advice)
    elif parts.scheme == "http" and parts.host not in ("127.0.0.1", "::1", "localhost"):
        found = "decrypted payloads would travel without TLS"
        yield Problem("PAYSAGA_UI_ORIGIN", found, advice)


class _Fault(NamedTuple):
    """What is wrong with one key of an account."""

    key: str
    found: str
    advice: str
    is_warning: bool = False


def _of_account(provider: str, account: Account) -> Iterator[Problem]:
    section = f"[[{provider}]] {account.get('name', 'without a name')}"
    rule = _RULES.get(provider, _nothing_more)
    for fault in [*_endpoints(provider, account), *rule(account)]:
        setting = f"{section}, {fault.key}"
        yield Problem(setting, fault.found, fault.advice, is_warning=fault.is_warning)


def _endpoints(provider: str, account: Account) -> Iterator[_Fault]:
    advice = "Leave it out: the default is the provider's production address."
    for key in ENDPOINTS.get(provider, ()):
        url = account.get(key)
        if not isinstance(url, str):
            continue
        for found in _address_faults(url):
            yield _Fault(key, found, advice)
        parts = _parsed(url)
        if parts is not None and key != _FOR_TEST_PURCHASES and _is_test(provider, parts):
            yield _Fault(key, f"{parts.host} is the provider's test environment", advice)


def _unionpay(account: Account) -> Iterator[_Fault]:
    if account.get("mode") == _UNIONPAY_TEST_MODE:
        yield _Fault("mode", "01 is UnionPay's test mode", 'Leave it out, or write "00".')
    number, theirs = str(account.get("mer_id", "")), "Write that of your contract with UnionPay."
    if number in _UNIONPAY_TEST_MERCHANTS:
        yield _Fault("mer_id", f"{number} is a test merchant of UnionPay's documents", theirs)
    elif number.startswith(_UNIONPAY_TEST_PREFIX):
        found = f"{number} looks like a test merchant of open.unionpay.com"
        yield _Fault("mer_id", found, theirs, is_warning=True)
    if str(account.get("secure_key", "")).strip() == _UNIONPAY_TEST_KEY:
        found = "it is the test key of UnionPay's documents, with which anyone can sign"
        yield _Fault("secure_key", found, theirs)
    advice = "Use the certificates of UnionPay's production environment."
    for key in ("root_certificate", "middle_certificate"):
        for certificate in _certificates(account, key):
            name = certificate.subject.rfc4514_string()
            if _TEST_NAME.search(name):
                yield _Fault(key, f"{name} signs for a test environment", advice)
            elif _UNIONPAY_AUTHORITY not in name:
                found = f"{name} is not of CFCA, which certifies UnionPay"
                yield _Fault(key, found, advice, is_warning=True)


def _alipay(account: Account) -> Iterator[_Fault]:
    for key in ("app_cert", "alipay_cert", "alipay_root_cert"):
        names = [found.issuer.rfc4514_string() for found in _certificates(account, key)]
        if key != "app_cert":
            # The subject of an app's certificate is the merchant, who may be called anything.
            names += [found.subject.rfc4514_string() for found in _certificates(account, key)]
        tested = next(filter(_TEST_NAME.search, names), None)
        if tested is not None:
            advice = "Download the file again from the console of the production app."
            yield _Fault(key, f"{tested} is of a test environment", advice)
    roots = _certificates(account, "alipay_root_cert")
    if roots and root_serial_number(roots) != _ALIPAY_ROOTS:
        found, advice = "it is not Alipay's known root file", "Compare it with a fresh download."
        yield _Fault("alipay_root_cert", found, advice, is_warning=True)


def _apple(account: Account) -> Iterator[_Fault]:
    environment = account.get("environment", _APPLE_PRODUCTION)
    if environment != _APPLE_PRODUCTION:
        found = f"{environment} sells without money"
        yield _Fault("environment", found, 'Leave it out, or write "Production".')
    if account.get("root_certificate") is not None:
        found = "purchases would be accepted that Apple's root did not sign"
        yield _Fault("root_certificate", found, "Leave it out: Apple's own root is built in.")


def _nothing_more(_account: Account) -> Iterator[_Fault]:
    return iter(())


_RULES = {"alipay": _alipay, "unionpay": _unionpay, "apple_iap": _apple}


def _address_faults(url: str) -> Iterator[str]:
    """What keeps an address from being one on the open internet with TLS. Names its host alone."""
    parts = _parsed(url)
    if parts is None or not parts.host:
        yield "it is not a URL with a host"
        return
    if parts.scheme != "https":
        yield f"it begins with {parts.scheme}://, not with https://"
    if parts.userinfo:
        yield "it carries a user or password"
    if not may_be_public(parts.host):
        yield f"{parts.host} is not on the open internet"


def _is_test(provider: str, url: httpx.URL) -> bool:
    host = url.host.rstrip(".").lower()
    named = _TEST_HOSTS.get(provider, ())
    is_named = any(f".{host}".endswith(f".{test}") for test in named)
    return is_named or "sandbox" in url.path.lower()


def _parsed(url: str) -> httpx.URL | None:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        return None


def _certificates(account: Account, key: str) -> list[x509.Certificate]:
    """The certificates in a key's text; what cannot be read is for its provider to refuse."""
    text = account.get(key)
    if not isinstance(text, str):
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return load_certificates(text)
    except ValueError:
        return []
