"""The parsers of merchants' answers to webhooks."""

import asyncio
from collections.abc import Callable

from tests.fuzz.mangling import Message
from tests.fuzz.under_fuzz import NOW, Parser
from webhooks.answers import read_answer, read_retry_after


async def webhook_answer(message: Message) -> object:
    await asyncio.sleep(0)
    return read_answer(200, message.body)


async def webhook_retry_after(message: Message) -> object:
    await asyncio.sleep(0)
    return read_retry_after(message.body.decode("latin-1"), NOW)


def webhook_parsers() -> dict[str, Callable[[], Parser]]:
    return {
        "webhook answer": lambda: Parser(
            webhook_answer, [b'{"decision":"refund","reason":"sold out"}', b"ok"]
        ),
        "webhook Retry-After": lambda: Parser(
            webhook_retry_after, [b"Sun, 22 Nov 2026 12:01:00 GMT", b"120"]
        ),
    }
