"""Alarm: what operators must know that is about an account or a workflow, not about one payment."""

from datetime import date, datetime
from enum import StrEnum

from domain.frozen import Frozen


class AlarmKind(StrEnum):
    """What happened. Each stands in the operators' table (docs/operations.md)."""

    # Subject: the account, `<provider>/<name>`.
    FOREIGN_NOTIFICATION = "foreign_notification"
    UNKNOWN_REFERENCE = "unknown_reference"
    UNREADABLE_NOTIFICATION = "unreadable_notification"
    # Subject: the payment's id, as 32 hex characters.
    NOTIFICATION_LIMIT = "notification_limit"
    UNMATCHED_PURCHASE = "unmatched_purchase"
    # Subject: the workflow's id.
    WORKFLOW_RESTARTED = "workflow_restarted"
    WORKFLOW_STALLED = "workflow_stalled"
    # Subject: the account, `<provider>/<name>`.
    ACCOUNT_BLOCKED = "account_blocked"


class Alarm(Frozen):
    """What is to be raised; `detail` is one sentence without payer data or secrets."""

    kind: AlarmKind
    subject: str
    detail: str


class RaisedAlarm(Alarm):
    """An alarm as it stands: how often it was raised on one day (UTC), first and last."""

    day: date
    count: int
    first_at: datetime
    last_at: datetime
