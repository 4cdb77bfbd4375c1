"""What is counted, and the middleware that counts requests."""

import time
from http import HTTPMethod

from prometheus_client import CollectorRegistry, Counter, Histogram
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from domain.payment import Payment

# A create waits for a provider: the upper buckets are where trouble shows first.
_BUCKETS = (0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0)
_NO_ROUTE = "none"
_NO_METHOD = "other"


class Metrics:
    """The API's counters, on a registry of their own."""

    def __init__(self) -> None:
        self.registry = CollectorRegistry()
        self._requests = Histogram(
            "paysaga_http_request_seconds",
            "Requests by route, method and status.",
            ("route", "method", "status"),
            registry=self.registry,
            buckets=_BUCKETS,
        )
        self._notifications = Counter(
            "paysaga_notifications",
            "Provider notifications by what they led to; `forged` failed verification.",
            ("provider", "account", "outcome"),
            registry=self.registry,
        )
        self._payments = Counter(
            "paysaga_payments_created",
            "Payments made by POST /v1/payments, repeats not counted.",
            ("provider", "channel"),
            registry=self.registry,
        )
        self._failed_authentications = Counter(
            "paysaga_failed_authentications",
            "Requests with a wrong or missing credential.",
            ("credential",),
            registry=self.registry,
        )
        self._rejected = Counter(
            "paysaga_requests_refused",
            "Requests rejected before they reached their route, by class and problem code.",
            ("route_class", "code"),
            registry=self.registry,
        )

    def request(self, route: str, method: str, status: int, seconds: float) -> None:
        """Count one answered request."""
        # Anyone may invent a method, and labels are for ever.
        known = method if method in HTTPMethod.__members__ else _NO_METHOD
        self._requests.labels(route, known, str(status)).observe(seconds)

    def notification(self, provider: str, account: str, outcome: str) -> None:
        """Count one notification. Call it only for an account that exists: labels are for ever."""
        self._notifications.labels(provider, account, outcome).inc()

    def failed_authentication(self, credential: str) -> None:
        """Count one wrong or missing `api_key` or `operator_token`."""
        self._failed_authentications.labels(credential).inc()

    def rejected(self, kind: str, code: str) -> None:
        """Count one request of a class of routes that the limits rejected."""
        self._rejected.labels(kind, code).inc()

    def payment(self, payment: Payment) -> None:
        """Count one new payment."""
        self._payments.labels(payment.provider, payment.channel).inc()


class Measured:
    """Middleware that times every request under its route's template, never its raw path."""

    def __init__(self, app: ASGIApp, metrics: Metrics) -> None:
        self._app = app
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Time one request."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        status, ended = 500, 0.0
        started = time.perf_counter()

        async def watch(message: Message) -> None:
            nonlocal status, ended
            if message["type"] == "http.response.start":
                status = message["status"]
            await send(message)
            ended = time.perf_counter()

        try:
            await self._app(scope, receive, watch)
        finally:
            route = scope.get("state", {}).get("route", _NO_ROUTE)
            # What is done after the answer is not what a caller waits for.
            seconds = (ended or time.perf_counter()) - started
            self._metrics.request(route, scope["method"], status, seconds)
