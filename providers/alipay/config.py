"""What an Alipay account is configured with: one app, its keys, and how long to wait."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from providers.base import AccountName

PROVIDER = "alipay"
CODECS = {"utf-8": "utf-8", "gbk": "gb18030", "gb2312": "gb18030", "gb18030": "gb18030"}
"""Alipay's charset names and Python's codec: GB 18030 contains the two older ones."""


class AlipayConfig(BaseModel):
    """One app at Alipay, in one of two modes.

    Public-key mode takes `alipay_public_key` (Alipay's, not the app's own), certificate mode the
    three certificate files' texts. Keys may be PEM or bare base64, PKCS#1 or PKCS#8. `aes_key`
    turns content encryption on and is base64 of 16 bytes. `credit_pay_modes` are the kinds of
    credit payment that the merchant has signed for (`creditAdvanceV2`): the buyer pays later, and
    Alipay charges by agreement. A payment in any other is for an operator. Timeouts are seconds.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: AccountName
    app_id: str = Field(min_length=1, max_length=32)
    seller_id: str = Field(pattern=r"^2088\d{12}$")
    gateway_url: str = Field(
        default="https://openapi.alipay.com/gateway.do", pattern=r"^https?://[^?#]+$"
    )
    app_private_key: SecretStr
    alipay_public_key: str | None = None
    app_cert: str | None = None
    alipay_cert: str | None = None
    alipay_root_cert: str | None = None
    aes_key: SecretStr | None = None
    charset: Literal["utf-8", "gbk"] = "utf-8"
    credit_pay_modes: tuple[str, ...] = ()
    connect_timeout: float = Field(default=3.0, gt=0)
    read_timeout: float = Field(default=10.0, gt=0)

    @field_validator("charset", mode="before")
    @classmethod
    def _lower_case(cls, value: object) -> object:
        return value.lower() if isinstance(value, str) else value

    @model_validator(mode="after")
    def _one_mode(self) -> Self:
        certificates = (self.app_cert, self.alipay_cert, self.alipay_root_cert)
        if self.alipay_public_key:
            if any(certificates):
                raise ValueError("give alipay_public_key or the three certificates, not both")
        elif not all(certificates):
            raise ValueError(
                "give alipay_public_key, or all of app_cert, alipay_cert and alipay_root_cert"
            )
        return self

    @property
    def codec(self) -> str:
        """Python's name of the charset."""
        return CODECS[self.charset]
