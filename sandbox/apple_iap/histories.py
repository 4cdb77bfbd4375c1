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
TYPES = (
    "CONSUMPTION_REQUEST",
    "DID_CHANGE_RENEWAL_PREF",
    "DID_CHANGE_RENEWAL_STATUS",
    "DID_FAIL_TO_RENEW",
    "DID_RENEW",
    "EXPIRED",
    "EXTERNAL_PURCHASE_TOKEN",
    "GRACE_PERIOD_EXPIRED",
    "METADATA_UPDATE",
    "MIGRATION",
    "OFFER_REDEEMED",
    "ONE_TIME_CHARGE",
    "PRICE_CHANGE",
    "PRICE_INCREASE",
    "REFUND",
    "REFUND_DECLINED",
    "REFUND_REVERSED",
    "RENEWAL_EXTENDED",
    "RENEWAL_EXTENSION",
    "RESCIND_CONSENT",
    "REVOKE",
    "SUBSCRIBED",
    "TEST",
)


@dataclass(frozen=True)
class Histories:
    """What was told, and how that went."""

    context: Context
    herald: Herald

    def notifications(self, call: Call) -> Claims:
        """Get Notification History."""
        found = [notice for notice in self.asked(call.body, call) if self._is_wanted(call, notice)]
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
        if kind is not None and transaction_id is not None:
            raise ApiError(4000019)
        if kind not in (None, *TYPES):
            raise ApiError(4000018)
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
