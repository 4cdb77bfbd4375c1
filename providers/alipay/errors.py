"""From a refusal's code to the one error that it stands for."""

from typing import NoReturn

from providers.alipay import codes
from providers.alipay.client import Answer
from providers.base import Verdict, raise_verdict

# "After a while", in Alipay's words.
_RETRY_AFTER_SECONDS = {"REFUND_CHARGE_ERROR": 300.0}
_RETRY_AFTER_LIMIT_SECONDS = 5.0


def verdict_of(answer: Answer) -> Verdict:
    """What the answer's codes say of the money."""
    return codes.verdict_of(answer.code, answer.sub_code)


def is_business_no(answer: Answer) -> bool:
    """Whether the trade's own state, not the request, stands in the way."""
    verdict = verdict_of(answer)
    refused = verdict.is_refusal or verdict is Verdict.PAID
    return answer.code == codes.BUSINESS_FAILED and refused


def refuse_order(answer: Answer) -> NoReturn:
    """Raise for a call that moves money."""
    _raise(answer, verdict_of(answer))


def refuse_query(answer: Answer) -> NoReturn:
    """Raise for the one question whose refusal may settle something: whether we are heard at all.

    A no to who we are is definite, and signed like every answer that gets here.
    """
    if verdict_of(answer).is_refusal and answer.sub_code in codes.UNHEARD:
        _raise(answer, Verdict.BLOCKED)
    refuse_question(answer)


def refuse_question(answer: Answer) -> NoReturn:
    """Raise for a question or a close that was not answered.

    A refused question says nothing of the payment: it may be asked again, never believed.
    """
    verdict = verdict_of(answer)
    _raise(answer, Verdict.NOT_PROCESSED if verdict.is_refusal else verdict)


def _raise(answer: Answer, verdict: Verdict) -> NoReturn:
    wait = _RETRY_AFTER_SECONDS.get(answer.sub_code, _RETRY_AFTER_LIMIT_SECONDS)
    raise_verdict(
        verdict,
        provider="alipay",
        code=answer.name,
        message=answer.message,
        retry_after=wait if verdict is Verdict.NOT_PROCESSED else None,
    )
