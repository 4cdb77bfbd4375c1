"""What one app in the App Store must be told; parsed and checked once, when the process starts."""

from enum import StrEnum
from typing import Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from domain.payment import Payment
from domain.purchase import Purchase
from providers.base import AccountName

PROVIDER = "apple_iap"
# The key of a payment's metadata by which the merchant's server names one of its testers.
TESTER = "tester"
_ADDRESS = r"^https?://[^\s/?#]+(/[^\s?#]*)?$"


class Environment(StrEnum):
    """Where the App Store sells. Xcode's and a local test's own words are nobody's proof."""

    PRODUCTION = "Production"
    SANDBOX = "Sandbox"


_APPLE = {
    Environment.PRODUCTION: "https://api.storekit.apple.com",
    Environment.SANDBOX: "https://api.storekit-sandbox.apple.com",
}


# As long as a value of a payment's metadata may be.
_LONGEST_TESTER = 500
_TAKES_ALL = "a Sandbox account takes every test purchase: leave sandbox_testers out"


def app_name(bundle_id: str, environment: str) -> str:
    """The name of an app in one environment, in which transaction ids are unique."""
    return f"{bundle_id}/{environment}"


class AppleIapConfig(BaseModel):
    """One app: its identity, its In-App Purchase key, and whose signature it trusts.

    `app_apple_id` is the app's number in the store (App Store Connect), wanted for Production.
    `private_key` is the text of the `.p8` file. `root_certificate` (PEM, or DER in base64) stands
    in for Apple Root CA - G3 at a sandbox and is refused for Production. A Production account
    takes purchases made in Apple's sandbox (TestFlight, App Review) for those payments alone whose
    `metadata["tester"]` is one of `sandbox_testers`; by default for none. `base_url` stands in for
    the API of the account's own environment, `sandbox_base_url` for the sandbox's beside
    Production's. Timeouts are seconds. An unknown field is an error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: AccountName
    environment: Environment = Environment.PRODUCTION
    bundle_id: str = Field(pattern=r"^[A-Za-z0-9.-]{1,155}$")
    app_apple_id: int | None = Field(default=None, gt=0)
    issuer_id: str = Field(min_length=1)
    key_id: str = Field(min_length=1)
    private_key: SecretStr
    root_certificate: str | None = None
    sandbox_testers: frozenset[str] = frozenset()
    base_url: str | None = Field(default=None, pattern=_ADDRESS)
    sandbox_base_url: str | None = Field(default=None, pattern=_ADDRESS)
    connect_timeout: float = Field(default=3.0, gt=0)
    read_timeout: float = Field(default=10.0, gt=0)

    @field_validator("sandbox_testers")
    @classmethod
    def _names_testers(cls, testers: frozenset[str]) -> frozenset[str]:
        if any(not name.strip() or len(name) > _LONGEST_TESTER for name in testers):
            raise ValueError(
                f"a tester's name has 1 to {_LONGEST_TESTER} characters, not all blank"
            )
        return testers

    @model_validator(mode="after")
    def _fits_the_environment(self) -> Self:
        if self.environment is Environment.PRODUCTION:
            if self.root_certificate is not None:
                raise ValueError("Production trusts Apple's root alone: leave root_certificate out")
            if self.app_apple_id is None:
                raise ValueError("Production needs app_apple_id, the app's number in the store")
        elif self.sandbox_base_url is not None:
            raise ValueError("a Sandbox account's own address is base_url")
        elif self.sandbox_testers:
            raise ValueError(_TAKES_ALL)
        return self

    @property
    def environments(self) -> tuple[Environment, ...]:
        """Whose API is asked, its own first."""
        if self.environment is Environment.PRODUCTION and self.sandbox_testers:
            return (Environment.PRODUCTION, Environment.SANDBOX)
        return (self.environment,)

    @property
    def signers(self) -> tuple[Environment, ...]:
        """Whose signed texts are read: Production reads the sandbox's to refuse them by name."""
        if self.environment is Environment.PRODUCTION:
            return (Environment.PRODUCTION, Environment.SANDBOX)
        return (self.environment,)

    def takes(self, purchase: Purchase, payment: Payment) -> bool:
        """Whether the purchase is real here, or a test one of a listed tester's payment."""
        if not purchase.test_in_production:
            return True
        return payment.metadata.get(TESTER) in self.sandbox_testers

    def app(self, environment: Environment) -> str:
        """The identity of what is sold there: Apple's transaction ids belong to it."""
        return app_name(self.bundle_id, environment)

    def address(self, environment: Environment) -> str:
        """Where the environment's API is, without a trailing slash."""
        own = self.base_url if environment is self.environment else self.sandbox_base_url
        return (own or _APPLE[environment]).rstrip("/")
