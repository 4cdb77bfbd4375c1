from sandbox.scenarios import FORGERIES, ChaosCases, DemoPayment

DEMO = (
    DemoPayment(account="main", channel="app", amount=3999),
    DemoPayment(account="main", channel="page", amount=8800),
    DemoPayment(account="old", channel="wap", amount=1560),
    DemoPayment(account="sm3", channel="qr", amount=720),
    DemoPayment(account="main", channel="barcode", amount=4300, payer={"auth_code": "6228480"}),
    DemoPayment(account="main", channel="qr", amount=5100, course="refunded"),
)

# Certificates that must not sign for UnionPay.
_SIGNERS = ("foreign_ca", "wrong_cn", "expired_certificate")
CHAOS = ChaosCases(
    accounts=("main", "old", "sha256", "sm3"),
    channels=("app", "page", "wap", "qr", "barcode"),
    code_prefix="622848",
    local=frozenset({"page", "wap"}),
    closes=False,
    call_faults=_SIGNERS,
    notification_faults=("gbk", "resp_code", *_SIGNERS),
    forgeries=(*FORGERIES, *_SIGNERS),
)
