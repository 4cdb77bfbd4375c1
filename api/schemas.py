"""What merchants send and get. Amounts are minor units (fen), times RFC 3339 in UTC."""

import json
from datetime import UTC, datetime
from typing import Any, Self
from uuid import UUID

from pydantic import BaseModel, ConfigDict, Field, model_validator
from pydantic_core import PydanticCustomError

from api.http.fields import MOST_METADATA, Address, Metadata, OrderNo, WebUrl
from api.http.problems import Answer
from api.http.text import Text, printable
from api.in_app.schemas import EntitlementFields
from domain.checkout import Checkout
from domain.entitlement import Entitlement
from domain.event import DeliveryStatus, Event, EventType
from domain.money import Amount, Currency
from domain.payment import Channel, Failure, Payer, Payment, PaymentStatus
from domain.purchase import Offer
from domain.refund import Refund, RefundCause, RefundStatus
from domain.report import Attention

UNKNOWN_FIELD = "unknown_field"


class Body(BaseModel):
    """A request's body. An unknown field is a mistake that would cost the sender dearly later."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    @model_validator(mode="before")
    @classmethod
    def _name_the_unknown(cls, data: Any) -> Any:
        # Anything may stand where an object belongs; what does not is the model's to refuse.
        names = data if isinstance(data, dict) else ()
        # The first is enough: a body may hold very many.
        unknown = next((name for name in names if name not in cls.model_fields), None)
        if unknown is not None:
            raise PydanticCustomError(
                UNKNOWN_FIELD,
                "unknown field; allowed here: {allowed}",
                {"field": printable(str(unknown)), "allowed": ", ".join(cls.model_fields)},
            )
        return data

    def canonical(self) -> str:
        """The request as one JSON text, however it was written; defaults do not count."""
        request = self.model_dump(mode="json", exclude_defaults=True)
        return json.dumps(request, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


class PayerRequest(Body):
    """What the channel needs to know of the payer; the error names what is missing."""

    open_id: Text | None = Field(default=None, max_length=128, description="For `jsapi`.")
    buyer_id: Text | None = Field(
        default=None, max_length=32, description="Alipay's older user id."
    )
    auth_code: str | None = Field(
        default=None, pattern=r"^[0-9]{16,24}$", description="The code on the payer's screen."
    )
    client_ip: Address | None = Field(default=None, description="The payer's own address.")

    def to_domain(self) -> Payer:
        """The domain's payer."""
        return Payer(**self.model_dump())


class PaymentRequest(Body):
    """A payment to make."""

    order_no: OrderNo
    provider: Text = Field(max_length=32, examples=["alipay"])
    account: Text | None = Field(
        default=None, max_length=64, description="Which account takes the money; else the first."
    )
    channel: Channel
    amount: Amount | None = Field(
        default=None, description="Required, but for a product: then it is the catalogue's."
    )
    currency: Currency = "CNY"
    subject: Text | None = Field(
        default=None,
        min_length=1,
        max_length=127,
        description="Required, but for a product: then it is its title.",
        examples=["Two tickets"],
    )
    product: Text | None = Field(
        default=None, max_length=255, description="What a store sells for you: for `iap` only."
    )
    quantity: int = Field(default=1, strict=True, ge=1, le=10, description="How many products.")
    payer: PayerRequest = PayerRequest()
    return_url: WebUrl | None = Field(
        default=None, description="Where the payer's browser goes afterwards (http or https)."
    )
    expires_in: int | None = Field(
        default=None, strict=True, gt=0, description="Seconds; else the channel's default."
    )
    metadata: Metadata = Field(
        default_factory=dict,
        max_length=MOST_METADATA,
        description="Yours; comes back in answers and events. At most 4,096 bytes together.",
    )


class CancelRequest(Body):
    """Why the payment is no longer wanted."""

    reason: Text = Field(default="cancelled by the merchant", min_length=1, max_length=200)


class RefundRequest(Body):
    """Money to give back."""

    amount: Amount | None = Field(default=None, description="Else all that is refundable.")
    reason: Text | None = Field(default=None, min_length=1, max_length=80)


class PaymentFields(BaseModel):
    """A payment as its merchant sees it; nothing of the payer."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    order_no: str
    provider: str
    account: str
    channel: Channel
    amount: int
    currency: str
    subject: str
    status: PaymentStatus
    checkout: Checkout | None = Field(description="What the payer needs next.")
    provider_reference: str | None
    captured: int = Field(description="What the payer paid; 0 for a test or free purchase.")
    refund_reserved: int = Field(description="Refunds under way.")
    refunded: int
    refundable: int
    paid_at: datetime | None
    late: bool = Field(description="Paid after we had closed it.")
    duplicate: bool = Field(description="The order was already paid by another payment.")
    attention: Attention | None = Field(description="Set where an operator must look.")
    failure: Failure | None
    return_url: str | None
    metadata: dict[str, str]
    product_id: str | None
    quantity: int
    test: bool = Field(description="Bought in the store's sandbox: no real money moved.")
    store_price: int | None = Field(description="In thousandths of `store_currency`.")
    store_currency: str | None
    offer: Offer | None = Field(description="Sold below the usual price, or for nothing.")
    created_at: datetime
    expires_at: datetime


class PaymentAnswer(PaymentFields, Answer):
    """One payment."""

    id: UUID
    entitlement: EntitlementFields | None = Field(
        default=None, description="Of a product that was paid for, when you read or verify it."
    )

    @classmethod
    def of(
        cls, payment: Payment, *, message: str = "OK", entitlement: Entitlement | None = None
    ) -> Self:
        """The answer that shows this payment."""
        return cls(
            **PaymentFields.model_validate(payment).model_dump(),
            result_msg=message,
            entitlement=entitlement and EntitlementFields.of(entitlement, datetime.now(UTC)),
        )


class RefundFields(BaseModel):
    """A refund as its merchant sees it."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    payment_id: UUID
    amount: int
    currency: str
    reason: str | None
    cause: RefundCause
    status: RefundStatus
    provider_reference: str | None
    refunded_at: datetime | None
    attention: Attention | None
    failure: Failure | None
    created_at: datetime


class RefundAnswer(RefundFields, Answer):
    """One refund."""

    id: UUID

    @classmethod
    def of(cls, refund: Refund, *, message: str = "OK") -> Self:
        """The answer that shows this refund."""
        return cls(**RefundFields.model_validate(refund).model_dump(), result_msg=message)


class EventFields(BaseModel):
    """An event as it was sent to the merchant, and whether it arrived."""

    model_config = ConfigDict(from_attributes=True)

    id: UUID
    type: EventType
    payment_id: UUID
    refund_id: UUID | None
    sequence: int = Field(description="Orders the events of one payment.")
    data: dict[str, Any]
    delivery: DeliveryStatus
    attempts: int
    delivered_at: datetime | None
    created_at: datetime


class ListAnswer(Answer):
    """A page of a list, newest first."""

    next_cursor: str | None = Field(
        default=None,
        description="Send it back as `cursor` for the next page; null on the last. A page with "
        "fewer items than `limit` is not the last where this is not null.",
    )


class PaymentList(ListAnswer):
    """A page of payments."""

    data: list[PaymentFields]


class RefundList(ListAnswer):
    """The refunds of one payment, all of them."""

    data: list[RefundFields]


class EventList(ListAnswer):
    """A page of events."""

    data: list[EventFields]

    @classmethod
    def of(cls, events: list[Event], next_cursor: str | None) -> Self:
        """The answer that shows these events."""
        data = [EventFields.model_validate(event) for event in events]
        return cls(data=data, next_cursor=next_cursor)
