# What UnionPay says: its codes, and the internal number that ends every message.
MESSAGES = {
    "00": ("成功", "0000000"),
    "A6": ("有缺陷的成功", "0000006"),
    "01": ("交易失败，详情请咨询95516", "6100001"),
    "02": ("系统未开放或暂时关闭，请稍后再试", "6100002"),
    "03": ("交易通讯超时，请发起查询交易", "6100003"),
    "04": ("交易状态未明，请查询对账结果", "6100004"),
    "05": ("交易已受理，请稍后查询交易结果", "6154037"),
    "06": ("系统繁忙，请稍后再试", "6100006"),
    "10": ("报文格式错误", "9100010"),
    "11": ("验证签名失败", "9100004"),
    "12": ("重复交易", "2010002"),
    "13": ("报文交易要素缺失", "9100013"),
    "31": ("商户状态不正确", "2040001"),
    "32": ("无此交易权限", "2040002"),
    "33": ("交易金额超限", "2040003"),
    "34": ("查无此交易", "2600000"),
    "35": ("原交易不存在或状态不正确", "2011000"),
    "36": ("与原交易信息不符", "2011001"),
    "37": ("已超过最大查询次数或操作过于频繁", "2600037"),
    "42": ("扣款成功但交易超过规定支付时间", "6100042"),
    "43": ("无此业务权限，详情请咨询95516", "2040043"),
    "45": ("原交易已被成功退货或已被成功撤销", "2011045"),
    "46": ("原交易已被成功冲正", "2011046"),
    "64": ("卡余额不足", "1000064"),
    "71": ("动态口令或短信验证码校验失败", "1000071"),
    "74": ("扣款成功，销账未知", "6100074"),
    "75": ("扣款成功，销账失败", "6100075"),
    "76": ("需要验密开通", "1000076"),
    "86": ("二维码状态错误", "1000086"),
    "88": ("没有找到对应的二维码", "1000088"),
    "90": ("账户余额不足", "1000090"),
    "91": ("认证失败", "1000091"),
}
REFUND_TOO_OLD = "4040007"


class AcpError(Exception):
    """An answer with another `respCode` than 00; `detail` joins the message."""

    def __init__(self, code: str, detail: str = "", number: str | None = None) -> None:
        super().__init__(f"{code} {detail}")
        self.code = code
        self.message = message(code, detail, number)


def message(code: str, detail: str = "", number: str | None = None) -> str:
    """The text that goes with a code, its internal number in brackets."""
    text, usual = MESSAGES.get(code, ("交易失败", f"61000{code:>2}"))
    return f"{text}{'：' + detail if detail else ''}[{number or usual}]"


def malformed(field: str) -> AcpError:
    """A field that does not look as it must."""
    return AcpError("10", field)


def missing(field: str) -> AcpError:
    """A field that must be there."""
    return AcpError("13", field)
