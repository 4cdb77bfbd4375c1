from typing import Any

from tests.sandbox.alipay_shop import AlipayShop
from tests.sandbox.conftest import Precreate
from tests.sandbox.rig import Rig


async def test_the_list_shows_what_waits_for_a_payer(
    rig: Rig, precreate: Precreate, reference: str
) -> None:
    assert "No order is waiting" in (await rig.client.get("/cashier/")).text
    await precreate()
    assert f"/cashier/alipay/{reference}" in (await rig.client.get("/cashier/")).text
    await rig.control("pay", provider="alipay", reference=reference)
    assert reference not in (await rig.client.get("/cashier/")).text


async def test_a_sellers_text_is_not_markup(
    rig: Rig, shop: AlipayShop, order: dict[str, Any]
) -> None:
    evil = "<script>alert(1)</script>"
    node = await shop.call("alipay.trade.precreate", order | {"subject": evil})
    page = (await rig.client.get(node["qr_code"])).text
    assert evil not in page
    assert "&lt;script&gt;" in page


async def test_the_pay_button_pays_and_sends(rig: Rig, precreate: Precreate) -> None:
    page = await rig.client.post(f"{await precreate()}/pay")
    assert "Paid." in page.text
    assert (await rig.receiver.form())["trade_status"] == "TRADE_SUCCESS"


async def test_the_silent_button_pays_and_sends_nobody(rig: Rig, precreate: Precreate) -> None:
    page = await rig.client.post(f"{await precreate()}/pay-silently")
    assert "will not be told" in page.text
    assert len(await rig.look("ledger")) == 1
    assert (await rig.look("notifications"))["deliveries"] == []


async def test_the_cancel_button_pays_nothing_and_may_be_regretted(
    rig: Rig, precreate: Precreate
) -> None:
    qr_code = await precreate()
    assert "Cancelled" in (await rig.client.post(f"{qr_code}/cancel")).text
    assert await rig.look("ledger") == []
    assert (await rig.client.post(f"{qr_code}/pay")).status_code == 200


async def test_a_second_payment_is_rejected(rig: Rig, precreate: Precreate) -> None:
    qr_code = await precreate()
    await rig.client.post(f"{qr_code}/pay")
    assert (await rig.client.post(f"{qr_code}/pay")).status_code == 409
    assert len(await rig.look("ledger")) == 1


async def test_what_does_not_exist_is_not_found(rig: Rig) -> None:
    for path in ("alipay/nothing", "applepay/nothing"):
        assert (await rig.client.get(f"/cashier/{path}")).status_code == 404
        assert (await rig.client.post(f"/cashier/{path}/pay")).status_code == 404
