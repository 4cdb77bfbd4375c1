"""What an order's answer gives to the payer's device. Pure."""

from collections.abc import Collection

from domain.checkout import Checkout, CheckoutKind, Created
from domain.errors import OutcomeUnknown
from domain.payment import Channel, Payment
from domain.report import Outcome, PaymentReport
from providers.alipay import codes, mapping
from providers.alipay.client import Answer
from providers.kit.reports import bare_report


def created(payment: Payment, answer: Answer, credit_pay_modes: Collection[str]) -> Created:
    """The checkout of an accepted order; raises OutcomeUnknown where the answer lacks it."""
    number = mapping.text(answer.fields, "trade_no")
    if payment.channel is Channel.BARCODE:
        return Created(
            checkout=Checkout(kind=CheckoutKind.NONE, expires_at=payment.expires_at),
            report=_at_till(payment, answer, credit_pay_modes),
            provider_reference=number,
        )
    code = mapping.text(answer.fields, "qr_code")
    if payment.channel is Channel.QR and code:
        checkout = Checkout(kind=CheckoutKind.QR, value=code, expires_at=payment.expires_at)
    elif payment.channel is Channel.JSAPI and number:
        checkout = Checkout(
            kind=CheckoutKind.SDK, parameters={"tradeNO": number}, expires_at=payment.expires_at
        )
    else:
        raise OutcomeUnknown(
            "Alipay's answer lacks the checkout", provider="alipay", provider_code=answer.code
        )
    return Created(checkout=checkout, provider_reference=number)


def _at_till(payment: Payment, answer: Answer, credit_pay_modes: Collection[str]) -> PaymentReport:
    if answer.code == codes.SUCCESS:
        return mapping.paid_at_till(answer.fields, payment.reference, credit_pay_modes)
    return bare_report(payment, Outcome.PENDING, answer.code, answer.message)
