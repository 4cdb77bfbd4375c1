"""What chaos tests have found, each as one payment."""

import pytest

from tests.stack.books import books_agree
from tests.stack.shop import Shop
from tests.stack.waiting import eventually

pytestmark = pytest.mark.stack


async def test_news_of_a_refunds_trouble_that_its_success_overtook_calls_nobody(
    shop: Shop,
) -> None:
    order = shop.order("wechatpay")
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")
    await order.told("payment.succeeded")
    troubled = {"status": "PROCESSING", "then": "ABNORMAL", "seconds": 20}
    await order.fault("refund", "refund_status", troubled)
    await order.fault("notify", "reorder", {"seconds": 60})
    await order.refund(300)

    named = {"provider": "wechatpay", "refund_reference": order.refund_reference()}

    async def in_trouble() -> None:
        [refund] = await shop.look("refunds", **named)
        assert refund["status"] == "ABNORMAL"

    await eventually(in_trouble)
    await shop.control("refunds/complete", **named)

    await order.refund_shows(status="succeeded", attention=None)

    async def both_arrived() -> None:
        attempts = (await shop.look("notifications"))["attempts"]
        told = [a for a in attempts if a["reference"] == order.reference and a["kind"] == "refund"]
        assert [a["accepted"] for a in told] == [True, True]

    await eventually(both_arrived)
    await order.shows(attention=None, refunded=300)
    await books_agree(shop)
