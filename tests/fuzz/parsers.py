"""Every parser under fuzz, as data: a new provider adds its own file and a line in `PARSERS`.

`test_parsers.py` does the same to all of them.
"""

from collections.abc import Callable
from functools import cache

from tests.fuzz.alipay_parsers import alipay_parsers
from tests.fuzz.apple_iap_parsers import apple_iap_parsers
from tests.fuzz.mangling import Message
from tests.fuzz.under_fuzz import Parser
from tests.fuzz.unionpay_parsers import unionpay_parsers
from tests.fuzz.webhook_parsers import webhook_parsers
from tests.fuzz.wechatpay_parsers import wechatpay_parsers

PARSERS: dict[str, Callable[[], Parser]] = {
    **alipay_parsers(),
    **wechatpay_parsers(),
    **unionpay_parsers(),
    **apple_iap_parsers(),
    **webhook_parsers(),
}


@cache
def parser(name: str) -> Parser:
    return PARSERS[name]()


@cache
def genuine_messages(name: str) -> list[Message]:
    """Sealed once: seals have nonces, and hypothesis must meet the same bytes again."""
    return [parser(name).seal(content) for content in parser(name).contents]
