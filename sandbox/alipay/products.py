"""What else Alipay's gateway offers: methods that these applications have no permission for."""

PREFIXES = (
    "alipay.boss.",
    "alipay.business.",
    "alipay.commerce.",
    "alipay.data.",
    "alipay.ebpp.",
    "alipay.eco.",
    "alipay.fund.",
    "alipay.marketing.",
    "alipay.merchant.",
    "alipay.mobile.",
    "alipay.offline.",
    "alipay.open.",
    "alipay.pcredit.",
    "alipay.security.",
    "alipay.system.",
    "alipay.user.",
    "alipay.zdatafront.",
    "ant.merchant.",
    "anttech.",
    "datadigital.",
    "koubei.",
    "mybank.",
    "zhima.",
)
TRADE = (
    "alipay.trade.advance.consult",
    "alipay.trade.buyer.credit.confirm",
    "alipay.trade.customs.declare",
    "alipay.trade.customs.query",
    "alipay.trade.order.settle",
    "alipay.trade.order.settle.query",
    "alipay.trade.page.refund",
    "alipay.trade.refund.depositback.completed",
    "alipay.trade.repaybill.query",
    "alipay.trade.royalty.relation.batchquery",
    "alipay.trade.royalty.relation.bind",
    "alipay.trade.royalty.relation.unbind",
    "alipay.trade.settle.confirm",
    "alipay.trade.settle.receivables.query",
    "alipay.trade.vendorpay.devicedata.upload",
)


def is_offered(method: str) -> bool:
    """Return whether Alipay has this method, be it by its family's name."""
    return method in TRADE or method.startswith(PREFIXES)
