"""Who pays, as far as a channel must know it."""

from pydantic import Field

from domain.frozen import Frozen


class Payer(Frozen):
    """What a channel must know of the payer. Never stored, never searchable, never logged.

    `open_id` is the payer's id at the provider (WeChat openid, Alipay buyer_open_id), `buyer_id`
    Alipay's older user id, `auth_code` the code on the payer's screen for `barcode`, `client_ip`
    the payer's address for browser channels.
    """

    open_id: str | None = Field(default=None, max_length=128)
    buyer_id: str | None = Field(default=None, max_length=32)
    auth_code: str | None = Field(default=None, pattern=r"^\d{16,24}$")
    client_ip: str | None = Field(default=None, max_length=45)
