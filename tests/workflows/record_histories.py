"""Record one history per path: `python -m tests.workflows.record_histories [path …]`.

Record anew only where a change of the workflows needs no patch because nothing runs in production
yet; otherwise the old histories stay and the change goes behind `workflow.patched`.
"""

import asyncio
import json
import logging
import re
import sys
from collections.abc import Awaitable, Callable
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from temporalio.client import WorkflowHandle

from cli.embedded.config import Service, StackConfig
from cli.embedded.stack import Stack
from domain.identity import refund_workflow_id
from domain.merchant import LatePolicy
from domain.payment import Channel
from domain.report import Attention, Outcome, RefundOutcome
from domain.resolution import ResolveAction
from engine.external_refunds import record_external_refund
from storage.database import Database
from tests.domain.making import at_console
from tests.workflows.alarm_histories import ALARM_PATHS
from tests.workflows.confirmation_histories import CONFIRMATION_PATHS
from tests.workflows.disputes import parked
from tests.workflows.evidence_histories import EVIDENCE_PATHS
from tests.workflows.scripted import Fault, Order, rejected, report, unknown
from tests.workflows.shop import BRISK, GIVES_UP, RefundRun, Shop, eventually
from tests.workflows.stage import open_shop, open_temporal
from tests.workflows.store_histories import STORE_PATHS
from webhooks.answers import WebhookAnswer
from webhooks.sender import WebhookFailed
from workflows.payment import PaymentOrder
from workflows.policies import PaymentPolicy, payment_policy

_log = logging.getLogger(__name__)
# A worker calls itself, and its own queue, by process and host: `4711@host-<hex>`.
_HOST = re.compile(r"^\d+@[\w.-]*")
HISTORIES = Path(__file__).parent / "histories"
Run = WorkflowHandle[Any, Any]

# How payments were carried before, oldest last: their runs must still go on.
TODAY = payment_policy(Channel.QR)
_APART = {"fast_path": False}
TOLD_AFTER_THE_END = TODAY.model_copy(update=_APART)
TOLD_BY_THE_QUEUE = TOLD_AFTER_THE_END.model_copy(update={"webhook_fast": None})


async def paid_by_notification(shop: Shop) -> Run:
    return await _paid(shop, await shop.order(policy=TOLD_BY_THE_QUEUE))


async def found_by_polling(shop: Shop) -> Run:
    run, payment = await shop.pending(await shop.order(policy=BRISK))
    await shop.sent("query", payment.reference)
    shop.provider.pay(payment.reference)
    return run


async def closed_at_expiry(shop: Shop) -> Run:
    run, _ = await shop.pending(await shop.order(policy=BRISK, expires_in=2))
    return run


async def unknown_at_expiry(shop: Shop) -> Run:
    run, payment = await shop.pending(await shop.order(policy=BRISK, expires_in=1))
    shop.provider.script("close", payment.reference, *[Fault(error=unknown())] * 2)
    return run


async def rejected_order(shop: Shop) -> Run:
    order = await shop.order()
    shop.provider.script("create", order.payment.reference, Fault(error=rejected()))
    await shop.checkout(order)
    return shop.run(order)


async def slow_submit(shop: Shop) -> Run:
    order = await shop.order(channel=Channel.BARCODE, policy=BRISK)
    shop.provider.script("create", order.payment.reference, *[Fault(error=unknown())] * 2)
    run, payment = await shop.pending(order)
    shop.provider.pay(payment.reference)
    await shop.sync(run)
    return run


async def mismatch_resolved(shop: Shop) -> Run:
    order = await shop.order()
    run, _ = await parked(shop, order)
    await shop.resolve(run, ResolveAction.REFUND)
    return run


async def decided_on_record(shop: Shop) -> Run:
    return await mismatch_resolved(shop)


async def cancelled(shop: Shop) -> Run:
    run, _ = await shop.pending(await shop.order())
    await shop.cancel(run)
    return run


async def cancelled_in_the_ui(shop: Shop) -> Run:
    run, _ = await shop.pending(await shop.order())
    await run.cancel()
    return run


async def closed_unseen(shop: Shop) -> Run:
    run, payment = await shop.pending(await shop.order(policy=BRISK, expires_in=2))
    del shop.provider.orders[payment.reference]
    await shop.cancel(run)
    shop.provider.orders[payment.reference] = Order(payment.amount, Outcome.PAID)
    return run


async def vetoed(shop: Shop) -> Run:
    return await _vetoed(shop, TOLD_BY_THE_QUEUE)


async def merchant_down_database_down(shop: Shop) -> Run:
    order = await shop.order(policy=GIVES_UP)
    shop.outages.down("record", order.payment.id)
    shop.outages.down("finalise", order.payment.id)
    shop.merchants.answers[order.payment.id] = [WebhookFailed("down", status=503)] * 9
    await shop.paid(order)
    return shop.run(order)


async def duplicate_given_back(shop: Shop) -> Run:
    return await _given_back(shop, TOLD_BY_THE_QUEUE)


async def _given_back(shop: Shop, policy: PaymentPolicy) -> Run:
    first = await shop.order()
    second = await shop.order(again=first, policy=policy)
    run, payment = await shop.pending(second)
    await shop.paid(first)
    shop.provider.pay(payment.reference)
    await shop.notify(run, second)
    return run


async def refund_done(shop: Shop) -> Run:
    payment = await shop.paid(await shop.order())
    return await shop.start_refund(shop.refund_order(payment, 500))


async def refund_polled(shop: Shop) -> Run:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 500)
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.PENDING
    run = await shop.start_refund(order)
    await shop.sent("query_refund", order.refund.reference)
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.SUCCEEDED
    return run


async def refund_abnormal(shop: Shop) -> Run:
    payment = await shop.paid(await shop.order())
    order = shop.refund_order(payment, 500)
    shop.provider.refund_states[order.refund.reference] = RefundOutcome.ABNORMAL
    run: RefundRun = await shop.start_refund(order)
    await shop.refund_flagged(order.refund, Attention.REFUND_ABNORMAL)
    await shop.resolve_refund(run, ResolveAction.CLOSE)
    return run


async def refund_decided_on_record(shop: Shop) -> Run:
    return await refund_abnormal(shop)


async def late_refunded(shop: Shop) -> Run:
    order = await shop.order()
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)
    return await shop.late(order, payment)


async def late_after_a_lag(shop: Shop) -> Run:
    order = await shop.order()
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)
    lagging = Fault(report=report(payment, Outcome.CLOSED))
    shop.provider.script("query", payment.reference, lagging)
    return await shop.late(order, payment)


async def late_after_an_outage(shop: Shop) -> Run:
    order = await shop.order()
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)
    shop.provider.script("query", payment.reference, Fault(error=rejected("NO_AUTH")))
    return await shop.late(order, payment)


async def late_accepted(shop: Shop) -> Run:
    order = await shop.order(late=LatePolicy.ACCEPT)
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)
    return await shop.late(order, payment)


async def late_in_the_same_run(shop: Shop) -> Run:
    order = await shop.order()
    run, payment = await shop.pending(order)
    told = shop.hangs(payment)
    await shop.cancel(run)
    shop.provider.pay(payment.reference)
    await shop.notify(run, order)
    await shop.notify(run, order, amount=1)
    told.set()
    return run


async def automatic_refund(shop: Shop) -> Run:
    order = await shop.order()
    payment = await shop.closed(order)
    shop.provider.pay(payment.reference)
    await (await shop.late(order, payment)).result()
    [refund] = await eventually(lambda: shop.refunds.list_for_payment(payment.id))
    return shop.client.get_workflow_handle(refund_workflow_id(refund.id))


async def external_refund_recorded(shop: Shop) -> Run:
    payment = await shop.paid(await shop.order())
    refund = await record_external_refund(shop.client, payment, at_console(payment, 500))
    return shop.client.get_workflow_handle(refund_workflow_id(refund.id))


async def told_at_once(shop: Shop) -> Run:
    return await _paid(shop, await shop.order(policy=TOLD_AFTER_THE_END))


async def vetoed_at_once(shop: Shop) -> Run:
    return await _vetoed(shop, TOLD_AFTER_THE_END)


async def told_at_once_then_queued(shop: Shop) -> Run:
    return await _told_later(shop, TOLD_AFTER_THE_END)


async def told_by_the_fast_path(shop: Shop) -> Run:
    return await _paid(shop, await shop.order())


async def vetoed_by_the_fast_path(shop: Shop) -> Run:
    return await _vetoed(shop, TODAY)


async def told_by_the_fast_path_then_queued(shop: Shop) -> Run:
    return await _told_later(shop, TODAY)


async def duplicate_by_the_fast_path(shop: Shop) -> Run:
    return await _given_back(shop, TODAY)


async def _vetoed(shop: Shop, policy: PaymentPolicy) -> Run:
    order = await shop.order(policy=policy)
    shop.merchants.answers[order.payment.id] = [
        WebhookAnswer(status=200, decision="refund", reason="sold out")
    ]
    return await _paid(shop, order)


async def _told_later(shop: Shop, policy: PaymentPolicy) -> Run:
    order = await shop.order(policy=policy)
    busy = WebhookFailed("busy", retry_after=1, status=429)
    shop.merchants.answers[order.payment.id] = [busy]
    return await _paid(shop, order)


async def refund_polled_and_told_at_once(shop: Shop) -> Run:
    return await refund_polled(shop)


async def confirmed_at_once(shop: Shop) -> Run:
    policy = payment_policy(Channel.QR, confirm=True).model_copy(update=_APART)
    return await _paid(shop, await shop.order(policy=policy))


async def confirmed_by_the_fast_path(shop: Shop) -> Run:
    return await _paid(shop, await shop.order(policy=payment_policy(Channel.QR, confirm=True)))


async def confirmed_by_the_queue(shop: Shop) -> Run:
    policy = payment_policy(Channel.QR, confirm=True)
    policy = policy.model_copy(update={"confirm_fast": None, **_APART})
    return await _paid(shop, await shop.order(policy=policy))


async def _paid(shop: Shop, order: PaymentOrder) -> Run:
    await shop.checkout(order)
    shop.provider.pay(order.payment.reference)
    await shop.notify(shop.run(order), order)
    return shop.run(order)


PATHS: tuple[Callable[[Shop], Awaitable[Run]], ...] = (
    paid_by_notification,
    told_at_once,
    vetoed_at_once,
    told_at_once_then_queued,
    told_by_the_fast_path,
    vetoed_by_the_fast_path,
    told_by_the_fast_path_then_queued,
    duplicate_by_the_fast_path,
    refund_polled_and_told_at_once,
    confirmed_at_once,
    confirmed_by_the_queue,
    confirmed_by_the_fast_path,
    found_by_polling,
    closed_at_expiry,
    unknown_at_expiry,
    rejected_order,
    slow_submit,
    mismatch_resolved,
    decided_on_record,
    cancelled,
    cancelled_in_the_ui,
    closed_unseen,
    vetoed,
    merchant_down_database_down,
    duplicate_given_back,
    refund_done,
    refund_polled,
    refund_abnormal,
    refund_decided_on_record,
    late_refunded,
    late_after_a_lag,
    late_after_an_outage,
    late_accepted,
    late_in_the_same_run,
    automatic_refund,
    external_refund_recorded,
    *ALARM_PATHS,
    *CONFIRMATION_PATHS,
    *EVIDENCE_PATHS,
    *STORE_PATHS,
)


async def record(shop: Shop) -> None:
    wanted = sys.argv[1:]
    for path in PATHS:
        if wanted and path.__name__ not in wanted:
            continue
        run = await path(shop)
        await run.result()
        history = _anonymous(json.loads((await run.fetch_history()).to_json()))
        target = HISTORIES / f"{path.__name__}.json"
        target.write_text(json.dumps(history, indent=1, ensure_ascii=False) + "\n")
        _log.info("%s: %d events", path.__name__, len(history["events"]))


def _anonymous(found: Any) -> Any:
    """Without host names and file paths: replay does not read them."""
    if isinstance(found, dict):
        return {name: _anonymous(value) for name, value in found.items() if name != "stackTrace"}
    if isinstance(found, str):
        return _HOST.sub("recorder", found)
    return [_anonymous(item) for item in found] if isinstance(found, list) else found


async def main() -> None:
    with TemporaryDirectory() as folder:
        config = StackConfig(Path(folder), services=frozenset({Service.POSTGRES}))
        async with Stack(config) as stack, open_temporal() as temporal:
            await stack.migrate()
            database = Database(stack.database_url)
            async with open_shop(temporal, database) as shop:
                await record(shop)
            await database.close()


if __name__ == "__main__":
    logging.basicConfig(level=logging.INFO, format="%(message)s")
    logging.getLogger("temporalio").setLevel(logging.ERROR)
    asyncio.run(main())
