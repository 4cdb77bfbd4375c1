"""Where a payer's browser comes back to. For display: what is paid, the database alone says.

The provider signs the link, once and for good. It leads to the page that the payment was created
with, and no longer than the payment can matter to its payer (ADR 26).
"""

from datetime import UTC, datetime, timedelta
from html import escape
from http import HTTPStatus
from urllib.parse import parse_qsl, urlencode, urlsplit, urlunsplit

from fastapi import APIRouter, Request, Response
from fastapi.responses import HTMLResponse, RedirectResponse

from api.dependencies import Dependencies, Deps
from api.http.openapi import problems
from api.http.problems import ApiProblem
from domain.errors import InvalidRequest, InvalidSignature
from domain.identity import parse_reference
from domain.payment import Payment, PaymentStatus
from providers.base import SignsReturns

router = APIRouter(tags=["providers"])

# A browser comes back within seconds; some payers stay on the provider's page before they go on.
MARGIN = timedelta(hours=1)
_SAFE = {
    "Content-Security-Policy": "default-src 'none'; style-src 'unsafe-inline'",
    "Referrer-Policy": "no-referrer",
    "Cache-Control": "no-store",
}
_WORDS = {
    PaymentStatus.PENDING: "Your payment is being confirmed.",
    PaymentStatus.SUCCEEDED: "Your payment has arrived. Thank you.",
    PaymentStatus.FAILED: "Your payment did not go through.",
    PaymentStatus.CLOSED: "This order is closed.",
}
_PAGE = """<!doctype html><html lang="en"><meta charset="utf-8">
<meta name="viewport" content="width=device-width"><title>Payment</title>
<style>body{{font:18px/1.5 system-ui;margin:20vh auto;max-width:28rem;padding:0 1rem;
text-align:center}}small{{color:#666}}</style>
<p>{text}</p><p><small>{note}</small></p></html>"""


@router.post(
    "/return/{provider}/{account}",
    summary="The payer's way back, posted",
    response_class=HTMLResponse,
    responses=problems(404, 413) | {303: {"description": "On to the payment's `return_url`."}},
)
async def come_back_posting(
    provider: str, account: str, request: Request, dependencies: Deps
) -> Response:
    """The same for a provider whose page makes the payer's browser post a form."""
    form = (await request.body()).decode("latin-1")
    return await _come_back(provider, account, form, dependencies)


@router.get(
    "/return/{provider}/{account}",
    summary="The payer's way back",
    response_class=HTMLResponse,
    responses=problems(404) | {303: {"description": "On to the payment's `return_url`."}},
)
async def come_back(provider: str, account: str, request: Request, dependencies: Deps) -> Response:
    """Verify the provider's signed return and send the payer on. Changes nothing.

    The merchant's page gets `payment_id` and `status` as they are in the database; it must not
    take them for proof, and retrieve the payment instead. The link ends an hour after the payment
    was paid or expired: 410.
    """
    # Not `request.url`: it fails where a browser sent raw bytes that are not UTF-8.
    query = request.scope["query_string"].decode(errors="replace")
    return await _come_back(provider, account, query, dependencies)


async def _come_back(
    provider: str, account: str, returned: str, dependencies: Dependencies
) -> Response:
    try:
        source = dependencies.registry.get(provider, account)
    except InvalidRequest as error:
        raise ApiProblem(HTTPStatus.NOT_FOUND, "account_not_found", error.message) from error
    try:
        reference = source.parse_return(returned) if isinstance(source, SignsReturns) else None
    except InvalidSignature:
        return _page("This link is not valid.", "Nothing was changed.", HTTPStatus.BAD_REQUEST)
    payment_id = parse_reference(reference) if reference else None
    payment = await dependencies.stores.payments.get(payment_id) if payment_id else None
    if payment is None or (payment.provider, payment.account) != (provider, account):
        return _page("You can close this page.", "The shop knows how your payment went.")
    if not is_open(payment, _now()):
        return _page("This link is over.", "The shop knows how your payment went.", HTTPStatus.GONE)
    if payment.return_url is None:
        return _page(_WORDS[payment.status], f"Order {payment.order_no}")
    return RedirectResponse(
        _with_result(payment.return_url, payment), HTTPStatus.SEE_OTHER, headers=_SAFE
    )


def is_open(payment: Payment, at: datetime) -> bool:
    """Return whether a return from this payment still leads on."""
    ended = min(payment.paid_at or payment.expires_at, payment.expires_at)
    return at < ended + MARGIN


def _now() -> datetime:
    return datetime.now(UTC)


def _with_result(url: str, payment: Payment) -> str:
    parts = urlsplit(url)
    given = parse_qsl(parts.query, keep_blank_values=True)
    result = [("payment_id", str(payment.id)), ("status", str(payment.status))]
    return urlunsplit(parts._replace(query=urlencode(given + result)))


def _page(text: str, note: str, status: HTTPStatus = HTTPStatus.OK) -> HTMLResponse:
    page = _PAGE.format(text=escape(text), note=escape(note))
    return HTMLResponse(page, status_code=status, headers=_SAFE)
