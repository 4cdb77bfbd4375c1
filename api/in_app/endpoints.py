"""What a store sells for us: the catalogue, the proof of a purchase, and its restoring."""

from datetime import UTC, datetime
from http import HTTPStatus
from uuid import UUID

from fastapi import APIRouter, Request, Response

from api.dependencies import Deps
from api.http.authentication import AuthenticatedMerchant, OnlyMerchants
from api.http.openapi import problems
from api.http.problems import Answer
from api.in_app.consumption import send_consumption
from api.in_app.requests import ConsumptionRequest, RestoreRequest, VerifyRequest
from api.in_app.restore import restore_purchases
from api.in_app.schemas import (
    EntitlementFields,
    ProductFields,
    ProductList,
    RestoreAnswer,
    UnclaimedFields,
)
from api.in_app.verify import verify_purchase
from api.schemas import PaymentAnswer

router = APIRouter(tags=["purchases"])

_NOT_APPLIED = "The purchase is genuine and taken on; read the payment, or repeat this request."


@router.get(
    "/v1/products",
    summary="The catalogue",
    responses=problems(401, 503),
    dependencies=[OnlyMerchants],
)
async def list_products(dependencies: Deps) -> ProductList:
    """What may be bought through a store, in the order of the configuration.

    Ask the store for the prices to show: it leaves out what it does not know.
    """
    products = dependencies.catalogue.all()
    return ProductList(data=[ProductFields.model_validate(product) for product in products])


@router.post(
    "/v1/payments/{payment_id}/verify",
    summary="Prove a purchase",
    responses=problems(400, 401, 404, 409, 422, 503)
    | {202: {"model": PaymentAnswer, "description": "Genuine; it is not written down yet."}},
)
async def post_verify(  # noqa: PLR0913 - one argument is one part of the request
    *,
    payment_id: UUID,
    merchant: AuthenticatedMerchant,
    dependencies: Deps,
    request: Request,
    response: Response,
    body: VerifyRequest,
) -> PaymentAnswer:
    """Send what the store gave to your app; deliver once `status` is `succeeded` and has access.

    `entitlement` is the current one, with `has_access`: a purchase that the store has refunded
    pays the payment and gives none. Only then let the app finish the transaction. Safe to repeat:
    each purchase is granted once.
    """
    payment = await dependencies.stores.payments.get_for_merchant(merchant.id, payment_id)
    request.state.record_id = payment.id
    verified = await verify_purchase(dependencies, payment, body.signed_transaction)
    response.status_code = HTTPStatus.OK if verified.applied else HTTPStatus.ACCEPTED
    return PaymentAnswer.of(
        verified.payment,
        message="OK" if verified.applied else _NOT_APPLIED,
        entitlement=verified.entitlement,
    )


@router.post(
    "/v1/payments/{payment_id}/consumption",
    summary="Answer a consumption request",
    responses=problems(401, 404, 422, 503),
)
async def post_consumption(
    payment_id: UUID,
    merchant: AuthenticatedMerchant,
    dependencies: Deps,
    request: Request,
    body: ConsumptionRequest,
) -> Answer:
    """Tell the store what became of a purchase, after `entitlement.consumption_requested`.

    The store decides about the refund by itself, and waits twelve hours for this.
    """
    payment = await dependencies.stores.payments.get_for_merchant(merchant.id, payment_id)
    request.state.record_id = payment.id
    await send_consumption(dependencies, payment, body)
    return Answer(id=payment.id)


@router.post("/v1/restore", summary="Restore purchases", responses=problems(400, 401, 422, 503))
async def post_restore(
    merchant: AuthenticatedMerchant, dependencies: Deps, body: RestoreRequest
) -> RestoreAnswer:
    """What the buyer is entitled to, by its signed transactions or by the store's history.

    A `transaction_id` restores your own sales alone, and must be of one of them: else the answer is
    422 `transaction_unknown`, whether or not it exists. What another merchant sold is never shown.

    Give back what `has_access` says. A consumable that was paid for and never granted is granted
    now, to the payment that it names; `payment.succeeded` is its event.
    """
    restored = await restore_purchases(dependencies, merchant, body)
    now = datetime.now(UTC)
    return RestoreAnswer(
        data=[EntitlementFields.of(found, now) for found in restored.entitlements],
        unclaimed=[UnclaimedFields.model_validate(found) for found in restored.unclaimed],
    )
