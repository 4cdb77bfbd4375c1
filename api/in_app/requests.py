"""Requests about what a store sells."""

from typing import Literal

from pydantic import Field

from api.http.text import Text
from api.in_app.schemas import SignedTransaction, TransactionId
from api.schemas import Body
from domain.consumption import Consumption, Delivery, RefundPreference


class VerifyRequest(Body):
    """The proof of a purchase that the store gave to your app."""

    signed_transaction: SignedTransaction = Field(description="StoreKit's `jwsRepresentation`.")


class RestoreRequest(Body):
    """What the app restores: its signed transactions, or the number of any one of them."""

    provider: Text | None = Field(default=None, max_length=32, description="Else the only store.")
    account: Text | None = Field(default=None, max_length=64, description="Else the first.")
    signed_transactions: list[SignedTransaction] = Field(default_factory=list, max_length=50)
    transaction_id: TransactionId | None = None


class ConsumptionRequest(Body):
    """What became of a purchase whose buyer wants the money back from the store."""

    customer_consented: Literal[True] = Field(
        description="Without the buyer's consent, nothing may be sent."
    )
    transaction_id: TransactionId | None = Field(
        default=None, description="Of a later period; else what the payment bought."
    )
    delivery: Delivery = Delivery.DELIVERED
    consumed: int | None = Field(
        default=None, strict=True, ge=0, le=100_000, description="Thousandths of a percent."
    )
    sample_provided: bool = Field(default=False, description="It could be tried before.")
    refund_preference: RefundPreference | None = None

    def to_domain(self) -> Consumption:
        """The domain's consumption."""
        return Consumption(**self.model_dump(exclude={"customer_consented", "transaction_id"}))
