"""Ports that another holds, that repeat what they send, that come back as another device, and that take nothing."""

from __future__ import annotations

import asyncio
import contextlib
import fcntl
import os
import socket
import termios
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from drivers import FrameError, WireClosed, WireTimeout
from drivers.wires.health import LineHealth
from drivers.wires.modbus_session import NOBODY, WRITE_S
from drivers.wires.opening import make_wire, prepared
from drivers.wires.relayed import Lease
from drivers.wires.serial_port import HELD_S
from simulators.virtual_time import run_virtual, virtual_loop
from tests.drivers.counted_peers import CountedPty, CountedTcp, counted
from tests.drivers.modbus_peers import rtu, words
from tests.drivers.peers import line_wire, opened, pty_peer

UNIT = 3
KINDS = ["serial", "modbus-rtu"]


def url_of(kind: str, path: str) -> str:
    return f"{kind}://{path}?baud=115200"


def mute(_line: str) -> None:
    return None


@contextlib.contextmanager
def held(path: str) -> Iterator[int]:
    """Another program's opening of the port, with its lock."""
    other = os.open(path, os.O_RDWR | os.O_NOCTTY)
    try:
        fcntl.flock(other, fcntl.LOCK_EX)
        yield other
    finally:
        os.close(other)


# -- F20: who else has the port --------------------------------------------------


@pytest.mark.fault("F20", "T18")
@pytest.mark.parametrize("kind", KINDS)
async def test_a_closed_port_opens_at_once_although_a_process_being_started_still_has_a_copy(kind: str) -> None:
    """Between fork and exec a child holds a copy of every descriptor, and with it the lock of the opening."""
    async with pty_peer(mute) as peer:
        first, second = line_wire(url_of(kind, peer.path)), line_wire(url_of(kind, peer.path))
        await first.open()
        link = first._stream.link if kind == "serial" else first._session.transport
        copy = os.dup(link._fd)
        try:
            await first.close()
            loop = asyncio.get_running_loop()
            begun_s = loop.time()
            await second.open()
            assert loop.time() - begun_s < HELD_S / 2
            await second.close()
        finally:
            os.close(copy)


@pytest.mark.fault("F20", "T18")
@pytest.mark.parametrize("kind", KINDS)
def test_the_first_opening_waits_until_a_killed_program_has_let_go(kind: str) -> None:
    async def main() -> None:
        async with pty_peer(mute) as peer:
            wire = line_wire(url_of(kind, peer.path), flight=counted())
            with held(peer.path) as other:
                virtual_loop().call_later(HELD_S / 2, fcntl.flock, other, fcntl.LOCK_UN)
                await wire.open()
                assert virtual_loop().time() == pytest.approx(HELD_S / 2, abs=0.1)
                await wire.close()

    run_virtual(main())


@pytest.mark.fault("F20", "T18")
@pytest.mark.parametrize("kind", KINDS)
def test_a_port_that_stays_held_is_refused_with_words(kind: str) -> None:
    async def main() -> None:
        async with pty_peer(mute) as peer:
            wire = line_wire(url_of(kind, peer.path), flight=counted())
            with held(peer.path), pytest.raises(WireClosed, match="another wire of this program holds the port"):
                await wire.open()

    run_virtual(main())


@pytest.mark.fault("F20")
def test_who_has_the_port_open_is_told_at_open_and_to_those_who_listen_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Before anything hangs on the port, not only when bytes are missing."""
    monkeypatch.setattr("drivers.wires.health.sharers", lambda _path, _owners: ("screen (4711)",))

    async def main() -> None:
        told: list[tuple[str, Any]] = []
        async with pty_peer(mute) as peer, opened(line_wire(peer.url, flight=counted())) as wire:
            prepared(wire, event=lambda event, **facts: told.append((event, facts["programs"])))
        assert told == [("port_shared", ["screen (4711)"])]

    run_virtual(main())


@pytest.mark.fault("F20")
async def test_the_owner_of_a_lent_port_is_no_thief() -> None:
    ours, theirs = socket.socketpair()
    with contextlib.closing(theirs):
        lease = Lease(ours)
        assert lease.owner == os.getpid()
        wire: Any = lease.wire("modbus-rtu:///dev/ttyUSB0?baud=9600")
        assert wire.health._owners == {os.getpid()}
        await lease.close()


@pytest.mark.fault("F20")
def test_a_thief_that_takes_an_answer_now_and_then_is_looked_for_when_the_line_degrades(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("drivers.wires.health.sharers", lambda _path, _owners: ("thief (4711)",))
    told: list[str] = []
    health = LineHealth("serial:///dev/ttyUSB0", "/dev/ttyUSB0")
    health.tell = lambda event, **_: told.append(event)
    for at in range(200):
        if at % 8:
            health.answered()
        else:
            health.failed(WireTimeout("ch1", "reading", "nothing"), float(at))
    assert "port_shared" in told


# -- F12: local echo --------------------------------------------------


def answers(state: dict[str, int]) -> Any:
    """Holding registers that read ``name`` at 480 and else their own address; whoever is asked answers."""

    def script(request: bytes) -> list[tuple[float, bytes]]:
        address, count = int.from_bytes(request[2:4], "big"), int.from_bytes(request[4:6], "big")
        if request[1] in (5, 6):
            return [(0.003, request)]
        if request[1] != 3:
            return [(0.003, rtu(request[0], request[1], b"\x01\x00"))]
        held = (state["name"] if address == 480 else address + at for at in range(count))
        return [(0.003, rtu(request[0], 3, words(*held)))]

    return script


def over_tcp(script: Any) -> Any:
    """The same, framed for TCP."""

    def framed(request: bytes) -> list[tuple[float, bytes]]:
        made = []
        for delay_s, frame in script(request[6:] + b"\0\0"):
            pdu = frame[:-2]
            made.append((delay_s, request[:4] + len(pdu).to_bytes(2, "big") + pdu))
        return made

    return framed


@pytest.mark.fault("F12")
@pytest.mark.parametrize("echoes", [True, False])
def test_an_adapter_with_local_echo_is_told_at_open_before_any_device_is_asked(*, echoes: bool) -> None:
    """A question to an address that the specification leaves to nobody goes out: only an echo can come back."""

    async def main() -> None:
        told: list[str] = []
        async with CountedPty(answers({"name": 1})) as peer:
            peer.echoes = echoes
            wire = line_wire(peer.url, flight=counted())
            prepared(wire, event=lambda event, **_: told.append(event))
            await wire.open()
            assert told == ["local_echo"] * echoes
            assert peer.requests == []
            assert [request[0] for request in peer.to_nobody] == [NOBODY]
            asked = {"unit": UNIT, "device": "io1", "doing": "switching"}
            await wire.write_bit(7, on=True, **asked)  # its reply looks like its echo, which is already known
            assert await wire.read_registers("holding", 5, 1, **asked) == (5,)
            assert wire.health.failures.total() == 0
            await wire.close()

    run_virtual(main())


@pytest.mark.fault("F12")
def test_a_text_line_with_local_echo_is_named_by_the_first_question() -> None:
    async def main() -> None:
        told: list[str] = []
        async with pty_peer(lambda line: f"{line}\r\n".encode()) as peer:
            wire = line_wire(peer.url)
            async with opened(wire):
                prepared(wire, event=lambda event, **_: told.append(event))
                with pytest.raises(FrameError, match="local echo"):
                    await wire.query("TYPE?", device="ch1", doing="identifying")
        assert told == ["local_echo"]

    asyncio.run(main())


# -- F19: another device behind the same name --------------------------------------------------


@pytest.mark.fault("F19", "F40")
@pytest.mark.parametrize("kind", ["modbus-rtu", "modbus-tcp"])
def test_after_a_port_was_opened_anew_a_unit_is_asked_who_it_is_before_anything_else(kind: str) -> None:
    async def main() -> None:
        state = {"name": 0x7002}
        script = answers(state)
        far: Any = CountedPty(script) if kind == "modbus-rtu" else CountedTcp(over_tcp(script))
        async with far as peer, opened(line_wire(peer.url, flight=counted())) as wire:
            asked = {"unit": UNIT, "device": "io1", "doing": "switching"}

            def heard() -> list[tuple[int, int]]:
                """Function and address of what came since."""
                frames = [request[6:] if kind == "modbus-tcp" else request for request in peer.requests]
                peer.requests.clear()
                return [(frame[1], int.from_bytes(frame[2:4], "big")) for frame in frames]

            async def lose_the_port() -> None:
                peer.requests.clear()
                wire._session.transport.abort()
                await asyncio.sleep(0.5)

            (name,) = await wire.read_registers("holding", 480, 1, **asked)
            wire.recognise("holding", 480, (name,), unit=UNIT)
            await wire.write_bit(7, on=True, **asked)
            assert heard() == [(3, 480), (5, 7)]

            await lose_the_port()  # the same device is there again
            await wire.write_bit(7, on=True, **asked)
            await wire.write_bit(7, on=True, **asked)
            assert heard() == [(3, 480), (5, 7), (5, 7)]

            state["name"] = 0x7018
            await lose_the_port()  # and now it is another one
            for _ in range(3):
                with pytest.raises(FrameError, match="not the device that was connected"):
                    await wire.write_bit(7, on=True, **asked)
                with pytest.raises(FrameError, match="reads 7018"):
                    await wire.read_registers("holding", 5, 1, **asked)
                await asyncio.sleep(1.0)
            assert {function for function, _ in heard()} <= {1, 2, 3, 4}
            await wire.write_bit(7, on=False, **asked, stop=True)  # what takes energy away does not wait for proof
            assert (5, 7) in heard()
            with pytest.raises(FrameError, match="not the device"):  # but another device's word confirms nothing
                await wire.read_bits("coils", 7, 1, **asked, stop=True)

            wire.forget(unit=UNIT)  # a driver connects anew, and looks for itself
            await wire.read_registers("holding", 5, 1, **asked)

    run_virtual(main())


@pytest.mark.fault("F19", "T16")
def test_a_serial_port_that_was_renamed_is_not_asked_for_readings(tmp_path: Path) -> None:
    """The adapter is pulled out, and its name comes back at another device."""

    async def main() -> None:
        name = tmp_path / "ttyUSB0"
        replies = {"TYPE?": b"T,S2,160.0\r\n", "TEMP?": b"23.0\r\n"}
        async with pty_peer(replies.get) as first, pty_peer(lambda _: b"E,7,1\r\n") as other:
            name.symlink_to(first.path)
            async with opened(line_wire(f"serial://{name}?baud=9600")) as wire:
                wire.recognise("TYPE?", "T,S2,160.0")
                assert await wire.query("TEMP?", device="ch1", doing="reading") == "23.0"
                name.unlink()
                name.symlink_to(other.path)
                first.unplug()
                for _ in range(3):
                    with pytest.raises((WireClosed, WireTimeout)):
                        await wire.query("TEMP?", device="ch1", doing="reading", deadline_s=0.1)
            assert set(other.heard) == {"TYPE?"}

    asyncio.run(main())


# -- F21: the far end does not read --------------------------------------------------


@pytest.mark.fault("F21", "T17")
def test_a_serial_line_that_is_held_up_meets_the_write_deadline_however_long_its_answer_may_take() -> None:
    """Its output is stopped as by a handshake line that never comes."""

    async def main() -> None:
        async with CountedPty(answers({"name": 1})) as peer, opened(line_wire(peer.url, flight=counted())) as wire:
            asked = {"unit": UNIT, "device": "io1", "doing": "reading", "deadline_s": 5.0}
            assert await wire.read_registers("holding", 5, 1, **asked) == (5,)
            begun_s = virtual_loop().time()
            termios.tcflow(wire._session.transport._fd, termios.TCOOFF)
            with pytest.raises(WireTimeout, match="took nothing"):
                await wire.read_registers("holding", 5, 1, **asked)
            assert virtual_loop().time() - begun_s <= WRITE_S + 0.1

    run_virtual(main())


@pytest.mark.fault("F21", "T17")
async def test_a_tcp_peer_that_does_not_read_meets_the_write_deadline_and_closing_does_not_block() -> None:
    """The kernel's buffers on both sides are full: not a byte of the request leaves."""
    listening = socket.create_server(("127.0.0.1", 0))
    listening.setblocking(False)
    loop = asyncio.get_running_loop()
    wire: Any = make_wire(f"modbus-tcp://127.0.0.1:{listening.getsockname()[1]}")
    with contextlib.closing(listening):
        await wire.open()
        peer, _ = await loop.sock_accept(listening)
        with contextlib.closing(peer):
            raw = os.dup(wire._session.transport.get_extra_info("socket").fileno())
            with contextlib.suppress(BlockingIOError):
                while True:
                    os.write(raw, bytes(65536))
            os.close(raw)
            begun_s = loop.time()
            with pytest.raises(WireTimeout, match="took nothing"):
                await wire.read_registers("holding", 5, 1, unit=UNIT, device="io1", doing="reading", deadline_s=5.0)
            assert loop.time() - begun_s < WRITE_S + 1.0
            await wire.close()
            assert loop.time() - begun_s < WRITE_S + 1.5
