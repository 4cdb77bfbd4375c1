"""What mode production refuses: a provider's sandbox, its test keys, and addresses without TLS.

Pure but for `checked_settings`, which a process calls at its start, and `exposed_files`. What is
of a provider's test environment stands in its `registration.py`.
"""

import logging
import os
import stat
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

import httpx

from providers.kit.registration import Account, Registration, Unfit
from providers.registry import PROVIDERS
from settings import Mode, Settings
from webhooks.targets import may_be_public

Accounts = Mapping[str, Sequence[Account]]

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


def _of_account(provider: str, account: Account) -> Iterator[Problem]:
    section = f"[[{provider}]] {account.get('name', 'without a name')}"
    # An unknown name is for the registry to refuse.
    registration = PROVIDERS.get(provider)
    if registration is None:
        return
    for fault in [*_endpoints(registration, account), *registration.unfit(account)]:
        setting = f"{section}, {fault.key}"
        yield Problem(setting, fault.found, fault.advice, is_warning=fault.is_warning)


def _endpoints(registration: Registration, account: Account) -> Iterator[Unfit]:
    advice = "Leave it out: the default is the provider's production address."
    for key in registration.endpoints:
        url = account.get(key)
        if not isinstance(url, str):
            continue
        for found in _address_faults(url):
            yield Unfit(key, found, advice)
        parts = _parsed(url)
        if (
            parts is not None
            and key not in registration.test_endpoints
            and _is_test(registration, parts)
        ):
            yield Unfit(key, f"{parts.host} is the provider's test environment", advice)


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


def _is_test(registration: Registration, url: httpx.URL) -> bool:
    host = url.host.rstrip(".").lower()
    is_named = any(f".{host}".endswith(f".{test}") for test in registration.test_hosts)
    return is_named or "sandbox" in url.path.lower()


def _parsed(url: str) -> httpx.URL | None:
    try:
        return httpx.URL(url)
    except httpx.InvalidURL:
        return None
