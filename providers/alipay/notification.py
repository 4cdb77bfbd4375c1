"""A form from outside, verified before anything in it is believed (sheet 1.3, 1.11)."""

from urllib.parse import unquote_to_bytes

from domain.errors import InvalidSignature, Unreadable
from domain.notification import Notification, NotificationKind
from domain.report import Attention
from providers.alipay import mapping, signing
from providers.alipay.config import CODECS, AlipayConfig
from providers.alipay.keys import Credentials

_TRADE = b"trade_status_sync"


def read_notification(body: bytes, config: AlipayConfig, credentials: Credentials) -> Notification:
    """Verify the raw form, then map it; raises InvalidSignature."""
    form = read_form(body)
    fields = verified(form, credentials, is_return=False)
    if not _is_about_a_trade(fields):
        return Notification(
            provider="alipay",
            account=config.name,
            notification_id=fields.get("notify_id", ""),
            kind=NotificationKind.OTHER,
            reference="",
            names_another_account=fields.get("app_id") != config.app_id,
        )
    mismatch = None if is_ours(fields, config) else Attention.ACCOUNT_MISMATCH
    if not mismatch and "refund_fee" in fields and mapping.fen(fields["refund_fee"]) is None:
        raise Unreadable("The message's refund_fee is no sum of money.", provider="alipay")
    about_refund = bool(fields.get("out_biz_no")) and mapping.has_refund(fields)
    report = mapping.payment_report(fields, fields["out_trade_no"], config.credit_pay_modes)
    word = report.model_copy(update={"mismatch": mismatch or report.mismatch})
    return Notification(
        provider="alipay",
        account=config.name,
        notification_id=fields["notify_id"],
        kind=NotificationKind.REFUND if about_refund else NotificationKind.PAYMENT,
        reference=fields["out_trade_no"],
        provider_reference=fields.get("trade_no"),
        payment=None if about_refund else word,
        refund=mapping.notified_refund(fields, mismatch) if about_refund else None,
    )


def _is_about_a_trade(fields: dict[str, str]) -> bool:
    """Whether a verified message is a trade's, not one of the many that Alipay sends an app.

    The others have a type of their own, or a `msg_method`, and no state of a trade
    (`alipay.trade.refund.depositback.completed`). Raises Unreadable for a trade's without numbers.
    """
    if fields.get("notify_type") != _TRADE.decode() and "trade_status" not in fields:
        return False
    if not (fields.get("out_trade_no") and fields.get("notify_id")):
        raise Unreadable("The message is about a trade and names none.", provider="alipay")
    return True


def read_return(query: str, config: AlipayConfig, credentials: Credentials) -> str:
    """The reference that a browser brings back; raises InvalidSignature."""
    fields = verified(read_form(query.encode("utf-8", "replace")), credentials, is_return=True)
    if not is_ours(fields, config) or not fields.get("out_trade_no"):
        raise _refused("it is not about this account")
    return fields["out_trade_no"]


def is_ours(fields: dict[str, str], config: AlipayConfig) -> bool:
    """Whether app and, where it is named, seller are this account's."""
    seller = fields.get("seller_id", config.seller_id)
    return fields.get("app_id") == config.app_id and seller == config.seller_id


def read_form(body: bytes) -> dict[bytes, bytes]:
    """The form's raw values, percent-decoded once and not yet text; raises InvalidSignature.

    Empty values are dropped: no signature covers them, so nobody may read them.
    """
    form: dict[bytes, bytes] = {}
    for part in filter(None, body.split(b"&")):
        key, _, value = (unquote_to_bytes(item.replace(b"+", b" ")) for item in _halves(part))
        if key in form:
            raise _refused("a key stands twice")
        form[key] = value
    return {key: value for key, value in form.items() if value}


def _halves(part: bytes) -> tuple[bytes, bytes, bytes]:
    # Only the first "=" divides: base64 ends in more of them.
    return part.partition(b"=")


def verified(
    form: dict[bytes, bytes], credentials: Credentials, *, is_return: bool
) -> dict[str, str]:
    """The form as text, after its signature was found to be Alipay's; raises InvalidSignature."""
    if form.get(b"sign_type") != b"RSA2":
        raise _refused("it is not signed by RSA2")
    signature = form.get(b"sign", b"").decode("ascii", "replace")
    rules = [frozenset({b"sign", b"sign_type"})]
    if not is_return and form.get(b"notify_type") != _TRADE:
        # Service-market notifications keep sign_type in what is signed.
        rules.append(frozenset({b"sign"}))
    if not any(
        credentials.is_alipays(signing.canonical(form, without=rule), signature) for rule in rules
    ):
        raise _refused("its signature is not Alipay's")
    if not signing.is_unambiguous(form):
        raise _refused("it may have been cut up differently than it was signed")
    return _as_text(form)


def _as_text(form: dict[bytes, bytes]) -> dict[str, str]:
    """The verified form as text: whatever decides anything is ASCII, in every charset of Alipay's.

    An unknown or wrong charset only spoils what is for display.
    """
    charset = form.get(b"charset", b"utf-8").decode("ascii", "replace").lower()
    codec = CODECS.get(charset, "utf-8")
    return {
        key.decode("ascii"): value.decode(codec, "replace")
        for key, value in form.items()
        if key.isascii()
    }


def _refused(reason: str) -> InvalidSignature:
    return InvalidSignature(f"The message is refused: {reason}.", provider="alipay")
