"""POST that makes something: once per idempotency key, whatever dies on the way.

The database answers a repeat; else an eager start or an update-with-start starts the workflow, or
joins it.
Where no answer comes in time, the workflow's own input says what was requested first.
"""

from dataclasses import dataclass
from datetime import UTC, datetime
from http import HTTPStatus
from typing import Generic, TypeVar

from api.dependencies import Dependencies
from api.http.errors import unavailable
from api.http.problems import ApiProblem, ProviderMessage
from api.payments.proposals import Shelf, check_refundable, propose_payment, propose_refund
from api.payments.workflow_failures import payment_rejection, refund_rejection
from api.payments.workflow_input import payment_order, refund_order
from api.schemas import PaymentRequest, RefundRequest
from api.workflow_calls import (
    NoAnswerYet,
    WorkflowEnded,
    create_refund,
)
from domain.checkout import CheckoutKind
from domain.errors import KEY_REUSED, Conflict
from domain.identity import IdentityKey
from domain.merchant import Merchant, late_policy
from domain.payment import Channel, Failure, Payment, PaymentStatus
from domain.refund import Refund, RefundStatus
from workflows.payment import PaymentOrder
from workflows.policies import payment_policy, refund_policy
from workflows.refund import RefundOrder

Record = TypeVar("Record", Payment, Refund)


@dataclass(frozen=True)
class Made(Generic[Record]):
    """What a POST made or found. `status` is 201 new, 200 found, 202 outcome still unknown."""

    status: HTTPStatus
    record: Record


async def make_payment(
    dependencies: Dependencies, merchant: Merchant, request: PaymentRequest, key: str
) -> Made[Payment]:
    """The payment that this merchant's key stands for.

    Raises:
        Conflict: the key was used with another request, or the order is paid.
        InvalidRequest: the provider cannot do what is requested.
        ApiProblem: the provider rejected the order, or Temporal cannot be reached.
    """
    payments, identity = dependencies.stores.payments, dependencies.identity
    await dependencies.stores.deployment.verify(identity)
    # By the key, not by the id: ids change where the identity key was lost.
    known = await payments.find(merchant.id, key)
    if known is not None:
        _same_body(known, request, identity)
        if known.checkout is not None or known.status is not PaymentStatus.PENDING:
            return _payment_answer(known, HTTPStatus.OK)
    shelf = Shelf(dependencies.registry, dependencies.catalogue, identity)
    proposed = propose_payment(merchant, request, key, shelf, datetime.now(UTC))
    if known is not None:
        named = {"id": known.id, "request_hash": known.request_hash}
        proposed = proposed.model_copy(update=named)
    order = _order(dependencies, merchant, proposed)
    try:
        payment = await dependencies.eager.create_payment(dependencies.temporal, order)
    except NoAnswerYet:
        payment = await _unanswered_payment(dependencies, proposed)
        return _payment_answer(payment, HTTPStatus.ACCEPTED)
    except WorkflowEnded:
        found = await payments.get(proposed.id)
        if found is None:
            raise await _rejected_before(dependencies, proposed) from None
        _same_request(found, proposed.request_hash)
        return _payment_answer(found, HTTPStatus.OK)
    # The run keeps the first request's time: another's means that we only joined it.
    new = payment.created_at == proposed.created_at
    if new:
        dependencies.metrics.payment(payment)
        if payment.status is PaymentStatus.PENDING:
            dependencies.expected.made(payment)
    return _payment_answer(payment, HTTPStatus.CREATED if new else HTTPStatus.OK)


async def make_refund(
    dependencies: Dependencies, payment: Payment, request: RefundRequest, key: str
) -> Made[Refund]:
    """The refund of this payment that the key stands for; raises as `make_payment` does."""
    check_refundable(dependencies.registry.get(payment.provider, payment.account), payment)
    refunds, identity = dependencies.stores.refunds, dependencies.identity
    await dependencies.stores.deployment.verify(identity)
    # Read after the payment was: where this very refund holds the money, its row is there too.
    known = await refunds.find(payment.id, key)
    if known is not None:
        _same_body(known, request, identity)
        if known.status is not RefundStatus.PENDING:
            return _refund_answer(known, HTTPStatus.OK)
    proposed = known or propose_refund(payment, request, key, identity, datetime.now(UTC))
    policy = refund_policy(dependencies.registry.channel_rules(payment))
    order = RefundOrder(refund=proposed, payment=payment, policy=policy)
    try:
        refund = await create_refund(dependencies.temporal, order)
    except NoAnswerYet:
        refund = await _unanswered_refund(dependencies, proposed)
        return _refund_answer(refund, HTTPStatus.ACCEPTED)
    except WorkflowEnded:
        found = await refunds.get(proposed.id)
        if found is None:
            raise await _rejected_refund(dependencies, proposed) from None
        _same_request(found, proposed.request_hash)
        return _refund_answer(found, HTTPStatus.OK)
    new = known is None and refund.created_at == proposed.created_at
    return _refund_answer(refund, HTTPStatus.CREATED if new else HTTPStatus.OK)


def _order(dependencies: Dependencies, merchant: Merchant, proposed: Payment) -> PaymentOrder:
    provider = dependencies.registry.get(proposed.provider, proposed.account)
    rules = provider.channels[proposed.channel]
    return PaymentOrder(
        payment=proposed,
        policy=payment_policy(
            proposed.channel,
            rules.asking,
            confirm=provider.confirms_notifications,
            closable=rules.closable,
            refundable=rules.refundable,
        ),
        refund_policy=refund_policy(rules),
        late_policy=late_policy(merchant, refundable=rules.refundable),
    )


def _same_body(
    known: Payment | Refund, request: PaymentRequest | RefundRequest, identity: IdentityKey
) -> None:
    """Refuse another request under a used key; one of before a lost key cannot be compared."""
    if identity.made(known.request_hash):
        _same_request(known, identity.request_hash(request.canonical()))


def _same_request(known: Payment | Refund, digest: str) -> None:
    if known.request_hash != digest:
        raise ApiProblem(
            HTTPStatus.CONFLICT,
            "idempotency_key_reused",
            KEY_REUSED,
            param="Idempotency-Key",
            record_id=known.id,
        )


async def _unanswered_payment(dependencies: Dependencies, proposed: Payment) -> Payment:
    """The payment as it is known so far, stored from now on.

    Only what the run was started with may be written down: a parallel request with another body
    may have been the first.
    """
    stored = await dependencies.stores.payments.get(proposed.id)
    if stored is None:
        order = await payment_order(dependencies.temporal, proposed.id)
        if order is None:
            raise unavailable()
        _same_request(order.payment, proposed.request_hash)
        stored = await dependencies.stores.payments.record(order.payment)
    _same_request(stored, proposed.request_hash)
    return stored


async def _unanswered_refund(dependencies: Dependencies, proposed: Refund) -> Refund:
    """As for a payment; but the run alone may say that the money is not there."""
    refunds = dependencies.stores.refunds
    stored = await refunds.get(proposed.id)
    if stored is None:
        order = await refund_order(dependencies.temporal, proposed.id)
        if order is None:
            raise unavailable()
        _same_request(order.refund, proposed.request_hash)
        stored = order.refund
        try:
            stored = await refunds.reserve(order.refund)
        except Conflict:
            # Where the workflow has rejected it, too, that is the answer. Else it records its end.
            rejected = await refund_rejection(dependencies.temporal, proposed.id)
            if rejected is not None:
                raise rejected from None
    return stored


async def _rejected_before(dependencies: Dependencies, proposed: Payment) -> Exception:
    """The no of a run that ended with nothing written down; it used up its key."""
    order = await payment_order(dependencies.temporal, proposed.id)
    if order is None or order.payment.request_hash != proposed.request_hash:
        return _used_up()
    return await payment_rejection(dependencies.temporal, proposed.id) or _used_up()


async def _rejected_refund(dependencies: Dependencies, proposed: Refund) -> Exception:
    """The same of a refund."""
    order = await refund_order(dependencies.temporal, proposed.id)
    if order is None or order.refund.request_hash != proposed.request_hash:
        return _used_up()
    return await refund_rejection(dependencies.temporal, proposed.id) or _used_up()


def _used_up() -> ApiProblem:
    return ApiProblem(
        HTTPStatus.CONFLICT,
        "idempotency_key_reused",
        "This Idempotency-Key belongs to an earlier request that was rejected. Use a new key.",
        param="Idempotency-Key",
    )


def _payment_answer(payment: Payment, status: HTTPStatus) -> Made[Payment]:
    # Refused at submission: there was never anything to pay.
    rejected = payment.status is PaymentStatus.FAILED and payment.checkout is None
    if rejected and payment.failure is not None:
        raise _rejected(payment, payment.failure)
    pending = payment.status is PaymentStatus.PENDING
    return Made(HTTPStatus.ACCEPTED if pending and not _payable(payment) else status, payment)


def _payable(payment: Payment) -> bool:
    """Whether the payer has what it needs: at the till, nothing; elsewhere, a checkout.

    An order that is at the provider while its checkout was lost can only be cancelled or expire.
    """
    if payment.checkout is None:
        return False
    return payment.channel is Channel.BARCODE or payment.checkout.kind is not CheckoutKind.NONE


def _refund_answer(refund: Refund, status: HTTPStatus) -> Made[Refund]:
    if refund.status is RefundStatus.FAILED and refund.failure is not None:
        raise _rejected(refund, refund.failure)
    return Made(status, refund)


def _rejected(record: Payment | Refund, failure: Failure) -> ApiProblem:
    return ApiProblem(
        HTTPStatus.UNPROCESSABLE_ENTITY,
        failure.code,
        failure.message,
        record_id=record.id,
        provider=ProviderMessage(code=failure.provider_code, message=failure.provider_message),
    )
