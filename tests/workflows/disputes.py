"""A payment that waits for a person."""

from domain.payment import Payment
from domain.report import Attention, Outcome
from tests.workflows.scripted import Fault, report
from tests.workflows.shop import PaymentRun, Shop
from workflows.payment import PaymentOrder


async def parked(
    shop: Shop, order: PaymentOrder, *, amount: int = 500, times: int = 1
) -> tuple[PaymentRun, Payment]:
    """A payment for which the provider insists on another amount, so many times when asked."""
    run, payment = await shop.pending(order)
    wrong = report(payment, Outcome.PAID, amount=amount)
    shop.provider.script("query", payment.reference, *[Fault(report=wrong)] * times)
    await shop.notify(run, order, amount=amount)
    await shop.flagged(payment, Attention.AMOUNT_MISMATCH)
    await shop.sent("query", payment.reference)
    return run, payment
