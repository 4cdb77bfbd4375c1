import re
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

from sandbox.apple_iap.call import Call, page
from sandbox.apple_iap.errors import ApiError
from sandbox.apple_iap.notices import Herald
from sandbox.apple_iap.views import PROVIDER, Claims, millis
from sandbox.context import Context
from sandbox.side import Notice

LONGEST_PAST = timedelta(days=180)
# Which subtypes each type may have.
TYPES: dict[str, tuple[str, ...]] = {
    "CONSUMPTION_REQUEST": (),
    "DID_CHANGE_RENEWAL_PREF": ("UPGRADE", "DOWNGRADE"),
    "DID_CHANGE_RENEWAL_STATUS": ("AUTO_RENEW_ENABLED", "AUTO_RENEW_DISABLED"),
    "DID_FAIL_TO_RENEW": ("GRACE_PERIOD",),
    "DID_RENEW": ("BILLING_RECOVERY",),
    "EXPIRED": ("VOLUNTARY", "BILLING_RETRY", "PRICE_INCREASE", "PRODUCT_NOT_FOR_SALE"),
    "EXTERNAL_PURCHASE_TOKEN": ("UNREPORTED",),
    "GRACE_PERIOD_EXPIRED": (),
    "METADATA_UPDATE": (),
    "MIGRATION": (),
    "OFFER_REDEEMED": ("UPGRADE", "DOWNGRADE"),
    "ONE_TIME_CHARGE": (),
    "PRICE_CHANGE": ("PENDING", "ACCEPTED"),
    "PRICE_INCREASE": ("PENDING", "ACCEPTED"),
    "REFUND": (),
    "REFUND_DECLINED": (),
    "REFUND_REVERSED": (),
    "RENEWAL_EXTENDED": (),
    "RENEWAL_EXTENSION": ("SUMMARY", "FAILURE"),
    "RESCIND_CONSENT": (),
    "REVOKE": (),
    "SUBSCRIBED": ("INITIAL_BUY", "RESUBSCRIBE"),
    "TEST": (),
}
SUBTYPES = frozenset(subtype for subtypes in TYPES.values() for subtype in subtypes)


@dataclass(frozen=True)
class Histories:
    """What was told, and how that went."""

    context: Context
    herald: Herald

    def notifications(self, call: Call) -> Claims:
        """Get Notification History."""
        asked = self.asked(call.body, call)
        _check_filters(call.body)
        found = [notice for notice in asked if self._is_wanted(call, notice)]
        part = page(found, call.one("paginationToken"), call.body, 4000014)
        answer: Claims = {
            "notificationHistory": [self._item(call, notice) for notice in part.shown],
            "hasMore": part.has_more,
        }
        return answer | ({"paginationToken": part.token} if part.has_more else {})

    def request_test(self, call: Call) -> Claims:
        """Request a Test Notification."""
        if self.herald.settings.notification_url is None:
            raise ApiError(4040007)
        data = self.herald.app_data(call.environment)
        notice = self.herald.tell_section(("TEST", None), "data", data)
        return {"testNotificationToken": f"{notice.notice_id}_{millis(self.context.clock.now())}"}

    def test_status(self, call: Call) -> Claims:
        """Get Test Notification Status."""
        notice_id, separator, _ = call.path["token"].partition("_")
        if not separator:
            raise ApiError(4000020)
        for notice in reversed(self.context.notifier.notices(PROVIDER)):
            if notice.notice_id == notice_id:
                return self._item(call, notice)
        raise ApiError(4040008)

    def asked(self, body: Claims, call: Call) -> list[Notice]:
        """The notifications of the time that was asked for; raises ApiError."""
        since, until = body.get("startDate"), body.get("endDate")
        if not isinstance(since, int) or isinstance(since, bool):
            raise ApiError(4000015)
        if not isinstance(until, int) or isinstance(until, bool):
            raise ApiError(4000016)
        if since > until:
            raise ApiError(4000013)
        if since < millis(call.now - LONGEST_PAST):
            raise ApiError(4000012)
        return [
            notice
            for notice in self.context.notifier.notices(PROVIDER)
            if since <= notice.content["head"]["signedDate"] <= until
            and _environment(notice) == call.environment
        ]

    def _is_wanted(self, call: Call, notice: Notice) -> bool:
        head, body = notice.content["head"], call.body
        kind, transaction_id = body.get("notificationType"), body.get("transactionId")
        if kind is not None and kind != head["notificationType"]:
            return False
        if body.get("notificationSubtype") not in (None, head.get("subtype")):
            return False
        if transaction_id is not None and transaction_id not in _numbers(notice):
            return False
        return not body.get("onlyFailures") or not self._was_received(notice)

    def _was_received(self, notice: Notice) -> bool:
        return any(item["accepted"] for item in self.context.notifier.attempts(notice.notice_id))

    def _item(self, call: Call, notice: Notice) -> Claims:
        attempts = self.context.notifier.attempts(notice.notice_id)
        sent = [
            {"attemptDate": _millis_of(item["at"]), "sendAttemptResult": _result(item)}
            for item in attempts
        ]
        return {"signedPayload": self.herald.payload(notice, call.fault), "sendAttempts": sent}


def _check_filters(body: Claims) -> None:
    """A type and a subtype that go together, or a transaction, not both; raises ApiError."""
    kind, subtype = body.get("notificationType"), body.get("notificationSubtype")
    transaction_id, failures = body.get("transactionId"), body.get("onlyFailures")
    if transaction_id is not None and (kind is not None or subtype is not None):
        raise ApiError(4000019)
    if kind not in (None, *TYPES):
        raise ApiError(4000018)
    if subtype not in (None, *(SUBTYPES if kind is None else TYPES[kind])):
        raise ApiError(4000018)
    if transaction_id is not None and not re.fullmatch(r"[0-9]{1,32}", str(transaction_id)):
        raise ApiError(4000006)
    if failures is not None and not isinstance(failures, bool):
        raise ApiError(4000000)


def _environment(notice: Notice) -> str:
    return str(notice.content["body"].get("environment", "Sandbox"))


def _numbers(notice: Notice) -> tuple[str, ...]:
    claims = notice.content.get("transaction") or {}
    return tuple(claims.get(name, "") for name in ("transactionId", "originalTransactionId"))


def _result(attempt: dict[str, Any]) -> str:
    if attempt["accepted"]:
        return "SUCCESS"
    if attempt["status"]:
        return "UNSUCCESSFUL_HTTP_RESPONSE_CODE"
    if "Timeout" in attempt["answer"]:
        return "TIMED_OUT"
    return "SOCKET_ISSUE" if "Error" in attempt["answer"] else "NO_RESPONSE"


def _millis_of(text: str) -> int:
    return millis(datetime.fromisoformat(text))
