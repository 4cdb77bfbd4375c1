"""Which providers are live: registered by hand, so that one look says what can move money."""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol, get_args

import httpx
from pydantic import BaseModel, SecretStr

from domain.errors import InvalidRequest
from domain.payment import Payment
from providers.alipay import provider as alipay
from providers.alipay.config import AlipayConfig
from providers.apple_iap import provider as apple_iap
from providers.apple_iap.config import AppleIapConfig
from providers.base import ChannelRules, Provider
from providers.unionpay import provider as unionpay
from providers.unionpay.config import UnionpayConfig
from providers.wechatpay import provider as wechatpay
from providers.wechatpay.config import WechatpayConfig

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
    "apple_iap": apple_iap.build,
}

CONFIGURATIONS: dict[str, type[BaseModel]] = {
    "alipay": AlipayConfig,
    "wechatpay": WechatpayConfig,
    "unionpay": UnionpayConfig,
    "apple_iap": AppleIapConfig,
}


def secret_fields(provider: str) -> frozenset[str]:
    """The keys of an account that its provider's configuration declares as secrets."""
    if provider not in CONFIGURATIONS:
        return frozenset()
    fields = CONFIGURATIONS[provider].model_fields
    return frozenset(
        name
        for name, field in fields.items()
        if SecretStr in (field.annotation, *get_args(field.annotation))
    )


# What an account is at its provider, whatever it is called here. A WeChat Pay merchant may have
# several apps, a UnionPay merchant several terminals; elsewhere two names of one would be notified
# of, and granted, the same things.
_IDENTITY = {
    "alipay": ("app_id",),
    "wechatpay": ("mchid", "appid"),
    "unionpay": ("mer_id", "terminal_id"),
    "apple_iap": ("bundle_id",),
}

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
        if name not in BUILDERS:
            raise ValueError(f"no provider is called {name!r}; known: {', '.join(BUILDERS)}")
        _refuse_twins(name, entries)
        for entry in entries:
            account = str(entry.get("name", ""))
            if MERCHANTS in entry:
                owners[name, account] = _owners(name, account, entry[MERCHANTS])
            providers.append(
                BUILDERS[name](
                    {key: value for key, value in entry.items() if key != MERCHANTS},
                    http=http,
                    clock=clock,
                    notify_url=f"{public_url}/notify/{name}/{account}",
                    return_url=f"{public_url}/return/{name}/{account}",
                )
            )
    return Registry(providers, owners)


def _refuse_twins(provider: str, entries: Sequence[Mapping[str, Any]]) -> None:
    """Raise ValueError where two names stand for one account at the provider."""
    known: dict[tuple[str, ...], str] = {}
    for entry in entries:
        identity = tuple(_value(provider, entry, key) for key in _IDENTITY[provider])
        account = str(entry.get("name", ""))
        if known.setdefault(identity, account) != account:
            fields = " and ".join(_IDENTITY[provider])
            raise ValueError(
                f"the {provider} accounts {known[identity]!r} and {account!r} have the same"
                f" {fields}: keep one of them"
            )


def _value(provider: str, entry: Mapping[str, Any], key: str) -> str:
    field = CONFIGURATIONS[provider].model_fields[key]
    return str(entry.get(key, "" if field.is_required() else field.default))


def _owners(provider: str, account: str, value: object) -> frozenset[str]:
    if not isinstance(value, list) or not all(isinstance(one, str) and one for one in value):
        raise ValueError(
            f"{provider} account {account!r}: merchants must be a list of merchants' ids;"
            " leave it out where every merchant may use the account"
        )
    return frozenset(value)
