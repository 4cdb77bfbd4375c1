# The App Store Server API's errors: https://developer.apple.com/documentation/appstoreserverapi
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any

MESSAGES = {
    4000000: "Bad request.",
    4000005: "Invalid request revision.",
    4000006: "Invalid transaction id.",
    4000008: "Invalid original transaction id.",
    4000009: "Invalid extend by days value.",
    4000010: "Invalid extend reason code.",
    4000011: "Invalid request identifier.",
    4000012: "Start date too far in the past.",
    4000013: "Start date after end date.",
    4000014: "Invalid pagination token.",
    4000015: "Invalid start date.",
    4000016: "Invalid end date.",
    4000018: "Invalid notification type.",
    4000019: "Multiple filters supplied.",
    4000020: "Invalid test notification token.",
    4000021: "Invalid sort.",
    4000022: "Invalid product type.",
    4000023: "Invalid product id.",
    4000024: "Invalid subscription group identifier.",
    4000026: "Invalid in app ownership type.",
    4000027: "Invalid request. The storefront country code list is empty.",
    4000028: "Invalid storefront country code.",
    4000030: "Invalid revoked.",
    4000031: "Invalid status.",
    4000033: "Invalid app account token.",
    4000034: "Invalid consumption status.",
    4000035: "Invalid customer consented.",
    4000036: "Invalid delivery status.",
    4000041: "Invalid sample content provided.",
    4000047: "Invalid transaction type not supported.",
    4000183: "Invalid request. The app account token field must be a valid UUID.",
    4000185: "Invalid request. Family sharing transactions aren't supported by this endpoint.",
    4000187: "Invalid request. The transaction ID isn't an original transaction ID.",
    4030004: "Forbidden - subscription state ineligible for extension.",
    4030007: "Subscriptions that users obtain through Family Sharing can't get an extension.",
    4040002: "Account not found. Please try again.",
    4040004: "App not found. Please try again.",
    4040005: "Original transaction id not found.",
    4040006: "Original transaction id not found. Please try again.",
    4040007: "No App Store Server Notification URL found for provided app.",
    4040008: "Either the test notification token is expired or the notification isn't available.",
    4040009: "The server didn't find a subscription-renewal-date extension request.",
    4040010: "Transaction id not found.",
    4290000: "Rate limit exceeded.",
    5000000: "An unknown error occurred.",
    5000001: "An unknown error occurred. Please try again.",
}
UNAUTHORIZED = 401
FORBIDDEN = 403
NOT_FOUND = 404
RATE_LIMIT = 4290000
RETRY_AFTER = timedelta(seconds=2)


@dataclass
class ApiError(Exception):
    """A refusal. The status is the code's first three digits; 401 has no body at all."""

    code: int
    status: int = 0

    def __post_init__(self) -> None:
        self.status = self.status or self.code // 10_000

    def content(self) -> dict[str, Any]:
        """What is answered."""
        message = MESSAGES.get(self.code, "An error occurred.")
        return {"errorCode": self.code, "errorMessage": message}

    def headers(self, now: datetime) -> dict[str, str]:
        """`Retry-After` is a moment in milliseconds, unlike everybody else's."""
        if self.code != RATE_LIMIT:
            return {}
        return {"Retry-After": str(int((now + RETRY_AFTER).timestamp() * 1000))}


class UnauthorizedError(Exception):
    """The token does not hold; Apple does not say why."""
