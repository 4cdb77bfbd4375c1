from typing import Any

from tests.sandbox.conftest import Precreate
from tests.sandbox.rig import Rig


async def test_a_pretend_merchant_records_and_answers_as_scripted(rig: Rig) -> None:
    await rig.control("merchant/tea", status=200, body={"decision": "refund"})
    await rig.control("merchant/tea", status=503, text="later", times=1)
    headers = {"webhook-id": "msg_1", "content-type": "application/json"}
    answers = [
        await rig.client.post("/merchant/tea/webhooks", content=b'{"n": 1}', headers=headers)
        for _ in range(3)
    ]
    assert [answer.status_code for answer in answers] == [503, 200, 200]
    assert answers[0].text == "later"
    assert answers[1].json() == {"decision": "refund"}
    received: list[dict[str, Any]] = await rig.look("merchant/tea")
    assert [webhook["body"] for webhook in received] == ['{"n": 1}'] * 3
    assert received[0]["headers"]["webhook-id"] == "msg_1"
    assert await rig.look("merchant/coffee") == []


async def test_an_inbox_can_be_emptied(rig: Rig) -> None:
    await rig.control("merchant/tea", status=500)
    await rig.client.post("/merchant/tea/webhooks")
    await rig.client.delete("/_sandbox/merchant/tea")
    assert await rig.look("merchant/tea") == []
    assert (await rig.client.post("/merchant/tea/webhooks")).status_code == 200


async def test_nobody_pays_what_does_not_exist(rig: Rig) -> None:
    for content in ({"provider": "alipay", "reference": "x"}, {"provider": "applepay"}, {}):
        assert (await rig.client.post("/_sandbox/pay", json=content)).status_code == 404


async def test_a_reset_forgets_everything_but_the_keys(
    rig: Rig, precreate: Precreate, reference: str
) -> None:
    rig.receiver.default = b"fail"
    await precreate()
    await rig.control("pay", provider="alipay", reference=reference)
    await rig.receiver.wait_for(1)
    await rig.control("reset")
    assert await rig.look("orders") == []
    assert await rig.look("ledger") == []
    assert (await rig.look("notifications")) == {"attempts": [], "deliveries": []}
    assert await precreate()


async def test_alipay_keys_do_not_rotate(rig: Rig) -> None:
    response = await rig.client.post("/_sandbox/keys/rotate", json={"provider": "alipay"})
    assert response.status_code == 422


async def test_records_are_filtered(rig: Rig, precreate: Precreate, reference: str) -> None:
    await precreate()
    assert len(await rig.look("orders", provider="alipay", reference=reference)) == 1
    assert await rig.look("orders", provider="wechatpay") == []
    assert await rig.look("refunds") == []
