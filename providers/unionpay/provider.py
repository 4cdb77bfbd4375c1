"""One UnionPay account: each verb maps, sends and maps back."""

from collections.abc import Callable, Mapping
from datetime import datetime, timedelta
from typing import Any, NoReturn

import httpx

from domain.checkout import Checkout, Created
from domain.errors import ProviderError, ProviderUnavailable
from domain.notification import Acknowledgement, Notification
from domain.payment import Channel, Payment
from domain.refund import Refund
from domain.report import Attention, Outcome, PaymentReport, RefundOutcome, RefundReport
from providers.base import ChannelRules, Verdict, raise_verdict
from providers.kit.checkouts import without_checkout
from providers.kit.reports import bare_refund_report, bare_report
from providers.unionpay import checkouts, codes, mapping
from providers.unionpay.client import Answer, UnionpayClient
from providers.unionpay.config import PROVIDER, UnionpayConfig
from providers.unionpay.keys import Signer, load_signer
from providers.unionpay.notification import read_notification, read_return

# No close exists. UnionPay may still be writing down what was paid in the last second.
AFTER_TIMEOUT = timedelta(seconds=30)
_QUERY = "queryTrans.do"
_BACK_OFFICE = "backTransReq.do"


class UnionpayProvider:
    """Implements `providers.base.Provider` over ACP 5.1.0."""

    name = PROVIDER
    channels: Mapping[Channel, ChannelRules] = {
        channel: plan.rules for channel, plan in mapping.PLANS.items()
    }
    currencies = frozenset({mapping.CURRENCY})
    # The vendor's advice: a notification, then a query, then the books.
    confirms_notifications = True

    def __init__(
        self,
        config: UnionpayConfig,
        *,
        http: httpx.AsyncClient,
        clock: Callable[[], datetime],
        notify_url: str,
        return_url: str | None = None,
    ) -> None:
        self.account = config.name
        self._config = config
        self._signer: Signer = load_signer(config)
        self._client = UnionpayClient(config, self._signer, http, clock)
        self._clock = clock
        self._notify_url = notify_url
        self._return_url = return_url

    async def create(self, payment: Payment) -> Created:
        """Sign the order, and submit it where the channel is not local.

        An order that UnionPay has already is asked about: what its payer needs was in the first
        answer, and is not said again.
        """
        plan = mapping.PLANS[payment.channel]
        fields = mapping.order(payment, self._config, self._notify_url)
        if plan.rules.local:
            return Created(checkout=self._form(payment, plan, fields))
        answer = await self._client.call(plan.endpoint, fields)
        if answer.code == codes.DUPLICATE:
            return _known(payment, answer, await self.query(payment))
        if payment.channel is Channel.BARCODE:
            return await self._charged(payment, answer)
        if answer.code in codes.SUCCESSES:
            return Created(checkout=checkouts.submitted(payment, answer, self._config.mode))
        return _refuse(answer, codes.verdict_of(answer.code))

    async def query(self, payment: Payment) -> PaymentReport:
        """Ask; what UnionPay has not written down yet is not found, and that is no error."""
        answer = await self._ask(mapping.question(payment, payment, self._config))
        if answer is None:
            return bare_report(payment, Outcome.NOT_FOUND, codes.NOT_FOUND)
        code = answer.fields["origRespCode"]
        is_gone = codes.state_of(code) is codes.State.GIVEN_BACK
        mismatch = Attention.EXTERNAL_REFUND if is_gone and not _is_given_back(payment) else None
        return mapping.payment_report(
            answer.fields,
            code,
            is_over=self._wait(payment) <= timedelta(),
            mismatch=mismatch,
        )

    async def close(self, payment: Payment) -> PaymentReport:
        """Wait for payTimeout, then the last query decides: UnionPay has no close.

        An order that it does not know then is reported so: that it cannot arrive any more is for
        whoever submitted it to say.
        """
        report = await self.query(payment)
        if report.outcome in (Outcome.PAID, Outcome.FAILED):
            return report
        wait = self._wait(payment)
        if wait > timedelta():
            raise ProviderUnavailable(
                f"{PROVIDER} closes no order before its time is over",
                provider=PROVIDER,
                retry_after=wait.total_seconds(),
            )
        return report

    async def refund(self, refund: Refund, payment: Payment) -> RefundReport:
        """Give money back: by undo on the settlement day where it is the whole payment.

        UnionPay's 00 says that the refund was accepted, never that it is done.
        """
        paid = await self._what_was_paid(payment)
        if self._config.undo and self._is_undone_today(refund, payment, paid):
            answer = await self._give_back(mapping.UNDO, refund, payment, paid)
            report = await self._taken(answer, refund, payment)
            if report is not None:
                return report
        answer = await self._give_back(mapping.REFUND, refund, payment, paid)
        report = await self._taken(answer, refund, payment)
        return report or _refuse(answer, codes.refund_verdict(answer.code))

    async def query_refund(self, refund: Refund, payment: Payment) -> RefundReport:
        """Ask, by the refund's own number and time."""
        answer = await self._ask(mapping.question(refund, payment, self._config))
        if answer is None:
            return bare_refund_report(refund, RefundOutcome.NOT_FOUND, codes.NOT_FOUND)
        return mapping.refund_report(
            answer.fields, refund.payment_reference, answer.fields["origRespCode"]
        )

    async def parse_notification(
        self,
        headers: Mapping[str, str],  # noqa: ARG002 - UnionPay signs nothing there
        body: bytes,
    ) -> Notification:
        """Verify the form and map it; raises InvalidSignature."""
        return read_notification(body, self._config, self._signer, self._clock())

    def parse_return(self, query: str) -> str | None:
        """The reference of a verified return, which comes as a form; raises InvalidSignature."""
        return read_return(query, self._config, self._signer, self._clock())

    def acknowledge(self, *, accepted: bool, message: str = "") -> Acknowledgement:  # noqa: ARG002
        """The status decides; anything but 200 makes UnionPay send again."""
        return Acknowledgement(
            status=200 if accepted else 500,
            content_type="text/plain",
            body=b"ok" if accepted else b"fail",
        )

    def _form(self, payment: Payment, plan: mapping.Plan, fields: dict[str, str]) -> Checkout:
        fields |= {"frontUrl": self._return_url} if self._return_url else {}
        address = self._client.address(plan.endpoint)
        return checkouts.form(payment, address, self._signer.signed(fields))

    async def _charged(self, payment: Payment, answer: Answer) -> Created:
        verdict = codes.verdict_of(answer.code)
        if verdict not in (Verdict.PAID, Verdict.PENDING):
            return _refuse(answer, verdict)
        report = bare_report(payment, Outcome.PENDING, answer.code, answer.message)
        if answer.code in codes.SUCCESSES:
            try:
                report = await self.query(payment)
            except ProviderError:
                # Accepted all the same; the payment's own questions come next.
                return without_checkout(report)
        return _known(payment, answer, report)

    async def _ask(self, fields: dict[str, str]) -> Answer | None:
        """The state of a transaction; None where UnionPay knows of none (yet).

        Two levels: respCode says whether the question was answered, origRespCode what is true.
        """
        answer = await self._client.call(_QUERY, fields)
        if answer.code == codes.NOT_FOUND:
            return None
        if answer.code not in codes.SUCCESSES or not answer.fields.get("origRespCode"):
            _refuse(answer, codes.question_verdict(answer.code))
        return answer

    async def _give_back(
        self, kind: str, refund: Refund, payment: Payment, paid: PaymentReport
    ) -> Answer:
        fields = mapping.giving_back(kind, refund, payment, self._config, self._notify_url)
        fields["origQryId"] = paid.provider_reference or ""
        return await self._client.call(_BACK_OFFICE, fields)

    async def _taken(self, answer: Answer, refund: Refund, payment: Payment) -> RefundReport | None:
        """The refund as it was taken; None where it was refused and UnionPay knows nothing of it.

        A refusal is believed only then: an earlier attempt of ours may stand in the way.
        """
        verdict = codes.refund_verdict(answer.code)
        if verdict in (Verdict.PAID, Verdict.PENDING):
            return bare_refund_report(refund, RefundOutcome.PENDING, answer.code, answer.message)
        if answer.code != codes.DUPLICATE and not verdict.is_refusal:
            _refuse(answer, verdict)
        found = await self.query_refund(refund, payment)
        if found.outcome is not RefundOutcome.NOT_FOUND:
            return found
        return _refuse(answer, verdict) if answer.code == codes.DUPLICATE else None

    async def _what_was_paid(self, payment: Payment) -> PaymentReport:
        """UnionPay's number of the payment, from our books or else asked for."""
        if payment.provider_reference:
            found = bare_report(payment, Outcome.PAID, codes.OK)
            update = {"provider_reference": payment.provider_reference, "paid_at": payment.paid_at}
            return found.model_copy(update=update)
        found = await self.query(payment)
        if not found.provider_reference:
            raise ProviderUnavailable(f"{PROVIDER} knows of no money yet", provider=PROVIDER)
        return found

    def _is_undone_today(self, refund: Refund, payment: Payment, paid: PaymentReport) -> bool:
        if paid.paid_at is None:
            return False
        return mapping.can_be_undone(refund, payment, paid.paid_at, self._clock())

    def _wait(self, payment: Payment) -> timedelta:
        """How long until the payer can no longer pay, for certain."""
        return payment.expires_at + AFTER_TIMEOUT - self._clock()


def build(
    account: Mapping[str, Any],
    *,
    http: httpx.AsyncClient,
    clock: Callable[[], datetime],
    notify_url: str,
    return_url: str | None = None,
) -> UnionpayProvider:
    """The provider of one configured account; raises ValueError for a bad configuration."""
    config = UnionpayConfig.model_validate(dict(account))
    return UnionpayProvider(
        config, http=http, clock=clock, notify_url=notify_url, return_url=return_url
    )


def _is_given_back(payment: Payment) -> bool:
    """Our own refunds account for all that was paid."""
    return 0 < payment.captured <= payment.refunded + payment.refund_reserved


def _known(payment: Payment, answer: Answer, report: PaymentReport) -> Created:
    """An order that UnionPay has: its payer needs nothing more from us."""
    if report.outcome is Outcome.NOT_FOUND:
        # Taken, by UnionPay's own word, and only not to be found yet.
        report = bare_report(payment, Outcome.PENDING, answer.code, answer.message)
    return without_checkout(report)


def _refuse(answer: Answer, verdict: Verdict) -> NoReturn:
    raise_verdict(
        verdict,
        provider=PROVIDER,
        code=answer.code or "no respCode",
        message=answer.message,
        retry_after=codes.RETRY_AFTER.get(answer.code),
    )
