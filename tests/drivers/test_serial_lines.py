"""The serial line wire on a pseudo-terminal."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import pytest

from drivers import FrameError, WireClosed, WireTimeout
from drivers.wires import Flight
from tests.drivers.peers import line_wire, opened, pty_peer, until

ASKED = {"device": "ch1", "doing": "reading"}


def echo(line: str) -> bytes:
    return f"answer to {line}\r\n".encode()


async def test_a_query_in_both_directions_with_its_own_ending() -> None:
    async with pty_peer(echo) as peer, opened(line_wire(peer.url)) as wire:
        assert await wire.query("TEMP?", **ASKED) == "answer to TEMP?"
    assert peer.raw == b"TEMP?\r\n"


async def test_a_line_that_ends_in_cr_only() -> None:
    async with pty_peer(lambda line: None) as peer, opened(line_wire(peer.url + "&ending=cr")) as wire:
        asking = asyncio.create_task(wire.query("READ", **ASKED))
        await until(lambda: peer.raw == b"READ\r")
        peer.say(b"1.0\r")
        assert await asking == "1.0"


@pytest.mark.fault("F20", "F21", "T17")
async def test_the_port_is_opened_with_all_that_pyserial_leaves_open() -> None:
    async with pty_peer(echo) as peer, opened(line_wire(peer.url + "&parity=E&stop=2")) as wire:
        port = wire._stream.link._port
        assert (port.exclusive, port.timeout, port.write_timeout) == (True, 0, 0)
        assert (port.baudrate, port.parity, port.stopbits) == (9600, "E", 2)


@pytest.mark.fault("F20", "T18")
async def test_a_second_opener_is_kept_out() -> None:
    async with pty_peer(echo) as peer, opened(line_wire(peer.url)):
        second = line_wire(peer.url)
        with pytest.raises(WireClosed, match="cannot be opened"):
            await second.open()


@pytest.mark.fault("F3", "T1")
async def test_a_late_reply_is_drained_before_the_next_question() -> None:
    def answer(line: str) -> list[tuple[float, bytes]]:
        return [(0.15 if line == "TEMP?" else 0.0, echo(line))]

    async with pty_peer(answer) as peer, opened(line_wire(peer.url)) as wire:
        with pytest.raises(WireTimeout):
            await wire.query("TEMP?", **ASKED, deadline_s=0.05)
        assert await wire.query("HUMI?", **ASKED) == "answer to HUMI?"


@pytest.mark.fault("F3", "F5", "T4")
async def test_a_reply_later_than_any_drain_falls_to_the_known_question() -> None:
    """The device takes 0.6 s for one command and answers in order: its reply meets the known question."""
    async with pty_peer(lambda line: None) as peer, opened(line_wire(peer.url)) as wire:
        wire.recognise("TYPE?", "T,S2,160.0", pause_s=0.01)
        with pytest.raises(WireTimeout):
            await wire.query("TEMP?", **ASKED, deadline_s=0.05)

        def answer(line: str) -> list[tuple[float, bytes]] | bytes:
            return [(0.05, echo("TEMP?")), (0.1, b"T,S2,160.0\r\n")] if line == "TYPE?" else echo(line)

        peer.answer = answer
        assert await wire.query("HUMI?", **ASKED) == "answer to HUMI?"
        assert peer.heard == ["TEMP?", "TYPE?", "HUMI?"]


@pytest.mark.fault("F12", "T7")
async def test_unasked_bytes_are_drained_before_the_next_question() -> None:
    async with pty_peer(echo) as peer, opened(line_wire(peer.url)) as wire:
        peer.say(b"\x00noise")
        await until(lambda: wire._stream.strays)
        assert await wire.query("TEMP?", **ASKED) == "answer to TEMP?"


@pytest.mark.fault("F13")
async def test_a_line_that_never_falls_silent_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("drivers.wires.lines.DRAIN_S", 0.1)
    async with pty_peer(lambda line: None) as peer, opened(line_wire(peer.url)) as wire:
        wire._settle_s = 0.05
        wire.distrust()
        chatter = asyncio.create_task(_chatter(peer.say))
        with pytest.raises(FrameError, match="did not fall silent"):
            await wire.query("TEMP?", **ASKED)
        chatter.cancel()
        await asyncio.gather(chatter, return_exceptions=True)
        assert "TEMP?" not in peer.heard


async def _chatter(say: Callable[[bytes], None]) -> None:
    while True:
        say(b"x")
        await asyncio.sleep(0.005)


@pytest.mark.fault("F19", "T16", "T19")
async def test_an_unplugged_adapter_ends_the_exchange_at_once() -> None:
    async with pty_peer(lambda line: None) as peer, opened(line_wire(peer.url)) as wire:
        asking = asyncio.create_task(wire.query("TEMP?", **ASKED, deadline_s=30.0))
        await until(lambda: peer.heard)
        peer.unplug()
        with pytest.raises(WireClosed, match="gone"):
            await asking
        with pytest.raises(WireClosed, match="cannot be opened"):
            await wire.query("TEMP?", **ASKED)


@pytest.mark.fault("F19", "T16", "T19")
async def test_an_adapter_unplugged_between_exchanges_is_noticed() -> None:
    async with pty_peer(echo) as peer, opened(line_wire(peer.url)) as wire:
        await wire.query("TEMP?", **ASKED)
        peer.unplug()
        await until(lambda: wire._stream.lost)
        with pytest.raises(WireClosed):
            await wire.query("TEMP?", **ASKED)


@pytest.mark.fault("F19")
async def test_a_port_that_is_not_there() -> None:
    wire = line_wire("serial:///dev/no-such-port?baud=9600")
    with pytest.raises(WireClosed, match="no-such-port"):
        await wire.open()


@pytest.mark.fault("F21", "T17", "T19")
async def test_a_far_end_that_takes_nothing_meets_the_write_deadline_and_closing_does_not_block() -> None:
    async with pty_peer(lambda line: None) as peer, opened(line_wire(peer.url)) as wire:
        peer.stop_reading()
        loop = asyncio.get_running_loop()
        began_s = loop.time()
        with pytest.raises(WireTimeout, match="took nothing"):
            await wire.send("X" * 1_000_000, **ASKED, deadline_s=0.1)
        await wire.close()
        assert loop.time() - began_s < 2.0


async def test_a_long_line_goes_out_in_the_pieces_that_the_port_takes() -> None:
    async with pty_peer(lambda line: None) as peer, opened(line_wire(peer.url)) as wire:
        await wire.send("X" * 300_000, **ASKED, deadline_s=30.0)
        await until(lambda: peer.heard, 30.0)
    assert peer.heard == ["X" * 300_000]


async def test_every_byte_is_counted() -> None:
    counts = {"left": 0, "arrived": 0}

    def leave(count: int) -> None:
        counts["left"] += count

    def arrive(count: int) -> None:
        counts["arrived"] += count

    async with pty_peer(echo) as peer, opened(line_wire(peer.url, flight=Flight(leave, arrive))) as wire:
        await wire.query("TEMP?", **ASKED)
    assert counts == {"left": len(b"TEMP?\r\n"), "arrived": len(echo("TEMP?"))}
