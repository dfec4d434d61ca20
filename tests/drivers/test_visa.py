"""Lines through pyvisa and pyvisa-py against a real socket server, and the faults that pyvisa-py's sockets have."""

from __future__ import annotations

import asyncio
import resource
import socket
import threading

import pytest

from drivers import FrameError, WireClosed, WireTimeout
from drivers.wires import Flight
from drivers.wires.lines import MAX_LINE
from tests.drivers.peers import line_wire, opened, tcp_peer, until, wired

ASKED = {"device": "psb", "doing": "reading"}


def echo(line: str) -> bytes:
    return f"answer to {line}\n".encode()


def visa_threads() -> int:
    return sum(thread.name.startswith("visa ") for thread in threading.enumerate())


async def test_a_query_and_a_line_without_an_answer() -> None:
    async with wired(lambda line: echo(line) if "?" in line else None, visa=True) as (peer, wire):
        await wire.send("OUTP OFF", **ASKED)
        assert await wire.query("*IDN?", **ASKED) == "answer to *IDN?"
    assert peer.raw == b"OUTP OFF\r\n*IDN?\r\n"


async def test_a_session_has_a_daemon_thread_of_its_own_and_leaves_none() -> None:
    before = visa_threads()
    async with tcp_peer(echo) as peer, opened(line_wire(peer.visa_url)), opened(line_wire(peer.visa_url)):
        assert visa_threads() == before + 2
        assert all(thread.daemon for thread in threading.enumerate() if thread.name.startswith("visa "))
    await until(lambda: visa_threads() == before)


@pytest.mark.fault("T15")
async def test_a_slow_instrument_does_not_hold_up_the_loop() -> None:
    async with tcp_peer(lambda line: [(0.3, echo(line))]) as peer, opened(line_wire(peer.visa_url)) as wire:
        asking = asyncio.create_task(wire.query("A?", **ASKED))
        turns = 0

        def answered() -> bool:
            nonlocal turns
            turns += 1
            return asking.done()

        await until(answered)
        assert await asking == "answer to A?"
        assert turns > 10


@pytest.mark.fault("F3", "T14")
async def test_a_late_reply_is_never_the_answer_to_another_question() -> None:
    """pyvisa-py hands a late reply to the next query and stays one behind for ever; the wire begins a new session."""

    def answer(line: str) -> list[tuple[float, bytes]]:
        return [(0.25 if line == "MEAS:VOLT?" else 0.1, echo(line))]

    async with tcp_peer(answer) as peer, opened(line_wire(peer.visa_url)) as wire:
        for _ in range(2):
            with pytest.raises(WireTimeout, match="while reading"):
                await wire.query("MEAS:VOLT?", **ASKED, deadline_s=0.1)
            assert await wire.query("MEAS:CURR?", **ASKED) == "answer to MEAS:CURR?"
            assert await wire.query("MEAS:POW?", **ASKED) == "answer to MEAS:POW?"
    assert peer.connections == 3


@pytest.mark.fault("F3", "T14")
async def test_after_trouble_the_known_question_comes_first() -> None:
    async with wired(lambda line: None if line == "A?" else echo(line), visa=True) as (peer, wire):
        wire.recognise("*IDN?", "answer to *IDN?")
        with pytest.raises(WireTimeout):
            await wire.query("A?", **ASKED, deadline_s=0.05)
        assert await wire.query("B?", **ASKED) == "answer to B?"
        assert peer.heard == ["A?", "*IDN?", "B?"]
        peer.answer = lambda line: b"somebody else\n"
        wire.distrust()
        with pytest.raises(FrameError, match="somebody else"):
            await wire.query("C?", **ASKED)
    assert peer.heard[-1] == "*IDN?"


@pytest.mark.fault("F4", "F13")
async def test_unasked_bytes_begin_a_new_session() -> None:
    async with tcp_peer(echo) as peer, opened(line_wire(peer.visa_url)) as wire:
        await wire.query("A?", **ASKED)
        peer.say(b"noise\n")
        assert await wire.query("B?", **ASKED) == "answer to B?"
    assert peer.connections == 2


@pytest.mark.fault("F4", "F5")
async def test_two_lines_for_one_question_are_no_answer() -> None:
    async with tcp_peer(lambda line: echo(line) + echo(line)) as peer, opened(line_wire(peer.visa_url)) as wire:
        with pytest.raises(FrameError, match="more than one line"):
            await wire.query("A?", **ASKED)
        peer.answer = echo
        assert await wire.query("B?", **ASKED) == "answer to B?"


@pytest.mark.fault("F13")
async def test_an_endless_line_and_what_is_not_text_are_refused() -> None:
    async with tcp_peer(lambda line: b"9" * (MAX_LINE + 1)) as peer, opened(line_wire(peer.visa_url)) as wire:
        with pytest.raises(FrameError, match=str(MAX_LINE)):
            await wire.query("A?", **ASKED)
        peer.answer = lambda line: b"\xff\n"
        with pytest.raises(FrameError, match="not text"):
            await wire.query("B?", **ASKED)


async def test_connecting_to_a_closed_port_is_noticed() -> None:
    """pyvisa-py's open_resource succeeds there."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    wire = line_wire(f"visa://TCPIP0::127.0.0.1::{port}::SOCKET")
    with pytest.raises(WireClosed, match="refused"):
        await wire.open()


@pytest.mark.fault("T14", "T26")
async def test_a_closing_peer_is_noticed_at_once_and_without_spinning() -> None:
    """pyvisa-py reads a closed socket at full processor load until its timeout."""
    async with tcp_peer(lambda line: None) as peer, opened(line_wire(peer.visa_url)) as wire:
        loop = asyncio.get_running_loop()
        asking = asyncio.create_task(wire.query("A?", **ASKED, deadline_s=0.5))
        await until(lambda: peer.heard)
        began_s = loop.time()
        before_s = resource.getrusage(resource.RUSAGE_SELF).ru_utime
        peer.hang_up()
        with pytest.raises(WireClosed):
            await asking
        assert loop.time() - began_s < 0.4
        assert resource.getrusage(resource.RUSAGE_SELF).ru_utime - before_s < 0.3
        peer.answer = echo
        assert await wire.query("B?", **ASKED) == "answer to B?"


@pytest.mark.fault("F2", "T14")
async def test_a_peer_that_is_gone_for_good_is_closed_not_timed_out() -> None:
    async with tcp_peer(echo) as peer:
        wire = line_wire(peer.visa_url)
        await wire.open()
        await wire.query("A?", **ASKED)
    with pytest.raises(WireClosed):
        await wire.query("A?", **ASKED)
    await wire.close()


@pytest.mark.fault("T6", "T15")
async def test_a_cancelled_caller_leaves_the_session_to_its_exchange() -> None:
    """The thread goes on with the session, so nothing else may touch it before it is back."""
    async with tcp_peer(lambda line: [(0.1, echo(line))]) as peer, opened(line_wire(peer.visa_url)) as wire:
        asking = asyncio.create_task(wire.query("A?", **ASKED))
        await until(lambda: peer.heard)
        asking.cancel()
        with pytest.raises(asyncio.CancelledError):
            await asking
        assert await wire.query("B?", **ASKED) == "answer to B?"
    assert peer.connections == 1


@pytest.mark.fault("T15")
async def test_many_callers_on_one_session_each_get_their_own_answer() -> None:
    async with tcp_peer(echo) as peer, opened(line_wire(peer.visa_url)) as wire:
        questions = [f"Q{number}?" for number in range(300)]
        answers = await asyncio.gather(*(wire.query(question, **ASKED) for question in questions))
    assert answers == [f"answer to {question}" for question in questions]


@pytest.mark.fault("T14", "T17", "F21")
async def test_a_library_that_does_not_come_back_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.wires.visa.GRACE_S", 0.1)
    gate = threading.Event()
    async with tcp_peer(echo) as peer, opened(line_wire(peer.visa_url)) as wire:
        hung = wire._worker

        def hang(*_: object) -> None:
            gate.wait(10.0)

        monkeypatch.setattr("drivers.wires.visa.Session.tell", hang)
        with pytest.raises(WireTimeout, match="did not come back"):
            await wire.query("A?", **ASKED, deadline_s=0.05)
        monkeypatch.undo()
        assert await wire.query("B?", **ASKED) == "answer to B?"
        assert not hung._ended.done()
        gate.set()
        await until(hung._ended.done)
    assert peer.connections == 2


async def test_the_clock_of_a_simulated_bench_stands_still_meanwhile() -> None:
    counts: list[int] = []
    async with tcp_peer(lambda line: [(0.02, echo(line))]) as peer:
        wire = line_wire(peer.visa_url, flight=Flight(counts.append, lambda n: counts.append(-n)), simulated=True)
        async with opened(wire):
            assert sum(counts) == 0
            asking = asyncio.create_task(wire.query("A?", **ASKED))
            await until(lambda: peer.heard)
            assert sum(counts) == 1
            await asking
            assert sum(counts) == 0
    assert sum(counts) == 0


async def test_simulated_silence_costs_little_real_time() -> None:
    async with tcp_peer(lambda line: None) as peer, opened(line_wire(peer.visa_url, simulated=True)) as wire:
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with pytest.raises(WireTimeout):
            await wire.query("A?", **ASKED, deadline_s=30.0)
        assert loop.time() - began_s < 0.3
