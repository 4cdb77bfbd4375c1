"""The shapes on the App Store's wire, read strictly; `mapping.py` says what they mean.

Only fields that are used are named, for new ones will appear; those that decide nothing are read
tolerantly. What a field may say is left open too, or a new value would make the whole message
unreadable.
"""

from datetime import datetime
from typing import Annotated, Any, TypeVar

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, ValidationError
from pydantic.alias_generators import to_camel

from providers.apple_iap.signing import Undocumented, instant
from providers.kit.fields import Informational, without_null

Instant = Annotated[datetime, BeforeValidator(instant)]
Text = Annotated[str, Field(min_length=1, max_length=255)]


def _whole_or_none(value: object) -> int | None:
    return value if type(value) is int else None


class Wire(BaseModel):
    """One JSON object: no coercion, values kept out of error messages."""

    model_config = ConfigDict(
        frozen=True,
        strict=True,
        extra="ignore",
        hide_input_in_errors=True,
        alias_generator=to_camel,
    )


class Transaction(Wire):
    """JWSTransactionDecodedPayload."""

    transaction_id: Text
    original_transaction_id: Text
    bundle_id: Text
    product_id: Text
    type: Text
    environment: Text
    purchase_date: Instant
    signed_date: Instant
    app_account_token: str | None = None
    quantity: Annotated[int, BeforeValidator(without_null(default=1)), Field(ge=1, lt=2**31)] = 1
    in_app_ownership_type: str | None = None
    expires_date: Instant | None = None
    revocation_date: Instant | None = None
    revocation_type: str | None = None
    revocation_percentage: int | None = None
    is_upgraded: Annotated[bool, BeforeValidator(without_null(default=False))] = False
    offer_type: int | None = None
    offer_discount_type: str | None = None
    transaction_reason: str | None = None
    price: int | None = None
    currency: str | None = None
    storefront: Informational = None


class Renewal(Wire):
    """JWSRenewalInfoDecodedPayload."""

    environment: Text
    auto_renew_status: Annotated[int | None, BeforeValidator(_whole_or_none)] = None
    grace_period_expires_date: Instant | None = None


class Data(Wire):
    """What a notification is about: an app, and mostly one transaction."""

    bundle_id: str | None = None
    app_apple_id: int | None = None
    environment: str | None = None
    signed_transaction_info: str | None = None
    signed_renewal_info: str | None = None
    consumption_request_reason: Informational = None


# Where a notification says what it is about, by their names on the wire.
NOTIFIED_PLACES = ("data", "summary", "externalPurchaseToken", "appData")


class Message(Wire):
    """responseBodyV2DecodedPayload; what it is about stands in one of four places."""

    notification_type: Text
    subtype: str | None = None
    notification_uuid: Text = Field(alias="notificationUUID")
    signed_date: Instant
    data: Data | None = None
    summary: Data | None = None
    external_purchase_token: Data | None = None
    app_data: Data | None = None

    @property
    def about(self) -> Data:
        """Which app, whatever kind of message it is."""
        places = (self.data, self.summary, self.external_purchase_token, self.app_data)
        return next((place for place in places if place is not None), Data())


Model = TypeVar("Model", bound=Wire)


def shaped(model: type[Model], payload: dict[str, Any]) -> Model:
    """The payload as the model; raises Undocumented."""
    try:
        return model.model_validate(payload)
    except ValidationError as error:
        wrong = ", ".join(".".join(map(str, one["loc"])) for one in error.errors())
        raise Undocumented(f"not the documented form: {wrong}") from None
