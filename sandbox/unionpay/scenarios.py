from sandbox.scenarios import DemoPayment

DEMO = (
    DemoPayment(account="main", channel="app", amount=3999),
    DemoPayment(account="main", channel="page", amount=8800),
    DemoPayment(account="old", channel="wap", amount=1560),
    DemoPayment(account="sm3", channel="qr", amount=720),
    DemoPayment(account="main", channel="barcode", amount=4300, payer={"auth_code": "6228480"}),
    DemoPayment(account="main", channel="qr", amount=5100, course="refunded"),
)
