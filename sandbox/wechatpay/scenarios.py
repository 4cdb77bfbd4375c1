from sandbox.scenarios import DemoPayment

_AT_AN_ADDRESS = {"client_ip": "203.0.113.7"}
DEMO = (
    DemoPayment(account="cert", channel="app", amount=2999, payer=_AT_AN_ADDRESS),
    DemoPayment(
        account="pubkey",
        channel="jsapi",
        amount=690,
        payer={"open_id": "oUpF8uMuAJO_M2pxb1Q9zNjWeS6o"},
    ),
    DemoPayment(account="cert", channel="wap", amount=5500, payer=_AT_AN_ADDRESS),
    DemoPayment(account="pubkey", channel="qr", amount=100, payer=_AT_AN_ADDRESS),
    # WeChat Pay answers the call, and sends no notification of it.
    DemoPayment(
        account="cert",
        channel="barcode",
        amount=2350,
        payer={"auth_code": "130061"},
        notified=False,
    ),
    DemoPayment(account="cert", channel="qr", amount=6400, payer=_AT_AN_ADDRESS, course="refunded"),
)
