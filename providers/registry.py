"""Which providers are live: registered by hand, so that one look says what can move money."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

import httpx

from domain.errors import InvalidRequest
from providers.alipay import provider as alipay
from providers.base import Provider
from providers.unionpay import provider as unionpay
from providers.wechatpay import provider as wechatpay

Clock = Callable[[], datetime]


class Builder(Protocol):
    """Builds one account's provider from its configuration; raises ValueError."""

    def __call__(
        self,
        account: Mapping[str, Any],
        *,
        http: httpx.AsyncClient,
        clock: Clock,
        notify_url: str,
        return_url: str | None = None,
    ) -> Provider:
        """`notify_url` and `return_url` are ours, as the provider will be told them."""
        ...


BUILDERS: dict[str, Builder] = {
    "alipay": alipay.build,
    "wechatpay": wechatpay.build,
    "unionpay": unionpay.build,
}


class Registry:
    """Every configured account, by provider and name; the first of a provider is its default."""

    def __init__(self, providers: Sequence[Provider]) -> None:
        self._accounts: dict[str, dict[str, Provider]] = {}
        for provider in providers:
            accounts = self._accounts.setdefault(provider.name, {})
            if provider.account in accounts:
                raise ValueError(f"two {provider.name} accounts are called {provider.account!r}")
            accounts[provider.account] = provider

    def get(self, provider: str, account: str) -> Provider:
        """The account's provider; raises InvalidRequest naming the field that is wrong."""
        accounts = self._of(provider)
        if account not in accounts:
            raise InvalidRequest(f"There is no {provider} account {account!r}.", param="account")
        return accounts[account]

    def default_account(self, provider: str) -> str:
        """The account that a request which names none means; raises InvalidRequest."""
        return next(iter(self._of(provider)))

    def all(self) -> tuple[Provider, ...]:
        """Every account, in the order of the configuration."""
        return tuple(found for accounts in self._accounts.values() for found in accounts.values())

    def _of(self, provider: str) -> dict[str, Provider]:
        if provider not in self._accounts:
            known = ", ".join(self._accounts) or "none"
            raise InvalidRequest(
                f"There is no provider {provider!r}; configured: {known}.", param="provider"
            )
        return self._accounts[provider]


def build(
    accounts: Mapping[str, Sequence[Mapping[str, Any]]],
    *,
    http: httpx.AsyncClient,
    clock: Clock,
    public_url: str,
) -> Registry:
    """Build every configured account; raises ValueError where the configuration is wrong.

    `accounts` is what `Settings.read_accounts` returns; `public_url` has no trailing slash.
    """
    providers = []
    for name, entries in accounts.items():
        if name not in BUILDERS:
            raise ValueError(f"no provider is called {name!r}; known: {', '.join(BUILDERS)}")
        for entry in entries:
            place = f"{name}/{entry.get('name', '')}"
            providers.append(
                BUILDERS[name](
                    entry,
                    http=http,
                    clock=clock,
                    notify_url=f"{public_url}/notify/{place}",
                    return_url=f"{public_url}/return/{place}",
                )
            )
    return Registry(providers)
