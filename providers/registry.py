"""Which providers are live: registered by hand, so that one look says what can move money."""

from collections.abc import Mapping, Sequence
from importlib import import_module
from typing import Any, get_args

import httpx
from pydantic import SecretStr

from domain.errors import InvalidRequest
from domain.payment import Payment
from providers.base import ChannelRules, Provider
from providers.kit.registration import Clock, Registration

# What can move money, in the order of documents and lists.
_NAMES = (
    "alipay",
    "wechatpay",
    "unionpay",
    "apple_iap",
)
PROVIDERS: dict[str, Registration] = {
    name: import_module(f"providers.{name}.registration").REGISTRATION for name in _NAMES
}


def secret_fields(provider: str) -> frozenset[str]:
    """The keys of an account that its provider's configuration declares as secrets."""
    if provider not in PROVIDERS:
        return frozenset()
    fields = PROVIDERS[provider].configuration.model_fields
    return frozenset(
        name
        for name, field in fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    )


# Of an account, and ours: no provider's own configuration has it.
MERCHANTS = "merchants"
# Who may name an account, by provider and account; who is not listed here is for every merchant.
Owners = Mapping[tuple[str, str], frozenset[str]]
_NO_OWNERS: Owners = {}


class Registry:
    """Every configured account, by provider and name; the first of a provider is its default."""

    def __init__(self, providers: Sequence[Provider], owners: Owners = _NO_OWNERS) -> None:
        self._owners = owners
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

    def channel_rules(self, payment: Payment) -> ChannelRules:
        """Return its channel's rules; the defaults where that is not configured any more."""
        found = self._accounts.get(payment.provider, {}).get(payment.account)
        return found.channels.get(payment.channel, ChannelRules()) if found else ChannelRules()

    def default_account(self, provider: str) -> str:
        """The account that a request which names none means; raises InvalidRequest."""
        return next(iter(self._of(provider)))

    def all(self) -> tuple[Provider, ...]:
        """Every account, in the order of the configuration."""
        return tuple(found for accounts in self._accounts.values() for found in accounts.values())

    def offered_to(self, merchant_id: str) -> "Registry":
        """The accounts that this merchant may name; for it, the others are not there."""
        return Registry([found for found in self.all() if self._is_for(found, merchant_id)])

    def _is_for(self, provider: Provider, merchant_id: str) -> bool:
        owners = self._owners.get((provider.name, provider.account))
        return owners is None or merchant_id in owners

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
    owners = {}
    for name, entries in accounts.items():
        if name not in PROVIDERS:
            raise ValueError(f"no provider is called {name!r}; known: {', '.join(PROVIDERS)}")
        _refuse_twins(name, entries)
        for entry in entries:
            account = str(entry.get("name", ""))
            if MERCHANTS in entry:
                owners[name, account] = _owners(name, account, entry[MERCHANTS])
            providers.append(
                PROVIDERS[name].build(
                    {key: value for key, value in entry.items() if key != MERCHANTS},
                    http=http,
                    clock=clock,
                    notify_url=f"{public_url}/notify/{name}/{account}",
                    return_url=f"{public_url}/return/{name}/{account}",
                )
            )
    return Registry(providers, owners)


def _refuse_twins(provider: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError where two names stand for one account at the provider.

    They would be notified of, and granted, the same things.
    """
    known: dict[tuple[str, ...], str] = {}
    for entry in entries:
        identity = tuple(_value(provider, entry, key) for key in PROVIDERS[provider].identity)
        account = str(entry.get("name", ""))
        if known.setdefault(identity, account) != account:
            fields = " and ".join(PROVIDERS[provider].identity)
            raise ValueError(
                f"the {provider} accounts {known[identity]!r} and {account!r} have the same"
                f" {fields}: keep one of them"
            )


def _value(provider: str, entry: Mapping[str, Any], key: str) -> str:
    field = PROVIDERS[provider].configuration.model_fields[key]
    return str(entry.get(key, "" if field.is_required() else field.default))


def _owners(provider: str, account: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(
            f"{provider} account {account!r}: merchants must be a list of merchants' ids;"
            " leave it out where every merchant may use the account"
        )
    return frozenset(value)
