"""A shop whose goods a store sells: its payments of products, and the store's words."""

from datetime import datetime, timedelta
from typing import Any
from uuid import uuid4

from temporalio.client import WorkflowHandle
from temporalio.common import WorkflowIDConflictPolicy

from domain.notification import Notification
from domain.payment import Channel, Payment
from domain.product import ProductType
from domain.purchase import Purchase
from domain.report import PaymentReport
from domain.store_change import Change, StoreChange, StoreWord
from tests.workflows.scripted import notification
from tests.workflows.shop import BRISK, PaymentRun, Shop, named
from workflows.entitlement import EntitlementOrder, EntitlementWorkflow
from workflows.payment import PaymentOrder
from workflows.policies import Attempts, PaymentPolicy, StorePolicy
from workflows.starting import entitlement_options

StoreRun = WorkflowHandle[EntitlementWorkflow, list[str]]
MONTH = timedelta(days=30)
PRODUCT = "com.shop.monthly"
_SOON = Attempts(timeout=5, first_wait=0.2, backoff=1, longest_wait=0.2)
# A store's money is the store's to give back.
SOLD = BRISK.model_copy(update={"refundable": False})
WORDS = StorePolicy(ledger_slow=_SOON, webhook=BRISK.webhook, turn=_SOON)
# A word whose payment gets no money is given up while a test can wait for it.
IMPATIENT = WORDS.model_copy(update={"ledger_slow": _SOON.model_copy(update={"total": 1.5})})


async def sale(shop: Shop, policy: PaymentPolicy = SOLD, **order: Any) -> PaymentOrder:
    """A payment of a product, which nobody has bought yet."""
    made = await shop.order(channel=Channel.IAP, policy=policy, **order)
    payment = made.payment.model_copy(update={"product_id": PRODUCT})
    return made.model_copy(update={"payment": payment})


def purchase(payment: Payment, chain: str | None = None, **changes: Any) -> Purchase:
    """What the buyer bought for the payment."""
    number = chain or uuid4().hex
    made = Purchase(
        provider=payment.provider,
        account=payment.account,
        app="com.shop/Production",
        transaction_id=number,
        original_transaction_id=number,
        product_id=PRODUCT,
        product_type=ProductType.SUBSCRIPTION,
        token=payment.id,
        purchased_at=payment.created_at,
        signed_at=payment.created_at,
        expires_at=payment.created_at + MONTH,
    )
    return made.model_copy(update=changes)


def paid_report(payment: Payment, found: Purchase) -> PaymentReport:
    return PaymentReport.of_purchase(payment.reference, found, "SUBSCRIBED")


def sold(payment: Payment, found: Purchase) -> Notification:
    """The store's word that the purchase was made."""
    return notification(paid_report(payment, found))


async def bought(shop: Shop, order: PaymentOrder, found: Purchase) -> Payment:
    """The payment all the way to its end, paid by the purchase."""
    run, payment = await shop.pending(order)
    await shop.say(run, sold(payment, found))
    return await run.result()


async def waiting(shop: Shop, **order: Any) -> tuple[PaymentOrder, PaymentRun, Payment]:
    """A payment that waits for its buyer."""
    made = await sale(shop, **order)
    run, payment = await shop.pending(made)
    return made, run, payment


def renewed(first: Purchase, period: int = 1) -> Purchase:
    """A later period of the same chain."""
    begins = first.purchased_at + period * MONTH
    return first.model_copy(
        update={
            "transaction_id": f"{first.transaction_id}-{period}",
            "purchased_at": begins,
            "expires_at": begins + MONTH,
            "renewal": True,
        }
    )


def word(
    payment: Payment, change: Change, found: Purchase, *, days: int = 1, name: str | None = None
) -> StoreWord:
    """The store's word on the purchase, signed so many days after it."""
    at: datetime = found.purchased_at + timedelta(days=days)
    revoked = at if change is Change.REFUNDED else None
    said = StoreChange(
        purchase=found.model_copy(update={"signed_at": at, "revoked_at": revoked}),
        change=change,
        raw_type=change.upper(),
        signed_at=at,
    )
    return StoreWord(payment_id=payment.id, word_id=name or uuid4().hex, change=said)


async def tell(
    shop: Shop, payment: Payment, *words: StoreWord, policy: StorePolicy = WORDS
) -> StoreRun:
    """The API hands the words over."""
    for each in words:
        purchase_of = each.change.purchase
        assert purchase_of is not None
        order = EntitlementOrder(
            payment=payment,
            original_transaction_id=purchase_of.original_transaction_id,
            policy=policy,
        )
        handle = await shop.client.start_workflow(
            EntitlementWorkflow.run,
            order,
            **named(entitlement_options(order)),
            id_conflict_policy=WorkflowIDConflictPolicy.USE_EXISTING,
            start_signal="hear",
            start_signal_args=[each],
        )
    return handle
