"""What one WeChat Pay account must be told; parsed and checked once, when the process starts."""

from functools import cached_property
from typing import Annotated, Literal, Self

from cryptography.hazmat.primitives.asymmetric.rsa import RSAPrivateKey, RSAPublicKey
from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from providers.base import AccountName
from providers.wechatpay.signing import load_private_key, load_public_key

PROVIDER = "wechatpay"
API_V3_KEY_BYTES = 32


class WechatpayConfig(BaseModel):
    """One WeChat Pay merchant account (API v3).

    Verification keys: `public_key_id` with `public_key` (PEM), or `platform_certificates = true`
    to download WeChat Pay's certificates, or both while an account migrates from one to the other.
    `merchant_serial` is the API certificate's serial as the console shows it (upper-case hex,
    leading zeros kept). `store_id` goes with barcode payments, which WeChat Pay ties to a shop.
    Timeouts are seconds. An unknown field is an error: a misspelt key would weaken verification.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: AccountName
    base_url: str = Field(
        default="https://api.mch.weixin.qq.com", pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$"
    )
    mchid: str = Field(pattern=r"^[0-9]{1,32}$")
    appid: str = Field(pattern=r"^[0-9A-Za-z_-]{1,32}$")
    api_v3_key: SecretStr
    merchant_serial: str = Field(pattern=r"^[0-9A-F]{1,40}$")
    merchant_private_key: SecretStr
    public_key_id: str | None = Field(default=None, pattern=r"^PUB_KEY_ID_[0-9A-Za-z]+$")
    public_key: str | None = None
    platform_certificates: bool = False
    h5_type: Literal["Wap", "iOS", "Android"] = "Wap"
    store_id: Annotated[str, Field(min_length=1, max_length=32)] = "1"
    connect_timeout: float = Field(default=3.0, gt=0)
    timeout: float = Field(default=8.0, gt=0)

    @field_validator("api_v3_key", "merchant_private_key", mode="after")
    @classmethod
    def _without_line_end(cls, value: SecretStr) -> SecretStr:
        # A secret read from a file usually ends with the editor's newline.
        return SecretStr(value.get_secret_value().strip())

    @field_validator("api_v3_key", mode="after")
    @classmethod
    def _is_aes_256(cls, value: SecretStr) -> SecretStr:
        if len(value.get_secret_value().encode()) != API_V3_KEY_BYTES:
            raise ValueError(f"an API v3 key is exactly {API_V3_KEY_BYTES} bytes")
        return value

    @model_validator(mode="after")
    def _keys_are_good(self) -> Self:
        if (self.public_key_id is None) != (self.public_key is None):
            raise ValueError("public_key_id and public_key come together")
        _ = self.private_key
        if not (self.public_keys or self.platform_certificates):
            raise ValueError("name a public key, or set platform_certificates = true")
        return self

    @cached_property
    def private_key(self) -> RSAPrivateKey:
        """What we sign with; parsing checks the key, which is slow, so it is done once."""
        return load_private_key(self.merchant_private_key.get_secret_value())

    @cached_property
    def public_keys(self) -> dict[str, RSAPublicKey]:
        """WeChat Pay's public key by its id, where the account has one."""
        if self.public_key_id is None or self.public_key is None:
            return {}
        return {self.public_key_id: load_public_key(self.public_key)}
