"""wechatpayv3 against the sandbox, with platform certificates and with a public key.

Usage: check.py MANIFEST.
"""

import json
import secrets
import sys
from pathlib import Path
from typing import Any

from oracle import Message, Receiver, Sandbox, check, fails, holds, new_reference, same
from sdk import build
from wechatpayv3 import WeChatPay, WeChatPayType

TEXT = "三体 & 黑暗森林"
FEN = 8888
AMOUNT = {"total": FEN, "currency": "CNY"}
DEVICE = {"payer_client_ip": "203.0.113.9"}


class Shop:
    """One merchant: its client, and what its notifications say."""

    def __init__(self, sandbox: Sandbox, client: WeChatPay, receiver: Receiver) -> None:
        self.sandbox, self.client, self.receiver = sandbox, client, receiver

    def pay(self, reference: str, kind: WeChatPayType, **more: Any) -> dict[str, Any]:
        """Order; the answer must be good, and the SDK has verified it."""
        return good(
            self.client.pay(
                description=TEXT, out_trade_no=reference, amount=AMOUNT, pay_type=kind, **more
            )
        )

    def paid(self) -> str:
        """The number of a new paid order, its notification taken off."""
        reference = new_reference()
        self.pay(reference, WeChatPayType.NATIVE)
        self.sandbox.do("pay", provider="wechatpay", reference=reference)
        self.next("TRANSACTION.SUCCESS", reference)
        return reference

    def next(self, event: str, reference: str) -> tuple[Message, dict[str, Any]]:
        """The next notification of that event and order, as the SDK opens it."""
        while True:
            message = self.receiver.next()
            content = self.client.callback(message.headers, message.body)
            holds(content, "a notification does not verify or open")
            found = (content["event_type"], content["resource"]["out_trade_no"])
            if found == (event, reference):
                return message, dict(content)


def good(answer: tuple[int, Any]) -> dict[str, Any]:
    """The content of an answer that must be good."""
    status, body = answer
    holds(status in (200, 204), answer)
    return dict(json.loads(body)) if body else {}


def code(answer: tuple[int, Any]) -> tuple[int, str]:
    """Status and error code of a refusal."""
    status, body = answer
    return status, json.loads(body)["code"]


def check_ordering(shop: Shop, mode: str) -> None:
    """Every kind of order that has a checkout."""
    with check(f"{mode}: native gives a code, h5 an address"):
        holds(shop.pay(new_reference(), WeChatPayType.NATIVE)["code_url"].startswith("weixin://"))
        h5 = DEVICE | {"h5_info": {"type": "Wap"}}
        holds(shop.pay(new_reference(), WeChatPayType.H5, scene_info=h5)["h5_url"])
    with check(f"{mode}: jsapi and app give a prepay_id"):
        payer = {"openid": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"}
        holds(shop.pay(new_reference(), WeChatPayType.JSAPI, payer=payer)["prepay_id"])
        holds(shop.pay(new_reference(), WeChatPayType.APP)["prepay_id"])
    with check(f"{mode}: the same number again is fine, with another amount it is refused"):
        reference = new_reference()
        shop.pay(reference, WeChatPayType.NATIVE)
        shop.pay(reference, WeChatPayType.NATIVE)
        other = shop.client.pay(description=TEXT, out_trade_no=reference, amount={"total": 1})
        holds(other[0] in (400, 403), other)


def check_paying(shop: Shop, mode: str) -> None:
    """From the checkout to the payment: answer, notification, query."""
    reference = new_reference()
    with check(f"{mode}: an order is NOTPAY until it is paid"):
        shop.pay(reference, WeChatPayType.NATIVE)
        same(good(shop.client.query(out_trade_no=reference))["trade_state"], "NOTPAY")
    with check(f"{mode}: the notification verifies and opens; altered or re-dated it does not"):
        shop.sandbox.do("pay", provider="wechatpay", reference=reference)
        message, content = shop.next("TRANSACTION.SUCCESS", reference)
        same(content["resource"]["amount"]["total"], FEN)
        same(content["resource"]["trade_state"], "SUCCESS")
        altered = message.body.replace(b"SUCCESS", b"SUCCES5", 1)
        same(shop.client.callback(message.headers, altered), None)
        later = {k: v for k, v in message.headers.items() if k.lower() != "wechatpay-timestamp"}
        same(
            shop.client.callback(later | {"Wechatpay-Timestamp": "1700000000"}, message.body), None
        )
    with check(f"{mode}: query tells the status and the amount, by either number"):
        answer = good(shop.client.query(out_trade_no=reference))
        same((answer["trade_state"], answer["amount"]["total"]), ("SUCCESS", FEN))
        same(good(shop.client.query(transaction_id=answer["transaction_id"])), answer)
    with check(f"{mode}: an unknown order is refused"):
        same(code(shop.client.query(out_trade_no=new_reference())), (404, "ORDER_NOT_EXIST"))


def check_refunds(shop: Shop, mode: str) -> None:
    """Money goes back once, in parts, and never beyond what was paid."""
    reference, first, second = shop.paid(), new_reference(), new_reference()

    def give_back(number: str, fen: int) -> tuple[int, Any]:
        amount = {"refund": fen, "total": FEN, "currency": "CNY"}
        return shop.client.refund(number, amount, out_trade_no=reference, reason=TEXT)

    with check(f"{mode}: two parts go back, a repeat moves nothing"):
        for number, fen in ((first, 888), (first, 888), (second, 3000)):
            holds(good(give_back(number, fen))["status"] in ("PROCESSING", "SUCCESS"))
    with check(f"{mode}: the notification of a refund verifies and opens"):
        told = [shop.next("REFUND.SUCCESS", reference)[1]["resource"] for _ in range(2)]
        sums = {each["out_refund_no"]: each["amount"]["refund"] for each in told}
        same(sums, {first: 888, second: 3000})
        same(shop.sandbox.refunded(reference), [888, 3000])
    with check(f"{mode}: the refund query knows what was done and what was not"):
        answer = good(shop.client.query_refund(second))
        same((answer["status"], answer["amount"]["refund"]), ("SUCCESS", 3000))
        same(code(shop.client.query_refund(new_reference())), (404, "RESOURCE_NOT_EXISTS"))
    with check(f"{mode}: more than was paid is refused"):
        holds(give_back(new_reference(), 5001)[0] in (400, 403))
        same(shop.sandbox.refunded(reference), [888, 3000])


def check_ending(shop: Shop, mode: str) -> None:
    """Orders that end without a payer, and payments at the till."""
    with check(f"{mode}: closing answers 204, signed over nothing, and the order is CLOSED"):
        reference = new_reference()
        shop.pay(reference, WeChatPayType.NATIVE)
        same(shop.client.close(reference)[0], 204)
        same(good(shop.client.query(out_trade_no=reference))["trade_state"], "CLOSED")
    with check(f"{mode}: a code at the till pays at once"):
        reference = new_reference()
        place = {"store_info": {"id": "1"}}
        payer = {"auth_code": f"13{secrets.randbelow(10**12):012}9406"}
        answer = shop.pay(reference, WeChatPayType.CODEPAY, payer=payer, scene_info=place)
        same((answer["trade_state"], answer["amount"]["total"]), ("SUCCESS", FEN))
    with check(f"{mode}: an answer that is signed wrongly on purpose is not believed"):
        fault = {"provider": "wechatpay", "operation": "query", "kind": "signtest", "times": 1}
        shop.sandbox.do("faults", **fault)
        fails(lambda: shop.client.query(out_trade_no=reference), Exception)


def check_refusals(sandbox: Sandbox, receiver: Receiver) -> None:
    """Who is not the merchant, or not the provider, is not believed."""
    merchants = sandbox.manifest["wechatpay"]["merchants"]
    with check("a request signed by another merchant's key is refused"):
        key = Path(merchants["cert"]["merchant_private_key_file"]).read_text()
        forger = build(sandbox, "pubkey", receiver.url, private_key=key)
        same(code(forger.query(out_trade_no="x")), (401, "SIGN_ERROR"))
    with check("a wrong API v3 key opens no certificate"):
        fails(lambda: build(sandbox, "cert", receiver.url, apiv3_key="0" * 32), Exception)


def check_rotation(shop: Shop) -> None:
    """Platform certificates change while payments go on."""
    with check("certificates: a new platform certificate is fetched when it first signs"):
        shop.sandbox.do("keys/rotate", provider="wechatpay", mode="overlap")
        known = len(shop.client._core._certificates)  # noqa: SLF001 - nothing else tells
        reference = shop.paid()
        for _ in range(3):
            same(good(shop.client.query(out_trade_no=reference))["trade_state"], "SUCCESS")
        same((known, len(shop.client._core._certificates)), (1, 2))  # noqa: SLF001
    with check("certificates: the old one may then go"):
        shop.sandbox.do("keys/rotate", provider="wechatpay", mode="finish")
        shop.paid()


def main() -> None:
    """Every check, in the order of a payment."""
    sandbox = Sandbox(Path(sys.argv[1]))
    with Receiver(status=204, body=b"") as receiver:
        check_refusals(sandbox, receiver)
        for name, mode in (("cert", "certificates"), ("pubkey", "public key")):
            shop = Shop(sandbox, build(sandbox, name, receiver.url), receiver)
            check_ordering(shop, mode)
            check_paying(shop, mode)
            check_refunds(shop, mode)
            check_ending(shop, mode)
            if name == "cert":
                check_rotation(shop)


if __name__ == "__main__":
    main()
