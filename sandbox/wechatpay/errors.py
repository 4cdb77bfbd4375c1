from typing import Any

CODES: dict[str, tuple[int, str]] = {
    # Pending, not an error: the payer is typing a password.
    "USERPAYING": (202, "用户支付中，需要输入密码"),
    "PARAM_ERROR": (400, "参数错误"),
    "INVALID_REQUEST": (400, "请求参数符合参数格式，但不符合业务规则"),
    "APPID_MCHID_NOT_MATCH": (400, "AppID和mch_id不匹配"),
    "MCH_NOT_EXISTS": (400, "商户号不存在"),
    "ORDER_CLOSED": (400, "订单已关闭"),
    "ORDERPAID": (400, "该订单已支付"),
    "AUTHCODEEXPIRE": (400, "付款码已过期，请用户刷新后重试"),
    "AUTH_CODE_INVALID": (400, "付款码无效，请扫描用户的付款码"),
    "SIGN_ERROR": (401, "签名错误，请检查后再试"),
    "NO_AUTH": (403, "商户无权限"),
    "RULE_LIMIT": (403, "业务规则限制"),
    "TRADE_ERROR": (403, "交易错误"),
    "ACCOUNT_ERROR": (403, "账号异常"),
    "NOT_ENOUGH": (403, "余额不足"),
    "USER_ACCOUNT_ABNORMAL": (403, "用户账户异常，无法退款"),
    "OUT_TRADE_NO_USED": (403, "商户订单号重复"),
    "ORDER_NOT_EXIST": (404, "订单不存在"),
    "RESOURCE_NOT_EXISTS": (404, "查询的资源不存在"),
    "FREQUENCY_LIMITED": (429, "频率超限"),
    "RATELIMIT_EXCEEDED": (429, "接口请求频率超限"),
    "RATE_LIMITED": (429, "请求过于频繁"),
    "SYSTEM_ERROR": (500, "系统异常，请稍后重试"),
    "BANK_ERROR": (500, "银行系统异常"),
    "OPENID_MISMATCH": (500, "openid和appid不匹配"),
    "INVALID_TRANSACTIONID": (500, "无效transaction_id"),
    "SERVICE_UNAVAILABLE": (503, "服务不可用，请稍后重试"),
}


class ApiError(Exception):
    """An answer with `code`, `message` and maybe `detail`; `status` defaults to the code's own.

    The status of a code that the table does not know is 400.
    """

    def __init__(
        self,
        code: str,
        message: str | None = None,
        *,
        detail: dict[str, Any] | None = None,
        status: int | None = None,
    ) -> None:
        usual_status, usual_message = CODES.get(code, (400, "请求失败"))
        self.code = code
        self.message = message or usual_message
        self.detail = detail
        self.status = status or usual_status
        super().__init__(f"{self.status} {code}: {self.message}")

    def content(self) -> dict[str, Any]:
        """The answer's body."""
        detail = {} if self.detail is None else {"detail": self.detail}
        return {"code": self.code, "message": self.message} | detail
