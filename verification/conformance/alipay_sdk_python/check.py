"""The official alipay-sdk-python against the sandbox; it knows public-key mode and AES only.

Usage: check.py MANIFEST.
"""

import secrets
import sys
import urllib.request
from pathlib import Path
from typing import Any

from alipay.aop.api.exception.Exception import RequestException, ResponseException
from alipay.aop.api.util.SignatureUtils import get_sign_content, verify_with_rsa
from oracle import Receiver, Sandbox, check, fails, holds, new_reference, same
from rsa.pkcs1 import VerificationError
from sdk import Client, bridge_cipher, configuration

ORDER = {"subject": "三体 & 黑暗{森林}", "total_amount": "88.88"}
FEN = 8888


def about(reference: str) -> Any:
    """A filter for the receiver: notifications of this order."""
    return lambda message: message.form().get("out_trade_no") == reference


def is_genuine(public_key: str, form: dict[str, str]) -> bool:
    """The SDK has no verb for notifications; its manual puts these two functions together."""
    rest = {key: value for key, value in form.items() if key not in ("sign", "sign_type")}
    try:
        return bool(verify_with_rsa(public_key, get_sign_content(rest).encode(), form["sign"]))
    except VerificationError:
        return False


def check_paying(sandbox: Sandbox, client: Client, receiver: Receiver, app: str) -> None:
    """From the checkout to the payment: answer, notification, query."""
    qr, phone = new_reference(), new_reference()
    key = configuration(sandbox, app).alipay_public_key
    with check(f"{app}: precreate answers with a code, signed by Alipay"):
        answer = client.call("trade.precreate", out_trade_no=qr, **ORDER)
        same((answer["code"], answer["out_trade_no"]), ("10000", qr))
        code = answer["qr_code"]
    with check(f"{app}: a trade that nobody opened does not exist"):
        same(client.call("trade.query", out_trade_no=qr)["sub_code"], "ACQ.TRADE_NOT_EXIST")
    with check(f"{app}: the notification verifies, an altered one does not"):
        sandbox.do("pay", provider="alipay", checkout=code)
        form = receiver.next(about(qr)).form()
        same((form["trade_status"], form["total_amount"]), ("TRADE_SUCCESS", "88.88"))
        same(form["subject"], ORDER["subject"])
        holds(is_genuine(key, form), "the notification verifies")
        holds(not is_genuine(key, form | {"total_amount": "0.01"}), "an altered one was believed")
    with check(f"{app}: query tells the status and the amount"):
        answer = client.call("trade.query", out_trade_no=qr)
        same((answer["trade_status"], answer["total_amount"]), ("TRADE_SUCCESS", "88.88"))
    with check(f"{app}: an order string opens a trade on the phone"):
        order = client.order_string(out_trade_no=phone, product_code="QUICK_MSECURITY_PAY", **ORDER)
        paid = sandbox.do("pay", provider="alipay", checkout=order)
        same((paid["reference"], paid["amount"]), (phone, FEN))
    for name, product in (
        ("trade.page.pay", "FAST_INSTANT_TRADE_PAY"),
        ("trade.wap.pay", "QUICK_WAP_WAY"),
    ):
        with check(f"{app}: the address of {name} brings a browser to the cashier"):
            reference = new_reference()
            url = client.page(name, out_trade_no=reference, product_code=product, **ORDER)
            query = url.partition("?")[2]
            gateway = sandbox.manifest["alipay"]["gateway_url"]
            with urllib.request.urlopen(f"{gateway}?{query}", timeout=20) as shown:  # noqa: S310
                holds(reference in shown.geturl(), shown.geturl())


def check_refunds(sandbox: Sandbox, client: Client, app: str) -> None:
    """Money goes back once, in parts, and never beyond what was paid."""
    reference = new_reference()
    with check(f"{app}: a code at the till pays at once"):
        till = {"scene": "bar_code", "auth_code": f"28{secrets.randbelow(10**12):012}8888", **ORDER}
        answer = client.call("trade.pay", out_trade_no=reference, **till)
        same((answer["code"], answer["total_amount"]), ("10000", "88.88"))
    with check(f"{app}: two parts go back, a repeat moves nothing"):
        parts = [("8.88", "r1"), ("8.88", "r1"), ("30.00", "r2")]
        answers = [
            client.call(
                "trade.refund", out_trade_no=reference, refund_amount=amount, out_request_no=number
            )
            for amount, number in parts
        ]
        same([answer["fund_change"] for answer in answers], ["Y", "N", "Y"])
        same(sandbox.refunded(reference), [888, 3000])
    with check(f"{app}: the refund query knows what was done"):
        asked = {"out_trade_no": reference, "out_request_no": "r2"}
        answer = client.call("trade.fastpay.refund.query", **asked)
        same((answer["code"], answer["refund_amount"]), ("10000", "30.00"))
    with check(f"{app}: more than was paid is refused"):
        asked = {"out_trade_no": reference, "out_request_no": "r3", "refund_amount": "50.01"}
        same(client.call("trade.refund", **asked)["code"], "40004")


def check_ending(sandbox: Sandbox, client: Client, app: str) -> None:
    """Orders that end without a payer, and payments at the till."""
    with check(f"{app}: an open trade closes and stays closed"):
        reference = new_reference()
        client.call("trade.precreate", out_trade_no=reference, **ORDER)
        sandbox.do("open", provider="alipay", reference=reference)
        same(client.call("trade.close", out_trade_no=reference)["code"], "10000")
        answer = client.call("trade.query", out_trade_no=reference)
        same(answer["trade_status"], "TRADE_CLOSED")
    with check(f"{app}: an answer that Alipay did not sign is not believed"):
        sandbox.do("faults", provider="alipay", operation="query", kind="bad_signature", times=1)
        fails(lambda: client.call("trade.query", out_trade_no="x"), ResponseException)


def check_known_faults(sandbox: Sandbox, receiver: Receiver) -> None:
    """What this SDK gets wrong, so that a fixed version is noticed."""
    with check("known fault of this SDK: its content encryption fails on Python 3"):
        client = Client(configuration(sandbox, "aes"), receiver.url)
        fails(lambda: client.call("trade.query", out_trade_no="x"), TypeError)
    with check("known fault of this SDK: a gateway with a port cannot be reached"):
        config = configuration(sandbox, "main")
        config.server_url = sandbox.manifest["alipay"]["gateway_url"]
        client = Client(config, receiver.url)
        try:
            fails(lambda: client.call("trade.query", out_trade_no="x"), TypeError)
        except RequestException as error:
            raise AssertionError("it fails in another way now") from error


def main() -> None:
    """Every check, in the order of a payment."""
    sandbox = Sandbox(Path(sys.argv[1]))
    with Receiver(status=200, body=b"success") as receiver:
        check_known_faults(sandbox, receiver)
        bridge_cipher()
        for app in ("main", "aes"):
            client = Client(configuration(sandbox, app), receiver.url)
            check_paying(sandbox, client, receiver, app)
            check_refunds(sandbox, client, app)
            check_ending(sandbox, client, app)


if __name__ == "__main__":
    main()
