"""The example proxy in front of API processes, run with what a restart and a stranger do to it."""

import asyncio
import os
import shutil
import socket
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from tests.stack.waiting import eventually

HAPROXY = shutil.which("haproxy") or shutil.which("haproxy", path="/usr/sbin")

pytestmark = pytest.mark.skipif(HAPROXY is None, reason="haproxy is not installed")


class Api:
    """What an API process is to the proxy: answers, and keeps each request as it came."""

    def __init__(self, port: int) -> None:
        self.port = port
        self.requests: list[bytes] = []
        self.health_seconds = 0.0
        self.health_checks = 0
        self._server: asyncio.Server | None = None

    async def start(self) -> None:
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port)

    async def stop(self) -> None:
        if self._server is not None:
            self._server.close()
            self._server = None

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        length = [
            line for line in head.lower().split(b"\r\n") if line.startswith(b"content-length")
        ]
        body = await reader.readexactly(int(length[0].split(b":")[1])) if length else b""
        if head.startswith(b"GET /healthz "):
            self.health_checks += 1
            await asyncio.sleep(self.health_seconds)
        else:
            self.requests.append(head + body)
        writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 2\r\nconnection: close\r\n\r\nOK")
        await writer.drain()
        writer.close()


class Proxy:
    """HAProxy with the example, in front of two API processes."""

    def __init__(self) -> None:
        self.port, *ports = free_ports(3)
        self.apis = [Api(port) for port in ports]

    @property
    def http(self) -> httpx.AsyncClient:
        return httpx.AsyncClient(base_url=f"http://127.0.0.1:{self.port}", trust_env=False)

    @asynccontextmanager
    async def running(self, config: Path) -> AsyncIterator[None]:
        for api in self.apis:
            await api.start()
        addresses = [f"127.0.0.1:{api.port}" for api in self.apis]
        names = ("PAYSAGA_API_1", "PAYSAGA_API_2")
        environment = os.environ | dict(zip(names, addresses, strict=True))
        process = await asyncio.create_subprocess_exec(
            *(str(HAPROXY), "-db", "-f", str(config)),
            env=environment | {"PAYSAGA_PROXY": f"127.0.0.1:{self.port}"},
        )
        try:
            await eventually(self._answers, 20)
            yield
        finally:
            process.terminate()
            await process.wait()
            for api in self.apis:
                await api.stop()

    async def _answers(self) -> None:
        async with self.http as http:
            answer = await http.get("/v1/ready")
        assert answer.status_code == httpx.codes.OK


def free_ports(count: int) -> list[int]:
    held = [socket.create_server(("127.0.0.1", 0)) for _ in range(count)]
    ports = [each.getsockname()[1] for each in held]
    for each in held:
        each.close()
    return ports


@pytest.fixture
async def proxy(root: Path) -> AsyncIterator[Proxy]:
    proxy = Proxy()
    async with proxy.running(root / "deploy/haproxy.cfg"):
        for api in proxy.apis:
            api.requests.clear()
        yield proxy


async def test_a_notifications_bytes_arrive_as_they_were_sent(proxy: Proxy) -> None:
    body = b'{"resource":{"ciphertext":"a+/b=="},\r\n "n" : 1.0e0, "\xe8\x8c\xb6":"%2B+\\/"}  '
    path = "/notify/wechatpay/main?a=%2F&b=%e8%8c%b6&&c="
    async with proxy.http as http:
        await http.post(path, content=body, headers={"Wechatpay-Signature": "a b+/=="})

    [request] = [each for api in proxy.apis for each in api.requests]
    head, _, received = request.partition(b"\r\n\r\n")
    assert received == body
    assert head.startswith(b"POST " + path.encode() + b" HTTP/1.1\r\n")
    assert b"wechatpay-signature: a b+/==" in head.split(b"\r\n")


async def test_a_client_cannot_choose_its_address(proxy: Proxy) -> None:
    async with proxy.http as http:
        await http.get("/v1/events", headers={"X-Forwarded-For": "203.0.113.7"})

    [request] = [each for api in proxy.apis for each in api.requests]
    assert request.lower().count(b"x-forwarded-for:") == 1
    assert b"x-forwarded-for: 127.0.0.1\r\n" in request


@pytest.mark.parametrize("path", ["/ops/codec/decode", "/metrics", "/readyz", "/healthz", "/docs"])
async def test_what_is_for_operators_is_not_there(proxy: Proxy, path: str) -> None:
    async with proxy.http as http:
        answer = await http.get(path)

    assert answer.status_code == httpx.codes.NOT_FOUND
    assert not any(api.requests for api in proxy.apis)


async def test_no_request_fails_while_one_process_after_the_other_is_restarted(
    proxy: Proxy,
) -> None:
    failed: list[str] = []
    sent = 0
    over = asyncio.Event()

    async def client() -> None:
        nonlocal sent
        async with proxy.http as http:
            while not over.is_set():
                answer = await http.post("/v1/payments", content=b"{}")
                sent += 1
                if answer.status_code != httpx.codes.OK:
                    failed.append(f"{answer.status_code}: {answer.text}")

    async def served(api: Api) -> None:
        before = len(api.requests)

        async def more() -> None:
            assert len(api.requests) > before

        await eventually(more, 20)

    clients = [asyncio.create_task(client()) for _ in range(4)]
    first, second = proxy.apis
    for restarted, other in ((first, second), (second, first)):
        await restarted.stop()
        await served(other)
        await restarted.start()
        await served(restarted)
    over.set()
    await asyncio.gather(*clients)

    assert sent > 0
    assert failed == []


async def test_processes_that_answer_their_health_checks_late_are_not_taken_for_down(
    proxy: Proxy,
) -> None:
    for api in proxy.apis:
        api.health_seconds = 1.0
        api.health_checks = 0

    async def slow_checks_were_judged() -> None:
        assert all(api.health_checks > 1 for api in proxy.apis)

    await eventually(slow_checks_were_judged, 20)
    async with proxy.http as http:
        answer = await http.post("/v1/payments", content=b"{}")

    assert answer.status_code == httpx.codes.OK
