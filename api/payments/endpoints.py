"""Payments: POST, GET, list, cancel, sync."""

from datetime import UTC, datetime
from http import HTTPStatus
from typing import Annotated
from uuid import UUID

from fastapi import APIRouter, Body, Depends, Header, Query, Request, Response
from pydantic import Field

from api.dependencies import Dependencies, Deps
from api.http.authentication import AuthenticatedMerchant
from api.http.fields import Moment
from api.http.openapi import PAYMENT_EXAMPLES, problems
from api.http.problems import ApiProblem
from api.http.text import Text
from api.in_app.verify import own_entitlement
from api.payments.create import make_payment
from api.payments.workflow_input import payment_order
from api.schemas import (
    CancelRequest,
    PaymentAnswer,
    PaymentFields,
    PaymentList,
    PaymentRequest,
)
from api.workflow_calls import NoAnswerYet, WorkflowEnded, cancel_payment, sync_payment
from domain.errors import Conflict
from domain.payment import Channel, Payment, PaymentStatus
from storage.page import LARGEST_PAGE
from storage.payment_filters import PaymentFilters

router = APIRouter(prefix="/v1/payments", tags=["payments"])


class SyncAnswer(PaymentAnswer):
    """One payment after `sync`."""

    synced_at: datetime | None = Field(
        default=None,
        description="When the provider last answered a `sync` of this payment; null where it has"
        " not, and where the payment has ended before.",
    )


_UNKNOWN = "The provider's answer is not known yet; repeat this request or read the payment."
_UNPAYABLE = (PaymentStatus.CLOSED, PaymentStatus.FAILED)
OptionalKey = Annotated[
    str | None,
    Header(
        alias="Idempotency-Key",
        min_length=1,
        max_length=255,
        pattern=r"^[\x21-\x7e]+$",
        description="What makes a repeat the same payment; `order_no` where it is not sent.",
    ),
]
Limit = Annotated[int, Query(ge=1, le=LARGEST_PAGE)]
Cursor = Annotated[str | None, Query(max_length=200, description="`next_cursor` of a page.")]


@router.post(
    "",
    status_code=HTTPStatus.CREATED,
    summary="Make a payment",
    responses=problems(400, 401, 409, 422, 503)
    | {
        200: {"model": PaymentAnswer, "description": "This key's payment, as it stands."},
        202: {
            "model": PaymentAnswer,
            "description": "The payment exists; the provider's answer is unknown so far.",
        },
    },
)
async def post_payment(
    merchant: AuthenticatedMerchant,
    dependencies: Deps,
    response: Response,
    body: Annotated[PaymentRequest, Body(openapi_examples=PAYMENT_EXAMPLES)],
    idempotency_key: OptionalKey = None,
) -> PaymentAnswer:
    """Submit an order to its provider and get what the payer needs next, the `checkout`.

    Safe to repeat: the same key and body is the same payment, in parallel and for ever. An order
    that the provider rejects answers 422 with its text, and the payment is `failed`.
    """
    made = await make_payment(dependencies, merchant, body, idempotency_key or body.order_no)
    response.status_code = made.status
    message = _UNKNOWN if made.status is HTTPStatus.ACCEPTED else "OK"
    return PaymentAnswer.of(made.record, message=message)


@router.get("/{payment_id}", summary="A payment", responses=problems(401, 404, 422, 503))
async def get_payment(
    payment_id: UUID, merchant: AuthenticatedMerchant, dependencies: Deps
) -> PaymentAnswer:
    """The payment as stored; `sync` queries the provider first."""
    found = await dependencies.stores.payments.get_for_merchant(merchant.id, payment_id)
    return PaymentAnswer.of(found, entitlement=await own_entitlement(dependencies, found))


async def _filters(  # noqa: PLR0913 - one argument is one filter
    *,
    status: PaymentStatus | None = None,
    provider: Annotated[Text | None, Query(max_length=32)] = None,
    channel: Channel | None = None,
    order_no: Annotated[Text | None, Query(max_length=64)] = None,
    created_from: Moment | None = None,
    created_to: Moment | None = None,
    attention: Annotated[bool | None, Query(description="Whether an operator must look.")] = None,
) -> PaymentFilters:
    return PaymentFilters(
        status=status,
        provider=provider,
        channel=channel,
        order_no=order_no,
        created_from=created_from,
        created_to=created_to,
        attention=attention,
    )


@router.get("", summary="List payments", responses=problems(401, 422, 503))
async def list_payments(
    merchant: AuthenticatedMerchant,
    dependencies: Deps,
    filters: Annotated[PaymentFilters, Depends(_filters)],
    cursor: Cursor = None,
    limit: Limit = 20,
) -> PaymentList:
    """Newest first. Rows that arrive while you page do not shift the pages."""
    page = await dependencies.stores.payments.list_for_merchant(
        merchant.id, filters=filters, cursor=cursor, limit=limit
    )
    data = [PaymentFields.model_validate(payment) for payment in page.items]
    return PaymentList(data=data, next_cursor=page.next_cursor)


@router.post(
    "/{payment_id}/cancel",
    summary="Cancel a payment",
    responses=problems(401, 404, 409, 422, 503)
    | {202: {"model": PaymentAnswer, "description": "Taken on; it is not known yet how it ends."}},
)
async def post_cancel(  # noqa: PLR0913 - one argument is one part of the request
    *,
    payment_id: UUID,
    merchant: AuthenticatedMerchant,
    dependencies: Deps,
    request: Request,
    response: Response,
    body: CancelRequest | None = None,
) -> PaymentAnswer:
    """Close the order at its provider, so that it can no longer be paid.

    Read `status` in the answer: a payer may have been faster, then it is `succeeded`.
    """
    payment = await dependencies.stores.payments.get_for_merchant(merchant.id, payment_id)
    request.state.record_id = payment.id
    if payment.status is not PaymentStatus.PENDING:
        return _after_cancel(payment)
    reason = (body or CancelRequest()).reason
    try:
        cancelled = await cancel_payment(dependencies.temporal, payment.id, reason)
    except NoAnswerYet:
        return PaymentAnswer.of(
            await _unanswered(dependencies, payment, response), message=_UNKNOWN
        )
    except WorkflowEnded:
        stored = await _stored(dependencies, payment)
        if stored.status is not PaymentStatus.PENDING:
            return _after_cancel(stored)
        return PaymentAnswer.of(await _unanswered(dependencies, stored, response), message=_UNKNOWN)
    except Conflict:
        # Closed already, by an earlier call or by expiry: that is what was requested.
        stored = await _stored(dependencies, payment)
        if stored.status not in _UNPAYABLE:
            raise
        return PaymentAnswer.of(stored)
    if cancelled.status is PaymentStatus.PENDING:
        # A repeat has the outcome of the first call, and much may have happened since.
        cancelled = await _stored(dependencies, payment)
    return PaymentAnswer.of(cancelled)


@router.post(
    "/{payment_id}/sync",
    summary="Ask the provider now",
    responses=problems(401, 404, 409, 422, 503)
    | {202: {"model": SyncAnswer, "description": "The provider does not answer for now."}},
)
async def post_sync(
    payment_id: UUID,
    merchant: AuthenticatedMerchant,
    dependencies: Deps,
    request: Request,
    response: Response,
) -> SyncAnswer:
    """Query the provider, and return the payment as it is then.

    Call it as often as you like: within five seconds, or a fiftieth of the payment's age where
    that is longer, one query answers all calls. `synced_at` says when that was. A payment that
    has ended is only read.
    """
    payment = await dependencies.stores.payments.get_for_merchant(merchant.id, payment_id)
    request.state.record_id = payment.id
    if payment.status is not PaymentStatus.PENDING:
        # Its workflow may be calling the merchant just now, who calls from within the webhook.
        return SyncAnswer.of(payment)
    try:
        synced = await sync_payment(dependencies.temporal, payment, datetime.now(UTC))
    except (NoAnswerYet, WorkflowEnded) as error:
        stored = await _stored(dependencies, payment)
        if isinstance(error, WorkflowEnded) and stored.status is not PaymentStatus.PENDING:
            return SyncAnswer.of(stored)
        return SyncAnswer.of(await _unanswered(dependencies, stored, response), message=_UNKNOWN)
    except Conflict:
        # A query is in progress that has had no answer so far.
        response.status_code = HTTPStatus.ACCEPTED
        return SyncAnswer.of(await _stored(dependencies, payment), message=_UNKNOWN)
    found: Payment = synced
    if synced.status is PaymentStatus.PENDING:
        # The outcome of an earlier call in this window, maybe: much may have happened since.
        found = await _stored(dependencies, payment)
    answer = SyncAnswer.of(found)
    answer.synced_at = synced.synced_at
    return answer


async def _unanswered(dependencies: Dependencies, payment: Payment, response: Response) -> Payment:
    # A command that Temporal never had is not taken on: this raises where it cannot be reached.
    await payment_order(dependencies.temporal, payment.id)
    response.status_code = HTTPStatus.ACCEPTED
    return await _stored(dependencies, payment)


async def _stored(dependencies: Dependencies, payment: Payment) -> Payment:
    return await dependencies.stores.payments.get(payment.id) or payment


def _after_cancel(payment: Payment) -> PaymentAnswer:
    """Return the payment that has ended; raises ApiProblem where it can only be refunded."""
    if payment.status is PaymentStatus.SUCCEEDED:
        raise ApiProblem(
            HTTPStatus.CONFLICT,
            "not_cancellable",
            "The payment is already succeeded. Refund it instead.",
            record_id=payment.id,
        )
    return PaymentAnswer.of(payment)
