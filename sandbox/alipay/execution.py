import asyncio
from dataclasses import dataclass
from typing import Any

from starlette.responses import Response

from sandbox.alipay.envelope import Call
from sandbox.alipay.errors import GatewayError, business
from sandbox.alipay.methods import OPERATIONS, Methods
from sandbox.context import Context
from sandbox.faults import Fault
from sandbox.lost_answer import LostAnswer

NOT_EXECUTED = {
    "server_error": ("20000", "isp.unknow-error", "服务暂不可用"),
    "rate_limited": ("40005", "isv.app-call-limited", "应用调用次数超限"),
}
CALL_FAULTS = (
    "lost_answer",
    "delay",
    *NOT_EXECUTED,
    "system_error",
    "error_code",
    "credit_pay_mode",
    "unsigned",
    "bad_signature",
    "signtest",
    "garbled",
    "pending",
    "refund_status",
    "fund_change_n",
    "empty_refund_query",
)


@dataclass(frozen=True)
class Outcome:
    """What a call came to.

    `content` is the answer in the form of `gateway.do` (`code`, `msg`, `sub_code`, `sub_msg`
    and the business fields), `fault_kind` the fault that the answer's writer must still apply
    (empty: none), `instead` a response that takes the answer's place.
    """

    content: dict[str, Any]
    fault_kind: str = ""
    instead: Response | None = None


@dataclass(frozen=True)
class Execution:
    """Executes the verified calls of both gateways, misbehaving as the script of faults says."""

    context: Context
    methods: Methods

    async def run(self, call: Call) -> Outcome:
        """Execute one call, using up the oldest fault that fits it."""
        fields = ("out_trade_no", "out_request_no", "trade_no")
        references = [call.content.get(field) for field in fields]
        fault = self.context.faults.take("alipay", OPERATIONS[call.method], *references)
        kind = fault.kind if fault else ""
        params = fault.params if fault else {}
        if kind == "delay":
            await asyncio.sleep(float(params.get("seconds", 1)))
        content = self._content(call, fault)
        instead: Response | None = None
        if kind == "lost_answer":
            instead = LostAnswer(float(params.get("seconds", 0)))
        elif "http_status" in params:
            page = "<html><body>bad gateway</body></html>"
            instead = Response(page, int(params["http_status"]))
        return Outcome(content, kind, instead)

    def _content(self, call: Call, fault: Fault | None) -> dict[str, Any]:
        kind = fault.kind if fault else ""
        executed = bool(fault and fault.params.get("executed", kind == "system_error"))
        if kind in NOT_EXECUTED:
            if executed:
                self.methods.run(call, None)
            return GatewayError(*NOT_EXECUTED[kind]).content()
        if fault and kind == "error_code":
            code, sub_code = fault.params.get("code", "40004"), fault.params["sub_code"]
            return GatewayError(str(code), str(sub_code), "按剧本拒绝").content()
        if fault and kind == "credit_pay_mode":
            content = self.methods.run(call, fault)
            self._put_on_credit(call, str(fault.params.get("mode", "creditAdvanceV2")))
            return content
        if kind != "system_error":
            return self.methods.run(call, fault)
        if executed:
            self.methods.run(call, None)
        return business("SYSTEM_ERROR", "系统错误").content()

    def _put_on_credit(self, call: Call, mode: str) -> None:
        books = self.context.books
        order = books.find_order("alipay", str(call.content.get("out_trade_no")))
        if order is not None:
            order.extra["credit_pay_mode"] = mode
            books.put_order(order)
