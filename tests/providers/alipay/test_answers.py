import json
from collections.abc import Callable
from typing import Any

import pytest

from domain.errors import OutcomeUnknown, ProviderRejected
from tests.providers.alipay.conftest import Order
from tests.providers.alipay.fake import FakeAlipay, Keys

QUERY = "alipay.trade.query"
NODE = "alipay_trade_query_response"
AES_KEY = "aa4BtZ4tspm2wnXLb1ThQA=="
PAID = {"code": "10000", "msg": "Success", "trade_status": "TRADE_SUCCESS", "total_amount": "19.99"}


def forged(change: Callable[[FakeAlipay, bytes], bytes], name: str) -> Any:
    return pytest.param(change, id=name)


@pytest.mark.parametrize(
    "change",
    [
        forged(lambda _, body: body.replace(b"19.99", b"99.99"), "changed amount"),
        forged(lambda _, body: body.replace(b'": "', b'":"'), "re-serialised"),
        forged(lambda _, body: body[:-30], "cut off"),
        forged(lambda _, body: body + b"{}", "two objects"),
        forged(lambda _, body: b"\xff" + body, "other charset"),
        forged(lambda _, body: b"\xef\xbb\xbf" + body, "byte order mark"),
        forged(lambda _, body: b'{"' + NODE.encode() + b'":{"code":"40004"},' + body[1:], "twice"),
        forged(lambda _, body: b'{"error_response":{"code":"20000"},' + body[1:], "two answers"),
        forged(lambda _, body: body.replace(b'"sign"', b'"sig"'), "unsigned"),
        forged(lambda fake, _: fake.envelope("other_response", json.dumps(PAID)), "another method"),
        forged(lambda fake, _: fake.envelope(NODE, '["10000"]'), "no object"),
        forged(lambda fake, _: fake.envelope(NODE, '{"msg":"Success"}'), "no code"),
        forged(lambda fake, _: fake.envelope(NODE, '{"code":10000}'), "code is no text"),
        forged(lambda *_: b"<html>", "html"),
        forged(lambda *_: b" ", "blank"),
    ],
)
async def test_an_answer_that_is_not_alipays_own_is_an_unknown_outcome(
    alipay: FakeAlipay,
    account: dict[str, Any],
    payment: Order,
    change: Callable[[FakeAlipay, bytes], bytes],
) -> None:
    alipay.body = change(alipay, alipay.envelope(NODE, json.dumps(PAID)))
    with pytest.raises(OutcomeUnknown):
        await alipay.provider(account).query(payment())


async def test_another_key_than_alipays_proves_nothing(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order, keys: Keys
) -> None:
    alipay.nodes[QUERY] = PAID
    for signer in (keys.stranger, keys.app):
        alipay.signer = signer
        with pytest.raises(OutcomeUnknown):
            await alipay.provider(account).query(payment())


async def test_an_unsigned_rejection_is_a_hint_and_never_a_no(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order
) -> None:
    alipay.body = (
        b'{"error_response":{"code":"40002","msg":"Invalid Arguments",'
        b'"sub_code":"isv.invalid-app-id","sub_msg":"who are you"}}'
    )
    with pytest.raises(OutcomeUnknown) as caught:
        await alipay.provider(account).create(payment())
    assert caught.value.provider_code == "isv.invalid-app-id"
    assert caught.value.provider_message == "who are you"


async def test_a_signed_rejection_of_the_gateway_is_a_no(
    alipay: FakeAlipay, account: dict[str, Any], payment: Order
) -> None:
    node = '{"code":"40002","msg":"Invalid","sub_code":"isv.invalid-signature","sub_msg":"a&amp;b"}'
    alipay.body = alipay.envelope("error_response", node)
    with pytest.raises(ProviderRejected) as caught:
        await alipay.provider(account).create(payment())
    assert caught.value.provider_code == "isv.invalid-signature"
