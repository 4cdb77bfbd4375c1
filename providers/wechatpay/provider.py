"""One WeChat Pay account: each verb maps, sends and maps back."""

import json
from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any

import httpx

from domain.checkout import Checkout, Created
from domain.errors import InvalidSignature, ProviderRejected, ProviderUnavailable, Unreadable
from domain.notification import Acknowledgement, Notification
from domain.own_refunds import explained
from domain.payment import Channel, Payment
from domain.refund import Refund
from domain.report import Outcome, PaymentReport, RefundOutcome, RefundReport
from providers.base import ChannelRules, Verdict
from providers.kit.calls import unknown
from providers.kit.checkouts import without_checkout
from providers.kit.reports import bare_refund_report, bare_report
from providers.wechatpay import codes, mapping
from providers.wechatpay.checkouts import Checkouts
from providers.wechatpay.client import Answer, WechatpayClient
from providers.wechatpay.codes import Operation
from providers.wechatpay.config import PROVIDER, WechatpayConfig
from providers.wechatpay.notification import read_notification
from providers.wechatpay.signing import BadSignature, MerchantSigner
from providers.wechatpay.wire import Malformed, RefundAnswer, Transaction

# Docs of the reverse call: not earlier than 15 s after the payment.
REVERSE_AFTER = timedelta(seconds=15)
JSON_TYPE = "application/json"


def build(
    account: Mapping[str, Any],
    *,
    http: httpx.AsyncClient,
    clock: Callable[[], datetime],
    notify_url: str,
    return_url: str | None = None,  # noqa: ARG001 - the seam's; see below
) -> "WechatpayProvider":
    """The provider for one `[[wechatpay]]` account; raises ValueError for a bad one.

    `clock` gives aware datetimes. `notify_url` is this account's own, public, without a query.
    `return_url`, our own page, is for providers that sign the return: an h5 payer goes straight
    to the payment's.
    """
    config = WechatpayConfig.model_validate(dict(account))
    signer = MerchantSigner(
        mchid=config.mchid,
        serial=config.merchant_serial,
        private_key=config.private_key,
    )
    client = WechatpayClient(config, signer=signer, http=http, clock=clock)
    checkouts = Checkouts(config, signer)
    return WechatpayProvider(
        config, client=client, checkouts=checkouts, clock=clock, notify_url=notify_url
    )


class WechatpayProvider:
    """Implements `providers.base.Provider` over API v3."""

    name = PROVIDER
    channels: Mapping[Channel, ChannelRules] = mapping.CHANNELS
    currencies = frozenset({mapping.CURRENCY})
    confirms_notifications = False

    def __init__(
        self,
        config: WechatpayConfig,
        *,
        client: WechatpayClient,
        checkouts: Checkouts,
        clock: Callable[[], datetime],
        notify_url: str,
    ) -> None:
        self.account = config.name
        self._config = config
        self._client = client
        self._checkouts = checkouts
        self._clock = clock
        self._notify_url = notify_url

    async def create(self, payment: Payment) -> Created:
        """Make the order; a barcode order is charged at once."""
        if payment.channel not in self.channels:
            raise ProviderRejected(
                f"{PROVIDER} has no {payment.channel} channel", provider=PROVIDER
            )
        body = mapping.order_body(payment, self._config, self._notify_url)
        path = mapping.order_path(payment.channel)
        answer = await self._client.call(Operation.CREATE, "POST", path, body)
        if payment.channel is Channel.BARCODE:
            return await self._charged(answer, payment)
        if answer.is_success:
            return Created(checkout=self._checkout(payment, answer))
        if answer.says(codes.TAKEN):
            report = await self._look(payment)
            if report.outcome is Outcome.PAID:
                return without_checkout(report)
        return answer.fail()

    async def query(self, payment: Payment) -> PaymentReport:
        """What WeChat Pay says of the order now; a failed charge is reversed, as it advises."""
        answer = await self._question(payment)
        if answer.refuses_us:
            answer.fail(Verdict.BLOCKED)
        report = self._told(answer, payment)
        failed = report.raw_status == mapping.PAY_ERROR and payment.channel is Channel.BARCODE
        if failed and not self._must_wait(payment):
            return await self._send_reverse(payment, report)
        return report

    async def close(self, payment: Payment) -> PaymentReport:
        """Close the order. A barcode order has no close but a reverse, and that 15 s old."""
        if payment.channel is Channel.BARCODE:
            return await self._reverse(payment)
        path = f"{mapping.payment_path(payment)}/close"
        body = {"mchid": self._config.mchid}
        answer = await self._client.call(Operation.CLOSE, "POST", path, body)
        return await self._ended(answer, payment, "CLOSED")

    async def refund(self, refund: Refund, payment: Payment) -> RefundReport:
        """Submit the refund; the same refund keeps its number, so WeChat Pay makes only one."""
        body = mapping.refund_body(refund, payment, self._notify_url)
        answer = await self._client.call(
            Operation.REFUND, "POST", "/v3/refund/domestic/refunds", body
        )
        if answer.is_success:
            return mapping.refund_report(answer.read(RefundAnswer))
        if answer.verdict.is_refusal:
            # An earlier attempt may have been taken: only a refund unknown to them was refused.
            report = await self.query_refund(refund, payment)
            if report.outcome is not RefundOutcome.NOT_FOUND:
                return report
        return answer.fail()

    async def query_refund(self, refund: Refund, payment: Payment) -> RefundReport:  # noqa: ARG002 - the seam's signature
        """What WeChat Pay says of the refund now."""
        target = f"/v3/refund/domestic/refunds/{refund.reference}"
        answer = await self._client.call(Operation.QUERY_REFUND, "GET", target)
        if answer.is_success:
            return mapping.refund_report(answer.read(RefundAnswer))
        if answer.says(codes.MISSING):
            return bare_refund_report(refund, RefundOutcome.NOT_FOUND, str(answer.code))
        return answer.fail()

    async def parse_notification(self, headers: Mapping[str, str], body: bytes) -> Notification:
        """Verify the raw bytes (and their age), decrypt, and say what they tell."""
        try:
            await self._client.keys.verify(headers, body)
        except (BadSignature, Malformed) as error:
            raise InvalidSignature(f"{PROVIDER}: {error}", provider=PROVIDER) from error
        try:
            return read_notification(body, self._config)
        except Malformed as error:
            raise Unreadable(f"{PROVIDER}: {error}", provider=PROVIDER) from error

    def acknowledge(self, *, accepted: bool, message: str = "") -> Acknowledgement:
        """204, or 500 with a reason. The status decides: 200 with FAIL would count as success."""
        if accepted:
            return Acknowledgement(status=204, content_type=JSON_TYPE, body=b"")
        refusal = {"code": "FAIL", "message": message or "not accepted"}
        body = json.dumps(refusal, ensure_ascii=False).encode()
        return Acknowledgement(status=500, content_type=JSON_TYPE, body=body)

    def _checkout(self, payment: Payment, answer: Answer) -> Checkout:
        try:
            return self._checkouts.build(payment, answer.body, self._clock())
        except Malformed as error:
            raise unknown(PROVIDER, f"the order's answer is unreadable: {error}") from error

    async def _question(self, payment: Payment) -> Answer:
        target = f"{mapping.payment_path(payment)}?mchid={self._config.mchid}"
        return await self._client.call(Operation.QUERY, "GET", target)

    async def _look(self, payment: Payment) -> PaymentReport:
        """A question on the way to another answer: its refusal leaves that answer unknown."""
        return self._told(await self._question(payment), payment)

    def _told(self, answer: Answer, payment: Payment) -> PaymentReport:
        if answer.is_success:
            return self._report(answer, payment)
        if answer.says(codes.MISSING):
            return bare_report(payment, Outcome.NOT_FOUND, str(answer.code))
        return answer.fail()

    def _report(self, answer: Answer, payment: Payment) -> PaymentReport:
        report = mapping.payment_report(answer.read(Transaction), self._config)
        return explained(report, payment)

    async def _charged(self, answer: Answer, payment: Payment) -> Created:
        if answer.is_success:
            return without_checkout(self._report(answer, payment))
        if answer.verdict is Verdict.PENDING:
            raw = answer.code or "USERPAYING"
            return without_checkout(bare_report(payment, Outcome.PENDING, raw))
        if answer.verdict.is_refusal or answer.verdict is Verdict.PAID:
            # The code is good once: an earlier attempt of ours may have used it. Only who is not
            # heard with the order either may take a refused question for the same no.
            asked = self.query if answer.refuses_us else self._look
            report = await asked(payment)
            unpaid = report.raw_status in (mapping.NOT_PAID, mapping.PAY_ERROR)
            in_hand = report.outcome is Outcome.PENDING and not unpaid
            if in_hand or report.outcome is Outcome.PAID:
                return without_checkout(report)
        return answer.fail()

    async def _reverse(self, payment: Payment) -> PaymentReport:
        # Reversing a paid order gives the money back, so a paid one is left alone.
        report = await self._look(payment)
        if report.outcome in (Outcome.PAID, Outcome.CLOSED, Outcome.FAILED):
            return report
        wait = self._must_wait(payment)
        if wait:
            raise ProviderUnavailable(
                f"{PROVIDER} reverses no order younger than {REVERSE_AFTER.seconds} s",
                provider=PROVIDER,
                retry_after=wait.total_seconds(),
            )
        return await self._send_reverse(payment, report)

    async def _send_reverse(self, payment: Payment, report: PaymentReport) -> PaymentReport:
        path = f"{mapping.payment_path(payment)}/reverse"
        body = {"appid": self._config.appid, "mchid": self._config.mchid}
        answer = await self._client.call(Operation.REVERSE, "POST", path, body)
        ended = await self._ended(answer, payment, "REVOKED")
        if ended.outcome is Outcome.CLOSED and report.raw_status == mapping.PAY_ERROR:
            return report.model_copy(update={"outcome": Outcome.FAILED})
        return ended

    def _must_wait(self, payment: Payment) -> timedelta:
        """How long until the order may be reversed; zero where it may be now."""
        return max(payment.created_at + REVERSE_AFTER - self._clock(), timedelta())

    async def _ended(self, answer: Answer, payment: Payment, raw_status: str) -> PaymentReport:
        if answer.is_success:
            return bare_report(payment, Outcome.CLOSED, raw_status)
        if answer.says(codes.CLOSED):
            return bare_report(payment, Outcome.CLOSED, str(answer.code))
        if answer.says(codes.MISSING):
            return bare_report(payment, Outcome.NOT_FOUND, str(answer.code))
        if answer.verdict is Verdict.PAID:
            return await self._look(payment)
        return answer.fail()
