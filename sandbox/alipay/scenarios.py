from sandbox.scenarios import ChaosCases, DemoPayment

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

CHAOS = ChaosCases(
    accounts=("main", "cert", "aes"),
    channels=("app", "page", "wap", "qr", "jsapi", "barcode"),
    code_prefix="28123",
    open_ids=("074a1CcTG1LelxKe4xQC0zgNdId0nxi95b5", "061P6NAblcWDWJoDRxSVvOYz-ufp-3wQaA4E"),
    local=frozenset({"app", "page", "wap"}),
    late_channels=("app", "page", "wap", "qr"),
    notification_faults=("gbk",),
    refund_faults=("fund_change_n",),
    varies_server_errors=True,
    repeats_slowly=True,
)
