"""Refunds: POST and GET."""

from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Header, Request, Response

from api.dependencies import Deps
from api.http.authentication import AuthenticatedMerchant
from api.http.openapi import problems
from api.http.problems import ApiProblem
from api.payments.create import make_refund
from api.schemas import RefundAnswer, RefundFields, RefundList, RefundRequest
from domain.errors import InvalidRequest

router = APIRouter(tags=["refunds"])

AUTOMATIC = "automatic:"
RequiredKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="Required. A new key per refund; the same key never refunds twice.",
        examples=["REFUND-20261122-0001"],
    ),
]


@router.post(
    "/v1/payments/{payment_id}/refunds",
    status_code=HTTPStatus.CREATED,
    summary="Give money back",
    responses=problems(400, 401, 404, 409, 422, 503)
    | {
        200: {"model": RefundAnswer, "description": "This key's refund, as it stands."},
        202: {"model": RefundAnswer, "description": "Taken on; the provider's answer is unknown."},
    },
)
async def refund_payment(  # noqa: PLR0913 - one argument is one part of the request
    *,
    payment_id: UUID,
    merchant: AuthenticatedMerchant,
    dependencies: Deps,
    request: Request,
    response: Response,
    body: RefundRequest | None = None,
    idempotency_key: RequiredKey = None,
) -> RefundAnswer:
    """Refund a part, or with no `amount` all that is still refundable.

    The refund may be `pending` for days while a bank works; the event `refund.succeeded` or
    `refund.failed` is its final event.
    """
    payment = await dependencies.stores.payments.get_for_merchant(merchant.id, payment_id)
    request.state.record_id = payment.id
    if idempotency_key is None:
        raise ApiProblem(
            HTTPStatus.BAD_REQUEST,
            "idempotency_key_required",
            "Send an Idempotency-Key header: it is what keeps a repeated request from refunding"
            " twice. Use your own refund number.",
            param="Idempotency-Key",
            record_id=payment.id,
        )
    if idempotency_key.startswith(AUTOMATIC):
        raise InvalidRequest(
            f"Keys that start with {AUTOMATIC!r} are kept for refunds that we make ourselves.",
            param="Idempotency-Key",
        )
    made = await make_refund(dependencies, payment, body or RefundRequest(), idempotency_key)
    response.status_code = made.status
    return RefundAnswer.of(made.record)


@router.get(
    "/v1/payments/{payment_id}/refunds",
    summary="The refunds of a payment",
    responses=problems(401, 404, 422, 503),
)
async def list_refunds(
    payment_id: UUID, merchant: AuthenticatedMerchant, dependencies: Deps
) -> RefundList:
    """All of them, those that we made ourselves (late or duplicate payments) included."""
    payment = await dependencies.stores.payments.get_for_merchant(merchant.id, payment_id)
    refunds = await dependencies.stores.refunds.list_for_payment(payment.id)
    return RefundList(id=payment.id, data=[RefundFields.model_validate(r) for r in refunds])


@router.get("/v1/refunds/{refund_id}", summary="A refund", responses=problems(401, 404, 422, 503))
async def get_refund(
    refund_id: UUID, merchant: AuthenticatedMerchant, dependencies: Deps
) -> RefundAnswer:
    """The refund as it stands."""
    refund = await dependencies.stores.refunds.get_for_merchant(merchant.id, refund_id)
    return RefundAnswer.of(refund)
