"""Small messages that would cost much: what they cost, in memory and in time."""

from collections.abc import Iterator

import pytest

from tests.fuzz.measuring import Measuring, compressed, cost_of_bombs, measuring
from webhooks.sender import LARGEST_ANSWER

# docs/reliability.md says this figure.
MOST_MEMORY = 16 * 1024 * 1024
MOST_CPU_SECONDS = 2.0
# As large as our own door and the providers' client let through.
AT_THE_DOOR, IN_AN_ANSWER = 64 * 1024, 256 * 1024

# One of those that read alike, and the most that reaches it.
BOMBED = {
    "alipay notification": AT_THE_DOOR,
    "wechatpay notification": AT_THE_DOOR,
    "wechatpay notification, inside": AT_THE_DOOR,
    "alipay answer to query": IN_AN_ANSWER,
    "wechatpay answer to query": IN_AN_ANSWER,
    "wechatpay refusal 400": IN_AN_ANSWER,
    "wechatpay certificates": IN_AN_ANSWER,
    "wechatpay certificate, inside": IN_AN_ANSWER,
    "unionpay notification": AT_THE_DOOR,
    "unionpay certificate, inside": AT_THE_DOOR,
    "unionpay answer to query": IN_AN_ANSWER,
    "apple_iap notification": AT_THE_DOOR,
    "apple_iap notification, inside": AT_THE_DOOR,
    "apple_iap brought transaction": AT_THE_DOOR,
    "apple_iap header": AT_THE_DOOR,
    "apple_iap answer to history": IN_AN_ANSWER,
    "webhook answer": LARGEST_ANSWER,
    "webhook Retry-After": LARGEST_ANSWER,
}


@pytest.fixture(scope="module")
def apart() -> Iterator[Measuring]:
    with measuring() as process:
        yield process


@pytest.mark.parametrize("name", BOMBED)
async def test_a_bomb_costs_no_more_than_is_stated(name: str, apart: Measuring) -> None:
    costs = await apart.ask(cost_of_bombs, name, BOMBED[name])
    assert [
        cost for cost in costs if cost.memory > MOST_MEMORY or cost.seconds > MOST_CPU_SECONDS
    ] == []


@pytest.mark.parametrize("coding", ["gzip", "deflate", "br", "zstd", "gzip, gzip", "x"])
async def test_a_compressed_answer_stays_folded(coding: str, apart: Measuring) -> None:
    found = await apart.ask(compressed, coding)
    assert found.refused
    assert found.memory < 4 * 1024 * 1024
