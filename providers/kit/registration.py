"""What the registry, and a deployment's start, must know of a provider."""

import re
import warnings
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, NamedTuple, Protocol

import httpx
from cryptography import x509
from cryptography.utils import CryptographyDeprecationWarning
from pydantic import BaseModel

from providers.base import Provider
from providers.kit.certificates import load_certificates

Account = Mapping[str, Any]
Clock = Callable[[], datetime]
# In the names of a test environment's certificates.
TEST_NAME = re.compile(r"\b(test|sandbox)\b", re.IGNORECASE)


class Builder(Protocol):
    """Builds one account's provider from its configuration; raises ValueError."""

    def __call__(
        self,
        account: Account,
        *,
        http: httpx.AsyncClient,
        clock: Clock,
        notify_url: str,
        return_url: str | None = None,
    ) -> Provider:
        """`notify_url` and `return_url` are ours, as the provider will be told them."""
        ...


class Unfit(NamedTuple):
    """One key of an account that does not belong in production; never quotes a secret.

    `advice` says what to write instead. A warning does not keep a process from starting.
    """

    key: str
    found: str
    advice: str
    is_warning: bool = False


def _all_fit(_account: Account) -> Iterator[Unfit]:
    return iter(())


@dataclass(frozen=True, kw_only=True)
class Registration:
    """A provider as the registry has it.

    `identity` are the keys that say what an account is at its provider, whatever it is called
    here. `endpoints` are the keys that are addresses; mode production takes none in `test_hosts`
    (a host, or the domain of every host of a test environment), but for those of
    `test_endpoints`. `unfit` yields what else mode production has against an account.
    """

    build: Builder
    configuration: type[BaseModel]
    identity: tuple[str, ...]
    endpoints: tuple[str, ...]
    test_hosts: tuple[str, ...] = ()
    test_endpoints: tuple[str, ...] = ()
    unfit: Callable[[Account], Iterator[Unfit]] = _all_fit


def certificates(account: Account, key: str) -> list[x509.Certificate]:
    """Return the certificates in a key's text; none where it cannot be read."""
    text = account.get(key)
    if not isinstance(text, str):
        return []
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", CryptographyDeprecationWarning)
            return load_certificates(text)
    except ValueError:
        return []
