from sandbox.scenarios import ChaosCases, DemoPayment

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

CHAOS = ChaosCases(
    accounts=("cert", "pubkey"),
    channels=("app", "jsapi", "wap", "qr", "barcode"),
    code_prefix="13006",
    open_ids=("oUpF8uMuAJO_M2pxb1Q9zNjWeS6o", "oUpF8uN95-Ptaags6E_roPHg7AG0"),
    notification_faults=("escaped_slashes",),
    calls_outside_payments=("certificates",),
)
