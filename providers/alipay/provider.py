"""The verbs: map, send, map. Decisions that need two questions are here; words are in mapping."""

from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, NoReturn

import httpx

from domain.checkout import Checkout, CheckoutKind, Created
from domain.errors import OutcomeUnknown
from domain.notification import Acknowledgement, Notification
from domain.own_refunds import explained
from domain.payment import Channel, Payment
from domain.refund import Refund
from domain.report import Outcome, PaymentReport, RefundOutcome, RefundReport
from providers.alipay import codes, mapping
from providers.alipay.checkouts import created
from providers.alipay.client import AlipayClient, Answer, Links
from providers.alipay.config import AlipayConfig
from providers.alipay.errors import is_business_no, refuse_order, refuse_query, refuse_question
from providers.alipay.keys import Credentials
from providers.alipay.notification import read_notification, read_return
from providers.base import ChannelRules
from providers.kit.checkouts import without_checkout
from providers.kit.reports import bare_report


class AlipayProvider:
    """One app at Alipay. See `providers.base.Provider` for what each verb promises."""

    name = "alipay"
    channels: Mapping[Channel, ChannelRules] = {
        channel: plan.rules for channel, plan in mapping.PLANS.items()
    }
    currencies = frozenset({"CNY"})
    confirms_notifications = False

    def __init__(
        self,
        config: AlipayConfig,
        *,
        http: httpx.AsyncClient,
        clock: Callable[[], datetime],
        notify_url: str,
        return_url: str | None = None,
    ) -> None:
        self.account = config.name
        self._config = config
        self._credentials = Credentials(config)
        self._client = AlipayClient(config, self._credentials, http, clock)
        self._notify_url = notify_url
        self._return_url = return_url

    async def create(self, payment: Payment) -> Created:
        """Sign the order, and submit it where the channel is not local."""
        plan = mapping.PLANS[payment.channel]
        content = mapping.order(payment, self._config.app_id)
        if plan.rules.local:
            return Created(checkout=self._sign(payment, content))
        answer = await self._client.call(plan.method, content, Links(self._notify_url))
        if answer.sub_code == codes.TRADE_HAS_SUCCESS:
            return without_checkout(await self._ask(payment, refuse_question))
        if answer.code in (codes.SUCCESS, codes.PAYER_ACTS):
            return created(payment, answer, self._config.credit_pay_modes)
        return refuse_order(answer)

    async def query(self, payment: Payment) -> PaymentReport:
        """Ask; a trade that the payer has not opened yet does not exist, and that is no error."""
        return await self._ask(payment, refuse_query)

    async def close(self, payment: Payment) -> PaymentReport:
        """End the trade. A barcode payment is cancelled instead, which is this product's way."""
        if payment.channel is Channel.BARCODE:
            return await self._cancel(payment)
        content = {"out_trade_no": payment.reference}
        answer = await self._client.call("alipay.trade.close", content)
        if answer.code == codes.SUCCESS:
            return bare_report(payment, Outcome.CLOSED, "TRADE_CLOSED")
        return await self._found_instead(payment, answer)

    async def refund(self, refund: Refund, payment: Payment) -> RefundReport:
        """Give money back; `fund_change` alone says whether this call moved it.

        A business refusal is only believed once the refund query knows nothing of our number: an
        earlier attempt whose answer was lost may be what stands in the way.
        """
        answer = await self._client.call("alipay.trade.refund", mapping.refund_order(refund))
        if answer.code == codes.SUCCESS:
            return mapping.submitted(answer.fields, refund)
        if is_business_no(answer):
            report = await self.query_refund(refund, payment)
            if report.outcome is not RefundOutcome.NOT_FOUND:
                return report
        return refuse_order(answer)

    async def query_refund(self, refund: Refund, payment: Payment) -> RefundReport:
        """Ask; a refund that was not done is `not_found`, and may be sent again."""
        content = {
            "out_trade_no": payment.reference,
            "out_request_no": refund.reference,
            "query_options": ["gmt_refund_pay"],
        }
        answer = await self._client.call("alipay.trade.fastpay.refund.query", content)
        if answer.code != codes.SUCCESS and answer.sub_code != codes.TRADE_NOT_EXIST:
            refuse_question(answer)
        fields = answer.fields if answer.code == codes.SUCCESS else {}
        return mapping.refund_report(fields, refund)

    async def parse_notification(
        self,
        headers: Mapping[str, str],  # noqa: ARG002 - Alipay signs nothing there
        body: bytes,
    ) -> Notification:
        """Verify the form and map it; raises InvalidSignature."""
        return read_notification(body, self._config, self._credentials)

    def parse_return(self, query: str) -> str | None:
        """The reference of a verified return; raises InvalidSignature."""
        return read_return(query, self._config, self._credentials)

    def acknowledge(self, *, accepted: bool, message: str = "") -> Acknowledgement:  # noqa: ARG002
        """Exactly `success`; any other body makes Alipay send again (sheet 1.11)."""
        return Acknowledgement(
            status=200 if accepted else 400,
            content_type="text/plain",
            body=b"success" if accepted else b"fail",
        )

    def _sign(self, payment: Payment, content: dict[str, Any]) -> Checkout:
        method = mapping.PLANS[payment.channel].method
        if payment.channel is Channel.APP:
            kind = CheckoutKind.ORDER_STRING
            value = self._client.order_string(method, content, Links(self._notify_url))
        else:
            kind = CheckoutKind.REDIRECT
            links = Links(self._notify_url, self._return_url)
            value = self._client.page_url(method, content, links)
        return Checkout(kind=kind, value=value, expires_at=payment.expires_at)

    async def _ask(self, payment: Payment, refuse: Callable[[Answer], NoReturn]) -> PaymentReport:
        content = {"out_trade_no": payment.reference}
        answer = await self._client.call("alipay.trade.query", content)
        if answer.sub_code == codes.TRADE_NOT_EXIST:
            return _not_found(payment, answer)
        if answer.code != codes.SUCCESS:
            refuse(answer)
        report = mapping.payment_report(
            answer.fields, payment.reference, self._config.credit_pay_modes
        )
        return explained(report, payment)

    async def _cancel(self, payment: Payment) -> PaymentReport:
        """Cancel at the till. Cancelling gives a paid trade's money back, so ask first."""
        found = await self._ask(payment, refuse_question)
        if found.outcome in (Outcome.PAID, Outcome.CLOSED):
            return found
        content = {"out_trade_no": payment.reference}
        answer = await self._client.call("alipay.trade.cancel", content)
        if answer.code != codes.SUCCESS:
            return await self._found_instead(payment, answer)
        if answer.fields.get("retry_flag") == "Y":
            raise OutcomeUnknown(
                "Alipay asks to cancel again", provider=self.name, provider_code="retry_flag=Y"
            )
        action = mapping.text(answer.fields, "action")
        if action is None:
            return await self._ask(payment, refuse_question)
        closed = bare_report(payment, Outcome.CLOSED, f"cancelled:{action}")
        gone_back = payment.amount if action == "refund" else None
        return closed.model_copy(update={"refunded": gone_back})

    async def _found_instead(self, payment: Payment, answer: Answer) -> PaymentReport:
        """What is true of a trade that would not be closed."""
        if answer.sub_code == codes.TRADE_NOT_EXIST:
            return _not_found(payment, answer)
        if is_business_no(answer):
            return await self._ask(payment, refuse_question)
        return refuse_question(answer)


def build(
    account: Mapping[str, Any],
    *,
    http: httpx.AsyncClient,
    clock: Callable[[], datetime],
    notify_url: str,
    return_url: str | None = None,
) -> AlipayProvider:
    """The provider of one configured account; raises ValueError for a bad configuration."""
    config = AlipayConfig.model_validate(account)
    return AlipayProvider(
        config, http=http, clock=clock, notify_url=notify_url, return_url=return_url
    )


def _not_found(payment: Payment, answer: Answer) -> PaymentReport:
    return bare_report(payment, Outcome.NOT_FOUND, answer.name, answer.message)
