"""What a payment may go through; each scenario awaits its own right end."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from http import HTTPStatus

from temporalio.client import WorkflowUpdateFailedError
from temporalio.service import RPCError

from domain.identity import (
    late_workflow_id,
    payment_workflow_id,
    refund_workflow_id,
)
from domain.payment import PaymentStatus
from domain.refund import RefundCause
from domain.report import Attention
from domain.resolution import ResolveAction
from storage.entitlements import EntitlementStore
from storage.events import EventStore
from storage.payments import PaymentStore
from tests.stack.shop import Order
from tests.stack.waiting import eventually
from verification.crash.orders import PRICE, KeyedOrder, SoldOrder
from verification.crash.stage import Stage

AMOUNT = 1000


@dataclass
class Play:
    """One performance of a scenario: its orders, and how to await what becomes of them."""

    stage: Stage
    scenario: "Scenario"
    order: KeyedOrder
    second: KeyedOrder

    @classmethod
    def of(cls, stage: Stage, scenario: "Scenario") -> "Play":
        """With orders of its own."""
        shop = stage.vetoing if scenario.vetoed else stage.shop
        kind = SoldOrder if scenario.channel == SoldOrder.channel else KeyedOrder
        order = kind(shop, scenario.provider, scenario.channel, AMOUNT)
        order.expires_in = scenario.expires_in
        second = KeyedOrder(shop, scenario.provider, amount=AMOUNT, order_no=order.order_no)
        second.key = f"{order.order_no}-again"
        return cls(stage, scenario, order, second)

    @property
    def names(self) -> dict[str, str]:
        """Every id (hex) that belongs to the play, and what it is called."""
        names = {}
        for order, prefix in ((self.order, ""), (self.second, "second ")):
            names[order.reference] = f"{prefix}payment"
            for key in ("r1", "r2", *(f"automatic:{cause}" for cause in RefundCause)):
                name = key.removeprefix("automatic:")
                names[order.refund_id(key).hex] = f"{prefix}refund {name}"
        return names

    @property
    def sold(self) -> SoldOrder:
        """The order of a scenario that a store sells in."""
        if not isinstance(self.order, SoldOrder):
            raise TypeError(f"{self.scenario.name} is sold by no store")
        return self.order

    async def run(self) -> None:
        """Play it to its end; raises where the end is not the right one."""
        await self.scenario.course(self)

    async def ends(
        self, order: Order, *told: str, refunds: tuple[str, ...] = (), **row: object
    ) -> None:
        """The payment's run and its refunds end, the books say `row`, the merchant was told."""
        await self.over(payment_workflow_id(order.id))
        for key in refunds:
            await self.over(refund_workflow_id(order.refund_id(key)))
        await self.shows(order, **row)
        await self.hears(order, *told)

    async def over(self, workflow_id: str) -> None:
        """Return when the run has ended."""
        handle = self.stage.temporal.get_workflow_handle(workflow_id)

        async def ended() -> None:
            try:
                await handle.result()
            except RPCError as error:
                raise AssertionError(f"{workflow_id}: {error}") from error

        await eventually(ended)

    async def shows(self, order: Order, **row: object) -> None:
        """The payment once our books say so."""
        await eventually(lambda: self.looks(order, **row))

    async def looks(self, order: Order, **row: object) -> None:
        """Our books say so now; AssertionError where they do not."""
        payment = await PaymentStore(self.stage.database).get(order.id)
        found = {name: getattr(payment, name) for name in row}
        if found != row:
            raise AssertionError(f"{order.reference}: {found}")

    async def hears(self, order: Order, *types: str) -> None:
        """The merchant was told exactly this."""
        await eventually(lambda: self._told(order, types))

    async def granted_once(self) -> None:
        """Exactly what the store sold is granted, for this payment."""
        found = await EntitlementStore(self.stage.database).list_for_payment(self.sold.id)
        if [grant.transaction_id for grant in found] != [self.sold.transaction_id]:
            raise AssertionError(f"{self.sold.reference}: granted {found}")

    async def _told(self, order: Order, expected: tuple[str, ...]) -> None:
        page = await EventStore(self.stage.database).list_for_merchant(
            order.shop.merchant, payment_id=order.id
        )
        in_order = sorted(page.items, key=lambda event: event.sequence)
        told = [(str(e.type), str(e.delivery)) for e in in_order]
        if told != [(kind, "delivered") for kind in expected]:
            raise AssertionError(f"{order.reference}: {told}")


Course = Callable[[Play], Awaitable[None]]


@dataclass(frozen=True)
class Scenario:
    """One row of the table."""

    name: str
    provider: str
    course: Course = field(repr=False)
    vetoed: bool = False
    expires_in: int | None = None
    channel: str = "qr"


async def paid(play: Play) -> None:
    """The payer pays and the provider says so."""
    await play.order.create()
    await play.order.pay()
    await play.ends(play.order, "payment.succeeded", status="succeeded", captured=AMOUNT)


async def at_the_till(play: Play) -> None:
    """Paid in the answer to the order itself: one workflow task from the order to its end."""
    await play.order.create()
    await play.ends(play.order, "payment.succeeded", status="succeeded", captured=AMOUNT)


async def lost_notification(play: Play) -> None:
    """The provider never says so: it is asked."""
    await play.order.fault("notify", "lose", times=-1)
    await paid(play)


async def expired(play: Play) -> None:
    """Nobody pays. An order that is only sent after its expiry is refused, and so it failed."""
    await play.order.create()
    await play.over(payment_workflow_id(play.order.id))
    payment = await eventually(lambda: PaymentStore(play.stage.database).get(play.order.id))
    end = "failed" if payment and payment.status is PaymentStatus.FAILED else "closed"
    await play.ends(play.order, f"payment.{end}", status=end, captured=0)


async def late_payment(play: Play) -> None:
    """The money comes after the merchant has called the order off; it goes back."""
    await play.order.create()
    await eventually(play.order.cancel)
    await play.shows(play.order, status="closed")
    await play.order.pay()
    told = ("payment.closed", "refund.succeeded")
    refunds = (f"automatic:{RefundCause.LATE_PAYMENT}",)
    await play.ends(play.order, *told, refunds=refunds, refunded=AMOUNT, late=True)


async def late_word(play: Play) -> None:
    """After the end somebody says that another amount was paid: the provider is asked."""
    await paid(play)
    await eventually(lambda: _say_another_amount(play))
    await play.over(late_workflow_id(play.order.id))
    await play.shows(play.order, status="succeeded", captured=AMOUNT, refunded=0)


async def _say_another_amount(play: Play) -> None:
    await play.order.notify(fault="wrong_amount")
    try:
        await play.stage.temporal.get_workflow_handle(late_workflow_id(play.order.id)).describe()
    except RPCError as error:
        raise AssertionError(str(error)) from error


async def duplicate_order(play: Play) -> None:
    """One order, two payments, both paid: the second goes back."""
    await play.order.create()
    await play.second.create()
    await paid_as_made(play)
    await play.second.pay()
    refunds = (f"automatic:{RefundCause.DUPLICATE_PAYMENT}",)
    told = ("payment.succeeded", "refund.succeeded")
    await play.ends(play.second, *told, refunds=refunds, refunded=AMOUNT, duplicate=True)


async def paid_as_made(play: Play) -> None:
    """The order that was made is paid."""
    await play.order.pay()
    await play.ends(play.order, "payment.succeeded", status="succeeded", captured=AMOUNT)


async def mismatch(play: Play) -> None:
    """Another amount came in: a person who has heard of it has it given back."""
    await play.order.create()
    await play.order.pay(amount=AMOUNT // 2)
    await play.shows(play.order, attention=Attention.AMOUNT_MISMATCH)
    await play.hears(play.order, "payment.attention")
    await eventually(lambda: _resolve(play))
    refunds = (f"automatic:{RefundCause.LATE_PAYMENT}",)
    told = ("payment.attention", "payment.closed", "refund.succeeded")
    await play.ends(play.order, *told, refunds=refunds, refunded=AMOUNT // 2, status="closed")


async def _resolve(play: Play) -> None:
    try:
        await play.order.resolve(play.stage.stack, ResolveAction.REFUND)
    except WorkflowUpdateFailedError:
        # Decided already, by a try whose answer was lost; otherwise not yet asked.
        await play.looks(play.order, status="closed")
    except (RPCError, RuntimeError) as error:
        raise AssertionError(str(error)) from error


async def partial_refunds(play: Play) -> None:
    """Part of the money goes back, and another part."""
    await paid(play)
    await play.order.refund(300, "r1")
    await play.order.refund(200, "r2")
    told = ("payment.succeeded", "refund.succeeded", "refund.succeeded")
    await play.ends(play.order, *told, refunds=("r1", "r2"), refunded=500, refund_reserved=0)


async def refund_unknown(play: Play) -> None:
    """The refund's answer is lost, and for a while it cannot be seen either."""
    await paid(play)
    await play.order.fault("refund", "lost_answer")
    await play.order.fault("refund_query", "empty_refund_query", times=2)
    await play.order.refund(400, "r1")
    told = ("payment.succeeded", "refund.succeeded")
    await play.ends(play.order, *told, refunds=("r1",), refunded=400, refund_reserved=0)


async def veto(play: Play) -> None:
    """The merchant hears of the money and cannot fulfil the order."""
    await play.order.create()
    await play.order.pay()
    refunds = (f"automatic:{RefundCause.MERCHANT_VETO}",)
    told = ("payment.succeeded", "refund.succeeded")
    await play.ends(play.order, *told, refunds=refunds, refunded=AMOUNT)


async def iap_verify(play: Play) -> None:
    """The store sells and its word is lost: the app brings the proof, and brings it again."""
    sold = play.sold
    await sold.create()
    await sold.buy(play.stage.conductor)
    await sold.verify()
    await play.ends(sold, "payment.succeeded", status="succeeded", captured=PRICE)
    await sold.verify(HTTPStatus.OK)
    await eventually(play.granted_once)


async def refunded_by_store(play: Play) -> None:
    """The store gives the money back by itself; we only hear of it."""
    await iap_verify(play)
    await play.sold.refund_by_store()
    told = ("payment.succeeded", "entitlement.changed", "refund.succeeded")
    await play.ends(play.sold, *told, captured=PRICE, refunded=PRICE, refund_reserved=0)
    await play.over(play.sold.store_run)


SCENARIOS = (
    Scenario("paid (alipay)", "alipay", paid),
    Scenario("paid (wechatpay)", "wechatpay", paid),
    Scenario("paid at the till", "alipay", at_the_till, channel="barcode"),
    Scenario("lost notification", "wechatpay", lost_notification),
    Scenario("expired", "alipay", expired, expires_in=60),
    Scenario("late payment", "alipay", late_payment),
    Scenario("late word", "wechatpay", late_word),
    Scenario("duplicate order", "wechatpay", duplicate_order),
    Scenario("mismatch", "alipay", mismatch),
    Scenario("partial refunds", "alipay", partial_refunds),
    Scenario("refund unknown", "alipay", refund_unknown),
    Scenario("webhook veto", "wechatpay", veto, vetoed=True),
    Scenario("paid and confirmed", "unionpay", paid),
    Scenario("undone on a veto", "unionpay", veto, vetoed=True),
    Scenario("iap verify", "apple_iap", iap_verify, channel="iap"),
    Scenario("refunded by the store", "apple_iap", refunded_by_store, channel="iap"),
)
