"""The server against foreign pages, bad input and floods: refused or survived, and it still answers."""

import asyncio
import io
import json
import resource
import socket
import struct
import sys
from collections.abc import Awaitable, Callable, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import aiohttp
import pytest

from stylegen.__main__ import main
from stylegen.errors import UserError
from stylegen.viewer.catalog import Catalog
from stylegen.viewer.security import HEADERS, Guard
from stylegen.viewer.serving import address, listen, warning
from tests.support.datasets import encode
from tests.support.runs import refused
from tests.support.viewer import Server, save_model, serving

MODEL = "tiny"
STATE = {"model": MODEL}


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Server]:
    path = save_model(tmp_path_factory.mktemp("model") / "tiny.safetensors")
    with pytest.MonkeyPatch.context() as patch, serving(path) as server:
        patch.setattr("stylegen.viewer.server.warm_up", lambda device: None)  # nothing is projected here
        yield server


class Visitor:
    """A client with the token."""

    def __init__(self, server: Server, session: aiohttp.ClientSession) -> None:
        self.server, self.session = server, session
        self.cookie = f"{server.guard.cookie}={server.guard.token}"

    async def status(self, path: str, method: str = "GET", data: Any = None, **headers: str) -> int:
        given = {"Cookie": self.cookie} | {k.replace("_", "-"): v for k, v in headers.items()}
        async with self.session.request(method, self.server.base + path, data=data, headers=given) as answer:
            await answer.read()
            return answer.status

    async def socket(self) -> aiohttp.ClientWebSocketResponse:
        headers = {"Cookie": self.cookie}
        return await self.session.ws_connect(f"{self.server.base}/socket", origin=self.server.base, headers=headers)

    async def image(self, socket: aiohttp.ClientWebSocketResponse, number: int = 1, **still: Any) -> dict[str, Any]:
        await socket.send_str(json.dumps(message(number, **still)))
        return await receive(socket, number)


def message(number: int, **still: Any) -> dict[str, Any]:
    return {"kind": "image", "slot": "image", "id": number, "state": STATE | {"still": still}}


async def receive(socket: aiohttp.ClientWebSocketResponse, number: int) -> dict[str, Any]:
    while True:
        data = await socket.receive_bytes(timeout=20)
        header: dict[str, Any] = json.loads(data[4 : 4 + struct.unpack("<I", data[:4])[0]])
        if header.get("id") == number:
            return header


def visit(server: Server, what: Callable[[Visitor], Awaitable[Any]]) -> Any:
    """Runs `what`, then checks that the server answers with an image."""

    async def run() -> Any:
        async with aiohttp.ClientSession() as session:
            visitor = Visitor(server, session)
            result = await what(visitor)
            async with await visitor.socket() as socket:
                assert (await visitor.image(socket))["kind"] == "image"
            return result

    with ThreadPoolExecutor(1) as pool:  # playwright's event loop may run in this thread
        return pool.submit(asyncio.run, asyncio.wait_for(run(), 60)).result()


def test_foreign_pages_are_refused(server: Server) -> None:
    async def attack(visitor: Visitor) -> list[int]:
        port = server.guard.port
        return [
            await visitor.status("/", Host=f"evil.example:{port}"),  # DNS rebinding
            await visitor.status("/", Host="127.0.0.1:1"),
            await visitor.status("/models", Origin="http://evil.example"),
            await visitor.status("/models", Origin="null"),
            await visitor.status("/uploads?model=tiny", "POST", b"x", Origin=f"http://localhost.evil.example:{port}"),
            await visitor.status("/models", Cookie="a=b"),
            await visitor.status("/?token=wrong", Cookie="a=b"),
            await visitor.status("/page/main.js", Cookie="a=b"),
            await visitor.status(
                "/socket", Cookie="a=b", Origin=server.base, Upgrade="websocket", Connection="Upgrade"
            ),
            await visitor.status("/socket", Upgrade="websocket", Connection="Upgrade"),
        ]

    assert visit(server, attack) == [403] * 10


def test_the_token_becomes_a_cookie_and_all_answers_have_the_headers(server: Server) -> None:
    async def read(visitor: Visitor) -> None:
        async with visitor.session.get(server.url) as answer:
            assert answer.status == 200
            cookie = answer.headers["Set-Cookie"]
            assert "HttpOnly" in cookie
            assert "SameSite=Strict" in cookie
        for path in ("/", "/page/main.js", "/nothing", "/models"):
            async with visitor.session.get(server.base + path, headers={"Cookie": visitor.cookie}) as answer:
                assert HEADERS.items() <= dict(answer.headers).items(), path
        async with visitor.session.get(f"{server.base}/?token=wrong") as answer:
            assert HEADERS.items() <= dict(answer.headers).items()

    visit(server, read)


@pytest.mark.parametrize(
    "path",
    [
        "/page/../security.py",
        "/page/..%2fsecurity.py",
        "/page/%2e%2e%2fsecurity.py",
        "/page/%2fetc%2fpasswd",
        "/page/index.html%00.js",
        "/runs/..%2f..",
        "/runs/%2fetc/passwd",
        "/runs/x/..%2fconfig.yaml",
    ],
)
def test_the_page_names_no_path(path: str, server: Server) -> None:
    """Sent as they are: clients resolve `..` before they send."""
    with socket.create_connection(("127.0.0.1", server.guard.port), timeout=20) as connection:
        guard = server.guard
        lines = [f"GET {path} HTTP/1.1", f"Host: 127.0.0.1:{guard.port}", f"Cookie: {guard.cookie}={guard.token}"]
        connection.sendall("\r\n".join([*lines, "Connection: close", "", ""]).encode())
        answer = b"".join(iter(lambda: connection.recv(65536), b""))
    assert answer.startswith(b"HTTP/1.1 40")
    assert b"hmac" not in answer


def test_uploads_are_bounded_and_decoded_safely(server: Server) -> None:
    async def endless() -> Any:
        for _ in range(1024):
            yield bytes(2**20)

    async def attack(visitor: Visitor) -> list[int]:
        found = []
        for data in (io.BytesIO(bytes(2**25 + 1)), endless()):
            try:
                found.append(await visitor.status("/uploads?model=tiny", "POST", data))
            except (aiohttp.ClientOSError, aiohttp.ServerDisconnectedError):  # closed while we send
                found.append(413)
        found.append(await visitor.status("/uploads?model=tiny", "POST", b"no image"))
        found.append(await visitor.status("/uploads?model=other", "POST", b""))
        found.append(await visitor.status("/uploads?model=tiny", "POST", encode(0, (40, 30))))
        return found

    memory = peak()
    assert visit(server, attack) == [413, 413, 422, 409, 200]
    assert peak() - memory < 200 * 2**20


def test_slow_uploads_do_not_block_others(server: Server) -> None:
    async def attack(visitor: Visitor) -> list[int]:
        ended = asyncio.Event()

        async def slow() -> Any:
            yield b"x"
            await ended.wait()

        async def upload(data: Any) -> int:
            return await visitor.status("/uploads?model=tiny", "POST", data)

        waiting = [asyncio.create_task(upload(slow())) for _ in range(7)]
        await asyncio.sleep(0.2)
        found = [await upload(encode(0, (16, 16)))]
        waiting.append(asyncio.create_task(upload(slow())))
        await asyncio.sleep(0.2)
        found.append(await upload(b""))
        ended.set()
        return found + await asyncio.gather(*waiting)

    assert visit(server, attack) == [200, 503] + [422] * 8


def peak() -> int:
    """Peak memory of this process in bytes, which the server shares."""
    size = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return size if sys.platform == "darwin" else size * 1024


@pytest.mark.parametrize(
    "text",
    [
        "",
        "{",
        "[" * 100_000,
        "null",
        "7",
        '{"kind":"image"}',
        '{"kind":1,"slot":"image","id":1}',
        '{"kind":"image","slot":"image","id":1e999}',
    ],
)
def test_malformed_messages_are_answered(text: str, server: Server) -> None:
    async def send(visitor: Visitor) -> None:
        async with await visitor.socket() as socket:
            await socket.send_str(text)
            data = await socket.receive_bytes(timeout=20)
            assert b'"kind":"error"' in data
            assert (await visitor.image(socket))["kind"] == "image"

    visit(server, send)


def test_bad_requests_are_answered(server: Server) -> None:
    async def send(visitor: Visitor) -> None:
        async with await visitor.socket() as socket:
            for number, change in enumerate(
                [
                    {"kind": "restore", "name": "../x", "ws": ""},
                    {"kind": "restore", "name": "image1-00000000", "ws": "no base64"},
                    {"kind": "nothing"},
                    {"state": {"model": "../x"}},
                    {"state": None},
                    {"encoding": "bmp"},
                    {"extra": 1},
                ],
                10,
            ):
                await socket.send_str(json.dumps(message(number) | change))
                assert (await receive(socket, number))["kind"] == "error"

    visit(server, send)


def test_large_and_binary_messages_end_the_connection(server: Server) -> None:
    async def send(visitor: Visitor) -> None:
        for data in ("x" * 2**19, b"bytes"):
            async with await visitor.socket() as socket:
                await (socket.send_str if isinstance(data, str) else socket.send_bytes)(data)  # type: ignore[arg-type]
                assert (await socket.receive(timeout=20)).type in (aiohttp.WSMsgType.CLOSE, aiohttp.WSMsgType.CLOSED)

    visit(server, send)


def vanish(socket: aiohttp.ClientWebSocketResponse) -> None:
    """Ends the connection without a word."""
    transport = socket._writer.transport
    assert transport is not None
    transport.abort()


def test_a_flood_does_not_starve_others(server: Server) -> None:
    async def flood(visitor: Visitor) -> int:
        loud = await visitor.socket()
        async with await visitor.socket() as quiet:

            async def shout() -> None:
                for number in range(10_000):
                    await loud.send_str(json.dumps(message(number, seed=number)))

            shouting = asyncio.create_task(shout())
            await asyncio.sleep(0.05)
            for number in range(20):
                assert (await visitor.image(quiet, number, seed=number))["kind"] == "image"
            shouting.cancel()
            await asyncio.gather(shouting, return_exceptions=True)
            vanish(loud)
        return len(server.handlers._open)

    assert visit(server, flood) == 1


def test_clients_that_vanish(server: Server) -> None:
    async def leave(visitor: Visitor) -> None:
        for _ in range(10):
            socket = await visitor.socket()
            await socket.send_str(json.dumps(message(1)))
            await socket.send_str(json.dumps({"kind": "grid", "slot": "grid", "id": 2, "state": STATE}))
            vanish(socket)

    visit(server, leave)


def test_memory_is_flat(server: Server) -> None:
    frames = 300

    async def slide(visitor: Visitor) -> None:
        async with await visitor.socket() as socket:
            for number in range(frames):
                await visitor.image(socket, number, psi=number / frames, seed=number)

    visit(server, slide)  # fills caches
    memory = peak()
    visit(server, slide)
    assert peak() - memory < 8 * 2**20


def test_a_port_in_use_and_a_foreign_address() -> None:
    with listen("127.0.0.1", 0) as first:
        port = first.getsockname()[1]
        with listen("127.0.0.1", port) as second:
            assert port < second.getsockname()[1] <= port + 20
    with pytest.raises(UserError, match=r"host=203\.0\.113\.9"):
        listen("203.0.113.9", 8000)


def test_the_address_of_an_ipv6_host_has_brackets() -> None:
    found = [address(Guard(host, 8000, token="t")) for host in ("127.0.0.1", "0.0.0.0", "::", "fe80::1")]
    hosts = ("127.0.0.1", "127.0.0.1", "[::1]", "[fe80::1]")
    assert found == [f"http://{host}:8000/?token=t" for host in hosts]


def test_other_hosts_need_an_address_or_the_name_of_this_machine() -> None:
    guard = Guard("0.0.0.0", 8000)
    assert "http://" in (warning(guard) or "")
    assert warning(Guard("127.0.0.1", 8000)) is None
    hosts = {"192.0.2.7:8000": True, "localhost:8000": True, "evil.example:8000": False, "192.0.2.7": False, "": False}
    hosts |= {f"{socket.gethostname()}:8000": True, "[::1]:8000": True, "192.0.2.7:x": False, "[": False}
    assert {host: guard.knows(host) for host in hosts} == hosts


def test_models_and_runs_have_names(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for run, kimg in (("a", "000001.000"), ("a", "000002.000"), ("b", "000001.000")):
        save_model(tmp_path / "runs" / run / "snapshots" / f"{kimg}.safetensors")
    assert list(Catalog(str(tmp_path / "runs")).entries()) == ["a/000002.000", "a/000001.000", "b/000001.000"]
    assert list(Catalog(str(tmp_path / "runs" / "a")).entries()) == ["a/000002.000", "a/000001.000"]
    monkeypatch.chdir(tmp_path)
    assert next(iter(Catalog().entries())) == "portraits64"
    assert "b/000001.000" in Catalog().entries()
    for name in ("", "..", "a", "/etc/passwd", "a/../b/000001.000"):
        with pytest.raises(UserError):
            Catalog().entry(name)


@pytest.mark.parametrize(
    "settings",
    [
        ["snapshot=nowhere"],
        ["snapshot=text.txt"],
        ["snapshot=empty"],
        ["directions=nowhere"],
        ["port=80"],
        ["host=1.2.3.4"],
    ],
)
def test_bad_settings(settings: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: Any) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "text.txt").write_text("no snapshot")
    (tmp_path / "empty").mkdir()
    assert settings[0].split("=")[0] in refused(["view", "browser=false", *settings], tmp_path, capsys)
    assert main(["view", "--cfg", "job"]) == 0
