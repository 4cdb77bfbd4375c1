"""What one UnionPay account must be told; parsed and checked once, when the process starts."""

from typing import Literal, Self

from pydantic import BaseModel, ConfigDict, Field, SecretStr, field_validator, model_validator

from providers.base import AccountName

PROVIDER = "unionpay"


class UnionpayConfig(BaseModel):
    """One merchant at UnionPay (ACP 5.1.0), which is merchant and acquirer in one (accessType 0).

    `sign_method` 01 takes `pfx` (the merchant's PKCS#12 file in base64), its password and the two
    certificates of UnionPay's chain; 11 (SHA-256) and 12 (SM3) take `secure_key` instead.
    `mode` is what the app's SDK is told: 00 production, 01 UnionPay's test environment. `undo`
    gives a whole payment back on its settlement day at once, by consume-undo. `terminal_id` goes
    with barcode payments. Timeouts are seconds. An unknown field is an error.
    """

    model_config = ConfigDict(frozen=True, extra="forbid", hide_input_in_errors=True)

    name: AccountName
    base_url: str = Field(
        default="https://gateway.95516.com/gateway/api",
        pattern=r"^https?://[^\s/?#]+(/[^\s?#]*)?$",
    )
    mer_id: str = Field(pattern=r"^[0-9A-Za-z]{15}$")
    mode: Literal["00", "01"] = "00"
    sign_method: Literal["01", "11", "12"] = "01"
    pfx: SecretStr | None = None
    pfx_password: SecretStr | None = None
    root_certificate: str | None = None
    middle_certificate: str | None = None
    secure_key: SecretStr | None = None
    undo: bool = True
    terminal_id: str = Field(default="00000001", pattern=r"^[0-9A-Za-z]{8}$")
    connect_timeout: float = Field(default=3.0, gt=0)
    read_timeout: float = Field(default=10.0, gt=0)

    @field_validator("pfx", "pfx_password", "secure_key", mode="after")
    @classmethod
    def _without_the_files_end(cls, value: SecretStr | None) -> SecretStr | None:
        return value and SecretStr(value.get_secret_value().rstrip("\r\n"))

    @model_validator(mode="after")
    def _keys_fit_the_method(self) -> Self:
        files = (self.pfx, self.pfx_password, self.root_certificate, self.middle_certificate)
        if self.sign_method == "01":
            if not all(files) or self.secure_key:
                raise ValueError(
                    "sign_method 01 takes pfx, pfx_password, root_certificate and"
                    " middle_certificate, and no secure_key"
                )
        elif not self.secure_key or any(files):
            raise ValueError(f"sign_method {self.sign_method} takes secure_key alone")
        return self
