"""Memory that Python holds meanwhile, measured in a process that does nothing else.

To end a trace while native threads run (Temporal's, in a test's process) crashes CPython before
3.13.2: https://github.com/python/cpython/issues/128679.
"""

import asyncio
import gzip
import time
import tracemalloc
from collections.abc import Callable, Iterator
from concurrent.futures import ProcessPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from multiprocessing import get_context
from typing import ParamSpec, TypeVar

import httpx

from providers.kit.bounded_client import BoundedClient
from tests.fuzz.mangling import Message, bombs
from tests.fuzz.parsers import parser
from tests.fuzz.reading import reading
from tests.fuzz.under_fuzz import Parser
from tests.webhooks.endpoint import listening

Asked = ParamSpec("Asked")
Found = TypeVar("Found")

UNFOLDED_BYTES = 64 * 1024 * 1024


class Measuring:
    """A process of its own; it imports what it measures once."""

    def __init__(self, pool: ProcessPoolExecutor) -> None:
        self._pool = pool

    async def ask(
        self, measure: Callable[Asked, Found], *args: Asked.args, **_: Asked.kwargs
    ) -> Found:
        """What `measure`, a function of this module, finds there."""
        return await asyncio.get_running_loop().run_in_executor(self._pool, measure, *args)


@contextmanager
def measuring() -> Iterator[Measuring]:
    """Started with the first question."""
    with ProcessPoolExecutor(max_workers=1, mp_context=get_context("spawn")) as pool:
        yield Measuring(pool)


@dataclass(frozen=True)
class Cost:
    """Of reading one bomb: the most bytes that Python held, and the seconds of CPU."""

    bomb: str
    memory: int
    seconds: float


def cost_of_bombs(name: str, size: int) -> list[Cost]:
    """Of each bomb for the parser, as it is and in the place of signed content."""
    return asyncio.run(_read_bombs(parser(name), size))


async def _read_bombs(under_fuzz: Parser, size: int) -> list[Cost]:
    headers = under_fuzz.seal(under_fuzz.contents[0]).headers
    costs = []
    for bomb in bombs(size):
        for message in (
            Message(bombs(size)[bomb], headers),
            under_fuzz.seal(bombs(size * 3 // 5)[bomb]),
        ):
            tracemalloc.start()
            started = time.process_time()
            await reading(under_fuzz, message)
            costs.append(Cost(bomb, _most_held(), time.process_time() - started))
    return costs


@dataclass(frozen=True)
class Folded:
    """What a compressed answer led to, and the most bytes that Python held meanwhile."""

    refused: bool
    memory: int


def compressed(coding: str) -> Folded:
    """A provider's server answers with a bomb that it calls so."""
    return asyncio.run(_ask_for_bomb(coding))


async def _ask_for_bomb(coding: str) -> Folded:
    bomb, refused = gzip.compress(bytes(UNFOLDED_BYTES), compresslevel=1), True
    async with listening() as endpoint, BoundedClient() as client:
        # What a process's first call imports and sets up is not the answer's.
        await client.post(endpoint.url, content=b"{}")
        endpoint.says("200 OK", bomb, f"Content-Encoding: {coding}")
        tracemalloc.start()
        with suppress(httpx.DecodingError):
            await client.post(endpoint.url, content=b"{}")
            refused = False
        return Folded(refused, _most_held())


def _most_held() -> int:
    """Since the trace began, which ends here."""
    try:
        return tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
