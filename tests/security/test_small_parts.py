"""A body in crumbs, or one that nobody wants, never holds up the requests of others."""

import asyncio

import h11
import pytest

from api.connections import MOST_AFTER_ANSWER, MOST_SMALL_PARTS, BoundedConnection
from tests.fuzz.test_the_wire import HEAD, NOTIFY, line, port

__all__ = ["port"]

CHUNKED = b"Transfer-Encoding: chunked\r\n\r\n"
CRUMB, WHOLE = b"1\r\nA\r\n", b"400\r\n" + b"A" * 1024 + b"\r\n"
END = b"0\r\n\r\n"


def parsed(connection: BoundedConnection, sent: bytes) -> list[type]:
    """The events that one read brings."""
    connection.receive_data(sent)
    events = []
    while (event := connection.next_event()) is not h11.NEED_DATA:
        events.append(type(event))
        if event is h11.PAUSED or isinstance(event, h11.EndOfMessage):
            break
    return events


def test_crumbs_are_not_parsed_to_their_end() -> None:
    connection = BoundedConnection(h11.SERVER)

    events = parsed(connection, NOTIFY + CHUNKED + CRUMB * 65_000 + END)
    later = parsed(connection, CRUMB * 65_000)

    assert connection.excessive
    assert len(events) <= MOST_SMALL_PARTS + 2
    assert later == []


def test_a_body_of_ordinary_parts_is_parsed_to_its_end() -> None:
    connection = BoundedConnection(h11.SERVER)

    events = parsed(connection, NOTIFY + CHUNKED + WHOLE * 2_000 + CRUMB * 100 + END)

    assert not connection.excessive
    assert events[-1] is h11.EndOfMessage


def test_each_request_of_a_connection_is_counted_alone() -> None:
    connection = BoundedConnection(h11.SERVER)
    for _ in range(5):
        events = parsed(connection, NOTIFY + CHUNKED + CRUMB * (MOST_SMALL_PARTS - 1) + END)
        assert events[-1] is h11.EndOfMessage
        answered(connection)
        connection.start_next_cycle()


def test_what_comes_after_the_answer_is_read_to_a_bound() -> None:
    connection = BoundedConnection(h11.SERVER)
    size = f"Content-Length: {100 * MOST_AFTER_ANSWER}\r\n\r\n".encode()
    assert parsed(connection, NOTIFY + size) == [h11.Request]
    answered(connection)

    for _ in range(MOST_AFTER_ANSWER // 0x10000):
        parsed(connection, b"A" * 0x10000)
    assert not connection.excessive
    parsed(connection, b"A")

    assert connection.excessive


def answered(connection: BoundedConnection) -> None:
    connection.send(h11.Response(status_code=413, headers=[("content-length", "0")]))
    connection.send(h11.EndOfMessage())


@pytest.mark.parametrize("head", [HEAD, NOTIFY, HEAD.replace(b"/v1/payments", b"/nope")])
async def test_crumbs_never_delay_another_connection(port: int, head: bytes) -> None:
    """One read holds some 40,000 of them; all must not cost more than the first few hundred."""
    async with line(port) as stranger:
        async with asyncio.timeout(5):
            answer = await stranger.says(head + CHUNKED, *[CRUMB * 40_000] * 10)
        assert not answer or answer.split()[1] in {b"400", b"401", b"404", b"408"}
    async with line(port) as other:
        other.writer.write(b"GET /healthz HTTP/1.1\r\nHost: paysaga.test\r\n\r\n")
        assert await other.status() == 200
