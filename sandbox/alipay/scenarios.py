from sandbox.scenarios import DemoPayment

DEMO = (
    DemoPayment(account="main", channel="app", amount=1999),
    DemoPayment(account="main", channel="page", amount=12900),
    DemoPayment(account="cert", channel="wap", amount=4550),
    DemoPayment(account="aes", channel="qr", amount=880),
    DemoPayment(
        account="cert",
        channel="jsapi",
        amount=3600,
        payer={"open_id": "074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5"},
    ),
    DemoPayment(account="main", channel="barcode", amount=1250, payer={"auth_code": "281234"}),
    DemoPayment(account="main", channel="qr", amount=7300, course="lost"),
    DemoPayment(account="main", channel="qr", amount=9900, course="expired"),
)
