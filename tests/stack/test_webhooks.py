import pytest

from tests.stack.books import books_agree
from tests.stack.shop import Shop

pytestmark = pytest.mark.stack


async def test_waiting_for_its_turn_does_not_make_an_event_slow_to_be_tried_again(
    shop: Shop,
) -> None:
    """The refund's event waits for the payment's; its own first failure is still its first."""
    for status in (500, 200, 500):
        await shop.answer_webhooks(status, times=1)
    order = shop.order("wechatpay")
    await order.create()
    await order.pay()
    await order.shows(status="succeeded")

    await order.refund(300)

    await order.told("payment.succeeded", "refund.succeeded", within=25)
    assert [message["status"] for message in await shop.inbox()] == [500, 200, 500, 200]
    await books_agree(shop)
