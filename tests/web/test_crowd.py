"""A crowd of slow and dead clients: it is bounded, whoever is too slow is told, and a stop is answered all the while.

Of ``ALL`` streams a run opens ``PART``, unless CELLBENCH_ALL is set, which ``scripts/soak`` does.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from pathlib import Path

import httpx
import pytest

from bench.web import feed
from bench.web.roles import Role
from bench.web.settings import WebSettings
from tests.page.served import PEOPLE
from tests.web.conftest import House, house_of

pytestmark = pytest.mark.scenario

ALL, PART = 1000, 200
MANY = ALL if os.environ.get("CELLBENCH_ALL") else PART
#: A stop is on its way within 0.75 s; the rest is for a computer that is busy with other tests.
SOON_S = 3.0


class Line:
    """A connection of a stranger, which reads when it is told to."""

    def __init__(self, sock: socket.socket) -> None:
        self.sock = sock

    async def send(self, text: str) -> None:
        await asyncio.get_running_loop().sock_sendall(self.sock, text.encode())

    async def rest(self, within_s: float = 20.0) -> bytes:
        """Everything until the far end closes. Raises TimeoutError: it does not."""
        said = bytearray()
        async with asyncio.timeout(within_s):
            try:
                while piece := await asyncio.get_running_loop().sock_recv(self.sock, 1 << 16):
                    said += piece
            except (ConnectionResetError, BrokenPipeError):
                pass
        return bytes(said)


@asynccontextmanager
async def lines(house: House, count: int, *, buffer: int = 4096) -> AsyncIterator[list[Line]]:
    found: list[Line] = []
    loop = asyncio.get_running_loop()
    try:
        for _ in range(count):
            sock = socket.socket()
            sock.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, buffer)
            sock.setblocking(False)
            found.append(Line(sock))
            await loop.sock_connect(sock, ("127.0.0.1", house.port))
        yield found
    finally:
        for line in found:
            line.sock.close()


async def answered(house: House, client: httpx.Client) -> None:
    """The bench is looked at, and stopped, soon."""
    for method, place in (("GET", "me"), ("GET", "benches"), ("POST", "abort")):
        async with asyncio.timeout(SOON_S):
            answer = await asyncio.to_thread(client.request, method, place)
        assert answer.status_code == 200


def closed(line: Line) -> bool:
    """Whether the far end has closed it; what it sent before is thrown away."""
    try:
        while piece := line.sock.recv(1 << 16):
            del piece
    except BlockingIOError:
        return False
    except OSError:
        return True
    return True


def head(house: House, place: str, secret: str) -> str:
    return (
        f"GET /api/v1/{place} HTTP/1.1\r\nhost: 127.0.0.1:{house.port}\r\n"
        f"authorization: Bearer {secret}\r\nconnection: close\r\n\r\n"
    )


@pytest.fixture
def narrow(tmp_path: Path) -> Iterator[House]:
    """Few connections, and little patience."""
    with house_of(tmp_path, WebSettings(port=0, connections=40, head_s=2.0, body_s=60.0)) as house:
        yield house


async def test_half_heads_are_cut_off_and_keep_nobody_out(narrow: House) -> None:
    client = narrow.as_(Role.VIEWER)
    async with lines(narrow, 200) as many:
        for line in many:
            await line.send("POST /api/v1/abort HTTP/1.1\r\nhost: 127")
        await answered(narrow, client)
        await asyncio.sleep(2.0)  # longer than a look, shorter than a head may take and a look after it
        assert sum(not closed(line) for line in many) <= 40
        await answered(narrow, client)
        async with asyncio.timeout(10.0):
            while not all(closed(line) for line in many):  # noqa: ASYNC110 # sockets tell no event
                await asyncio.sleep(0.1)
        await answered(narrow, client)
    assert [act for act, *_ in narrow.desk.asked if act == "abort"] == ["abort"] * 3


async def test_half_bodies_are_bounded_too(narrow: House) -> None:
    """Each may take a minute here, but only so many at once."""
    client = narrow.as_(Role.VIEWER)
    async with lines(narrow, 200) as many:
        for line in many:
            await line.send(
                f"POST /api/v1/login HTTP/1.1\r\nhost: 127.0.0.1:{narrow.port}\r\n"
                "content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
            )
        await answered(narrow, client)
        async with asyncio.timeout(10.0):
            while sum(not closed(line) for line in many) > 40:  # noqa: ASYNC110
                await asyncio.sleep(0.1)
        await answered(narrow, client)


async def test_half_handshakes_are_bounded_and_cut_off_too(tmp_path: Path, certified: tuple[Path, Path]) -> None:
    """Before TLS is spoken there is no request of which the server would know."""
    certificate, key = certified
    tls = WebSettings(port=0, connections=40, head_s=2.0, tls_certificate=certificate, tls_key=key)
    with house_of(tmp_path, tls) as house:
        client = house.as_(Role.VIEWER)
        async with lines(house, 200) as many:
            await answered(house, client)
            assert sum(not closed(line) for line in many) <= 40
            async with asyncio.timeout(10.0):
                while not all(closed(line) for line in many):  # noqa: ASYNC110
                    await asyncio.sleep(0.1)
        await answered(house, client)


async def test_a_body_that_does_not_come_is_answered_for(tmp_path: Path) -> None:
    with house_of(tmp_path, WebSettings(port=0, body_s=0.5)) as house:
        async with lines(house, 1) as (line,):
            await line.send(
                f"POST /api/v1/login HTTP/1.1\r\nhost: 127.0.0.1:{house.port}\r\n"
                "content-type: application/json\r\ncontent-length: 1000\r\nconnection: close\r\n\r\n{"
            )
            said = await line.rest(10.0)
    assert said.startswith(b"HTTP/1.1 408")
    assert b'"code":"slow-body"' in said


async def test_a_stop_does_not_wait_for_its_body(house: House) -> None:
    secret = house.secret(Role.VIEWER)
    async with lines(house, 1) as (line,):
        await line.send(
            f"POST /api/v1/abort HTTP/1.1\r\nhost: 127.0.0.1:{house.port}\r\nauthorization: Bearer {secret}\r\n"
            "content-type: application/json\r\ncontent-length: 1000\r\n\r\n{"
        )
        async with asyncio.timeout(SOON_S):
            said = await asyncio.get_running_loop().sock_recv(line.sock, 4096)
        assert said.startswith(b"HTTP/1.1 200")
    assert house.desk.asked[0][0] == "abort"


async def test_a_body_that_is_cut_off_asks_for_nothing(house: House) -> None:
    """What would be done without a body is not done where one was announced and did not come whole."""
    secret = house.secret(Role.ADMIN)
    async with lines(house, 2) as (cut, whole):
        for line, length in ((cut, 10), (whole, 2)):
            await line.send(
                f"POST /api/v1/runs/r-0001/{'pause' if line is cut else 'resume'} HTTP/1.1\r\n"
                f"host: 127.0.0.1:{house.port}\r\nauthorization: Bearer {secret}\r\nconnection: close\r\n"
                f"content-type: application/json\r\ncontent-length: {length}\r\n\r\n{{}}"
            )
        cut.sock.shutdown(socket.SHUT_RDWR)
        assert (await whole.rest()).startswith(b"HTTP/1.1 200")
        await asyncio.sleep(0.3)
    assert [act for act, *_ in house.desk.asked] == ["resume"]


async def test_who_reads_too_slowly_is_dropped_and_told(tmp_path: Path) -> None:
    with house_of(tmp_path, WebSettings(port=0, stream_events=16)) as house:
        client = house.as_(Role.VIEWER)
        async with lines(house, 1) as (line,):
            await line.send(head(house, "events", house.secret(Role.VIEWER)))
            await readers(house, 1)
            for _ in range(200):  # 20 MB: more than any socket's buffer
                house.desk.tell("message", data={"text": "x" * 100_000})
                await asyncio.sleep(0.002)
            await answered(house, client)
            said = await line.rest()
    assert said.endswith(b"0\r\n\r\n"), "its stream has an orderly end"
    assert b"event: dropped" in said[-1000:]
    assert b'"code":"too-slow"' in said[-1000:]
    assert b"read again from the last id" in said[-1000:]


async def test_who_reads_nothing_is_cut_off(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(feed, "PING_S", 0.5)
    with house_of(tmp_path, WebSettings(port=0, stream_events=16, stream_stalled_s=1.0)) as house:
        client = house.as_(Role.VIEWER)
        async with lines(house, 5) as many:
            for line in many:
                await line.send(head(house, "events", house.secret(Role.VIEWER)))
            await readers(house, 5)
            for _ in range(80):
                house.desk.tell("message", data={"text": "x" * 100_000})
                await asyncio.sleep(0.005)
            await answered(house, client)
            await readers(house, 0)
            await answered(house, client)


async def test_who_came_back_misses_nothing_or_is_told(house: House) -> None:
    await readers(house, 0)  # it listens
    for number in range(5):
        house.desk.tell("message", data={"number": number})
    newest = house.desk.now().seq
    async with lines(house, 2) as (known, unknown):
        await asyncio.sleep(0.5)  # the events are on the other thread's side
        await known.send(head(house, f"events?after={newest - 3}", house.secret(Role.VIEWER)))
        await unknown.send(head(house, "events?after=999999999", house.secret(Role.VIEWER)))
        await readers(house, 2)
        await asyncio.sleep(0.5)
        house.desk.cut()
        said, nothing = await known.rest(), await unknown.rest()
    ids = [int(line[4:]) for line in said.split(b"\n") if line.startswith(b"id: ")]
    assert ids == [newest - 2, newest - 1, newest]
    assert b"id: " not in nothing


async def test_a_crowd_of_streams_leaves_the_bench_as_it_is(tmp_path: Path) -> None:
    """Every second of them reads nothing; the rest is thrown away. A person has 64 at most, all together 256."""
    with house_of(tmp_path) as house:
        client = house.as_(Role.VIEWER)
        secrets = {name: house.secret(name) for name in PEOPLE}
        async with lines(house, MANY, buffer=1 << 15) as many:
            for number, line in enumerate(many):
                await line.send(head(house, "events", secrets[list(PEOPLE)[number % len(PEOPLE)]]))
            await readers(house, min(MANY, 256))
            for round_ in range(20):
                house.desk.show("ch1", state="running" if round_ % 2 else "paused")
                house.desk.tell("message", data={"text": "x" * 1000})
                for line in many[::2]:
                    closed(line)
                if round_ % 5 == 0:
                    await answered(house, client)
                await asyncio.sleep(0.05)
            assert house.desk.feed is not None
            assert house.desk.feed.readers <= 256
        await readers(house, 0)  # who went is forgotten
        await answered(house, client)


async def test_a_person_s_oldest_stream_gives_way(tmp_path: Path) -> None:
    with house_of(tmp_path, WebSettings(port=0, streams=6, streams_each=3)) as house:
        lin, wang = house.secret("lin"), house.secret("wang")
        async with lines(house, 8) as (first, *others, late):
            await first.send(head(house, "events", lin))
            await readers(house, 1)
            for line in others[:3]:
                await line.send(head(house, "events", lin))
            said = await first.rest()
            assert b'"code":"replaced"' in said
            for line in others[3:6]:
                await line.send(head(house, "events", wang))
            await readers(house, 6)
            await late.send(head(house, "events", house.secret("gast")))
            refused = await late.rest()
        assert refused.startswith(b"HTTP/1.1 503")
        assert b'"code":"too-many-streams"' in refused


async def readers(house: House, count: int) -> None:
    """Wait until so many read along. Raises TimeoutError."""
    async with asyncio.timeout(30.0):
        while house.desk.feed is None or house.desk.feed.readers != count:  # noqa: ASYNC110 # of another thread
            await asyncio.sleep(0.05)
