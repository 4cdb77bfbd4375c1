"""Log lines of the API and the worker: one JSON object a line, with what the line is about."""

import json
import logging
from collections import Counter
from collections.abc import Mapping
from contextvars import ContextVar
from datetime import UTC, datetime
from types import MappingProxyType

from temporalio import activity

# uvicorn gives these handlers of its own before it loads the application.
_UVICORN = ("uvicorn", "uvicorn.error")
REPEATS = 10
_fields: ContextVar[Mapping[str, str]] = ContextVar("log_fields", default=MappingProxyType({}))


def install() -> None:
    """Write every log line of this process as JSON to the standard error."""
    handler = logging.StreamHandler()
    handler.setFormatter(JsonLines())
    handler.addFilter(Repeats())
    logging.basicConfig(level=logging.INFO, handlers=[handler], force=True)
    for name in _UVICORN:
        logger = logging.getLogger(name)
        logger.handlers.clear()
        logger.propagate = True
    # Request lines of provider calls carry signed order strings.
    logging.getLogger("httpx").setLevel(logging.WARNING)


def begin(**fields: str) -> None:
    """Put these fields alone into the lines that this task logs from here on.

    Also into those after the request was answered: the web server logs errors there.
    """
    _fields.set(fields)


def bind(**fields: str) -> None:
    """Put these fields into the lines that are logged from here on: `payment_id`, `merchant_id`.

    Never a secret, and nothing of the payer.
    """
    _fields.set({**_fields.get(), **fields})


class Repeats(logging.Filter):
    """Lets `REPEATS` lines a second of one message pass, of errors by where they were raised.

    Strangers cause warnings as fast as they are answered. The next line that passes counts those
    that did not, as `left_out`.
    """

    def __init__(self) -> None:
        super().__init__()
        self._second = 0
        self._passed: Counter[tuple[str, str, str]] = Counter()
        self._left_out = 0

    def filter(self, record: logging.LogRecord) -> bool:
        """Return whether the line is written."""
        if self._second != int(record.created):
            self._second = int(record.created)
            self._passed.clear()
        message = (record.name, str(record.msg), _raised_at(record))
        self._passed[message] += 1
        if self._passed[message] > REPEATS:
            self._left_out += 1
            return False
        record.left_out, self._left_out = self._left_out, 0
        return True


class JsonLines(logging.Formatter):
    """Renders `time` (RFC 3339, UTC), `level`, `logger`, `message` and the fields of the context.

    JSON escapes line breaks, so that what a stranger sent cannot look like a line of ours.
    """

    def format(self, record: logging.LogRecord) -> str:
        """Return the line, without its end."""
        time = datetime.fromtimestamp(record.created, UTC).isoformat(timespec="milliseconds")
        line: dict[str, str | int] = {
            "time": time.replace("+00:00", "Z"),
            "level": record.levelname.lower(),
            "logger": record.name,
            "message": record.getMessage(),
            **_fields.get(),
            **_activity(),
        }
        if left_out := getattr(record, "left_out", 0):
            line["left_out"] = left_out
        if record.exc_info:
            line["exception"] = self.formatException(record.exc_info)
        return json.dumps(line, ensure_ascii=False)


def _raised_at(record: logging.LogRecord) -> str:
    """File and line of the exception that the record brings; empty without one."""
    trace = record.exc_info[2] if record.exc_info else None
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f"{trace.tb_frame.f_code.co_filename}:{trace.tb_lineno}"


def _activity() -> dict[str, str]:
    if not activity.in_activity():
        return {}
    info = activity.info()
    # A workflow's id holds the payment's or refund's own.
    return {"workflow_id": info.workflow_id or "", "activity": info.activity_type}
