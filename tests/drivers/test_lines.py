"""The TCP line wire against a real socket server of the test's own."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from drivers import FrameError, WireClosed, WireTimeout
from drivers.wires import Flight, pacing
from drivers.wires.lines import MAX_LINE, Stream
from drivers.wires.port import ExchangeError
from drivers.wires.url import UrlError, parse_url, wire_key
from tests.drivers.peers import line_wire, opened, tcp_peer, until, wired

ASKED = {"device": "psb", "doing": "reading"}


def echo(line: str) -> bytes:
    return f"answer to {line}\n".encode()


async def test_a_query_gives_the_line_without_its_terminator() -> None:
    async with tcp_peer(lambda line: f"{line}!\r\n".encode()) as peer, opened(line_wire(peer.url)) as wire:
        assert await wire.query("MEAS:ARR?", **ASKED) == "MEAS:ARR?!"
    assert peer.raw == b"MEAS:ARR?\r\n"


async def test_the_url_chooses_the_ending() -> None:
    async with tcp_peer(echo) as peer, opened(line_wire(peer.url + "?ending=lf")) as wire:
        await wire.query("A?", **ASKED)
    assert peer.raw == b"A?\n"


async def test_a_line_without_an_answer() -> None:
    async with tcp_peer(lambda line: echo(line) if "?" in line else None) as peer, opened(line_wire(peer.url)) as wire:
        await wire.send("OUTP OFF", **ASKED)
        assert await wire.query("OUTP?", **ASKED) == "answer to OUTP?"
    assert peer.heard == ["OUTP OFF", "OUTP?"]


@pytest.mark.fault("F3", "T1", "T5")
async def test_a_late_reply_is_never_the_answer_to_another_question() -> None:
    """The reply to the voltage comes after its deadline, exactly where the current's is awaited."""

    def answer(line: str) -> list[tuple[float, bytes]]:
        return [(0.15 if line == "MEAS:VOLT?" else 0.1, echo(line))]

    async with tcp_peer(answer) as peer, opened(line_wire(peer.url)) as wire:
        for _ in range(3):
            with pytest.raises(WireTimeout, match=r"within 0\.05 s while reading"):
                await wire.query("MEAS:VOLT?", **ASKED, deadline_s=0.05)
            assert await wire.query("MEAS:CURR?", **ASKED) == "answer to MEAS:CURR?"
            assert await wire.query("MEAS:POW?", **ASKED) == "answer to MEAS:POW?"
    assert peer.connections == 4


@pytest.mark.fault("F3", "T3", "T4", "F5")
async def test_a_late_reply_that_survives_reconnecting_is_dropped_before_the_known_answer() -> None:
    """A serial forwarder keeps the device's late reply and hands it to the next connection."""
    late = b"answer to MEAS:VOLT?\n"

    async with tcp_peer(echo) as peer, opened(line_wire(peer.url)) as wire:
        wire.recognise("*IDN?", "answer to *IDN?")
        peer.answer = lambda line: None
        with pytest.raises(WireTimeout):
            await wire.query("MEAS:VOLT?", **ASKED, deadline_s=0.05)
        peer.answer = lambda line: [(0.0, late), (0.02, echo(line))] if line == "*IDN?" else echo(line)
        assert await wire.query("MEAS:CURR?", **ASKED) == "answer to MEAS:CURR?"
    assert peer.heard == ["MEAS:VOLT?", "*IDN?", "MEAS:CURR?"]


async def test_the_known_answer_is_never_the_answer_to_another_question() -> None:
    """It was asked twice, and the second asking is answered where a measurement is awaited."""
    async with wired(lambda line: b"answer to *IDN?\n") as (peer, wire):
        wire.recognise("*IDN?", "answer to *IDN?")
        assert await wire.query("*IDN?", **ASKED) == "answer to *IDN?"
        with pytest.raises(FrameError, match="came late"):
            await wire.query("MEAS:VOLT?", **ASKED)
        peer.answer = echo
        assert await wire.query("MEAS:VOLT?", **ASKED) == "answer to MEAS:VOLT?"


@pytest.mark.fault("F19", "F40")
async def test_another_device_after_trouble_is_not_asked_anything() -> None:
    async with tcp_peer(echo) as peer, opened(line_wire(peer.url)) as wire:
        wire.recognise("*IDN?", "answer to *IDN?")
        peer.hang_up()
        peer.answer = lambda line: b"somebody else\n"
        await until(lambda: not peer.links)
        with pytest.raises(WireTimeout, match=r"\*IDN\?"):
            await wire.query("MEAS:VOLT?", **ASKED, deadline_s=0.1)
    assert "MEAS:VOLT?" not in peer.heard


@pytest.mark.fault("T4")
async def test_doubt_of_the_driver_resynchronises() -> None:
    async with tcp_peer(echo) as peer, opened(line_wire(peer.url)) as wire:
        await wire.query("A?", **ASKED)
        wire.distrust()
        assert await wire.query("B?", **ASKED) == "answer to B?"
    assert peer.connections == 2


@pytest.mark.fault("F4")
async def test_a_duplicate_reply_is_dropped() -> None:
    async with wired(lambda line: [(0.0, echo(line)), (0.01, echo(line))]) as (_peer, wire):
        assert await wire.query("A?", **ASKED) == "answer to A?"
        await until(lambda: wire._stream.strays)
        assert await wire.query("B?", **ASKED) == "answer to B?"


@pytest.mark.fault("F4", "F5")
async def test_two_lines_for_one_question_are_no_answer() -> None:
    async with tcp_peer(lambda line: echo("A?") + echo(line)) as peer, opened(line_wire(peer.url)) as wire:
        with pytest.raises(FrameError, match="more than one line"):
            await wire.query("B?", **ASKED)


@pytest.mark.fault("F13")
async def test_unasked_garbage_is_dropped_and_bounded() -> None:
    async with tcp_peer(echo) as peer, opened(line_wire(peer.url)) as wire:
        await until(lambda: peer.links)
        peer.say(b"\x00\xff" * 40_000)
        await until(lambda: wire._stream.strays >= 65_536)
        assert len(wire._stream._held) == 0
        assert await wire.query("A?", **ASKED) == "answer to A?"
    assert peer.connections == 2


@pytest.mark.fault("F13")
async def test_an_endless_line_is_refused() -> None:
    async with tcp_peer(lambda line: b"9" * (MAX_LINE + 1000)) as peer, opened(line_wire(peer.url)) as wire:
        with pytest.raises(FrameError, match=str(MAX_LINE)):
            await wire.query("A?", **ASKED)
        peer.answer = echo
        assert await wire.query("B?", **ASKED) == "answer to B?"


@pytest.mark.parametrize("reply", [b"\xff\xfe\n", b"4\x002.0 V\n", b"\x1b[2J\n"])
async def test_what_is_not_text_is_refused(reply: bytes) -> None:
    async with tcp_peer(lambda line: reply) as peer, opened(line_wire(peer.url)) as wire:
        with pytest.raises(FrameError, match="not text"):
            await wire.query("A?", **ASKED)


@pytest.mark.fault("F11")
async def test_a_reply_in_single_bytes_is_put_together() -> None:
    async with wired(lambda line: [(0.002 * k, bytes([b])) for k, b in enumerate(echo(line))]) as (_peer, wire):
        assert await wire.query("MEAS:VOLT?", **ASKED) == "answer to MEAS:VOLT?"


@pytest.mark.fault("F1", "F11")
async def test_half_a_reply_is_a_timeout() -> None:
    async with tcp_peer(lambda line: b"48.0") as peer, opened(line_wire(peer.url)) as wire:
        with pytest.raises(WireTimeout):
            await wire.query("A?", **ASKED, deadline_s=0.05)


@pytest.mark.fault("F15")
async def test_a_peer_that_closes_in_the_middle_is_noticed_at_once() -> None:
    async with tcp_peer(lambda line: None) as peer, opened(line_wire(peer.url)) as wire:
        asking = asyncio.create_task(wire.query("A?", **ASKED, deadline_s=30.0))
        await until(lambda: peer.heard)
        peer.hang_up()
        with pytest.raises(WireClosed):
            await asking
        assert peer.heard == ["A?"]  # never asked again by the wire
        peer.answer = echo
        assert await wire.query("B?", **ASKED) == "answer to B?"


@pytest.mark.fault("T11")
async def test_a_peer_that_closed_between_exchanges_is_connected_again() -> None:
    async with tcp_peer(echo) as peer, opened(line_wire(peer.url)) as wire:
        await wire.query("A?", **ASKED)
        peer.hang_up()
        await until(lambda: wire._stream.lost)
        assert await wire.query("B?", **ASKED) == "answer to B?"


@pytest.mark.fault("F2", "T14")
async def test_a_peer_that_is_gone_for_good_is_closed_not_timed_out() -> None:
    async with tcp_peer(echo) as peer:
        wire = line_wire(peer.url)
        await wire.open()
        await wire.query("A?", **ASKED)
    with pytest.raises(WireClosed, match="cannot be opened"):
        await wire.query("A?", **ASKED)
    await wire.close()


async def test_opening_a_closed_port_fails_and_leaves_nothing() -> None:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    wire = line_wire(f"tcp://127.0.0.1:{port}")
    with pytest.raises(WireClosed):
        await wire.open()
    with pytest.raises(WireClosed):
        await wire.query("A?", **ASKED)


@pytest.mark.fault("F21", "T17")
async def test_a_peer_that_takes_nothing_meets_the_write_deadline() -> None:
    async with tcp_peer(lambda line: None) as peer:
        peer.deaf = True
        async with opened(line_wire(peer.url)) as wire:
            with pytest.raises(WireTimeout, match="took nothing"):
                await wire.send("X" * 20_000_000, **ASKED, deadline_s=0.1)


async def test_a_slow_reader_gets_all_of_a_long_line() -> None:
    async with tcp_peer(lambda line: None) as peer:
        peer.deaf = True
        async with opened(line_wire(peer.url)) as wire:
            sending = asyncio.create_task(wire.send("X" * 20_000_000, **ASKED, deadline_s=30.0))
            await until(lambda: peer.links and wire._stream.on_write)
            peer.links[0].resume_reading()
            await sending
            await until(lambda: peer.heard, 30.0)
    assert len(peer.heard[0]) == 20_000_000


@pytest.mark.fault("F25")
async def test_a_stop_is_not_held_up_by_a_hung_poll() -> None:
    """The queue holds ten polls of a silent device; the stop goes out after the one under way."""
    async with tcp_peer(lambda line: None) as peer, opened(line_wire(peer.url)) as wire:
        loop = asyncio.get_running_loop()
        polls = [asyncio.create_task(wire.query("MEAS:ARR?", **ASKED, deadline_s=0.2)) for _ in range(10)]
        await until(lambda: peer.heard)
        began_s = loop.time()
        await wire.send("OUTP OFF", device="psb", doing="stopping", stop=True)
        assert loop.time() - began_s < 0.75
        assert Counter(peer.heard)["MEAS:ARR?"] <= 1
        await until(lambda: "OUTP OFF" in peer.heard)
        for poll in polls:
            poll.cancel()
        await asyncio.gather(*polls, return_exceptions=True)


@pytest.mark.fault("F25")
async def test_a_stop_without_an_answer_does_not_wait_for_the_known_question() -> None:
    async with tcp_peer(lambda line: None) as peer, opened(line_wire(peer.url)) as wire:
        wire.recognise("*IDN?", "known")
        with pytest.raises(WireTimeout):
            await wire.query("MEAS:ARR?", **ASKED, deadline_s=0.05)
        await wire.send("OUTP OFF", **ASKED, stop=True)
        await until(lambda: "OUTP OFF" in peer.heard)
        assert peer.heard == ["MEAS:ARR?", "OUTP OFF"]
        peer.answer = lambda line: b"known\n" if line == "*IDN?" else echo(line)
        assert await wire.query("OUTP?", **ASKED) == "answer to OUTP?"
    assert peer.heard == ["MEAS:ARR?", "OUTP OFF", "*IDN?", "OUTP?"]


@pytest.mark.fault("F25")
@pytest.mark.parametrize("visa", [False, True])
async def test_what_waits_out_the_quiet_time_gives_way_to_a_stop_and_a_cancelled_command_never_leaves(
    *, visa: bool
) -> None:
    """The trip cancels the walk, whose command had its turn and waits until the device may be spoken to again."""
    async with wired(lambda line: None, visa=visa) as (peer, wire):
        await wire.send("SET 1", **ASKED, pause_s=0.15)
        switching, telling = (asyncio.create_task(wire.send(line, **ASKED)) for line in ("OUTP ON", "DISP 1"))
        await asyncio.sleep(0.02)
        switching.cancel()
        await wire.send("OUTP OFF", **ASKED, stop=True)
        await telling
        await until(lambda: len(peer.heard) > 2)
    assert peer.heard == ["SET 1", "OUTP OFF", "DISP 1"]


async def test_a_pause_is_kept_before_the_next_exchange() -> None:
    async with tcp_peer(echo) as peer, opened(line_wire(peer.url)) as wire:
        loop = asyncio.get_running_loop()
        await wire.query("A?", **ASKED, pause_s=0.1)
        began_s = loop.time()
        await wire.query("B?", **ASKED)
        assert loop.time() - began_s >= 0.09


async def test_every_byte_is_counted_and_none_is_left_on_its_way() -> None:
    left = arrived = 0

    def leave(count: int) -> None:
        nonlocal left
        left += count

    def arrive(count: int) -> None:
        nonlocal arrived
        arrived += count

    async with tcp_peer(echo) as peer, opened(line_wire(peer.url, flight=Flight(leave, arrive))) as wire:
        await wire.query("A?", **ASKED)
        await wire.query("BB?", **ASKED)
    assert left == len(b"A?\r\n" + b"BB?\r\n")
    assert arrived == len(echo("A?") + echo("BB?"))


@pytest.mark.fault("F3", "T1", "T23")
async def test_every_reply_goes_to_its_own_question_at_five_per_cent_late(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two thousand exchanges, every twentieth answered after its deadline: no reply is ever taken for another's."""
    monkeypatch.setattr(pacing, "MOST", 1000)  # a hundred connections in a second are what this test is about
    asked = 0

    def answer(line: str) -> list[tuple[float, bytes]] | bytes:
        nonlocal asked
        asked += 1
        return [(0.015, echo(line))] if asked % 20 == 0 else echo(line)

    right = late = 0
    async with tcp_peer(answer) as peer, opened(line_wire(peer.url)) as wire:
        for number in range(2000):
            try:
                assert await wire.query(f"Q{number}?", **ASKED, deadline_s=0.01) == f"answer to Q{number}?"
                right += 1
            except WireTimeout:
                late += 1
    assert right + late == 2000
    assert late >= 90


@pytest.mark.fault("F11", "F13")
@given(st.lists(st.binary(max_size=200), max_size=30))
async def test_any_bytes_in_any_pieces_end_bounded_and_in_one_of_the_three_ways(pieces: list[bytes]) -> None:
    """Parser property: a reply is the first line or nothing, whatever comes and however it is cut."""
    loop = asyncio.get_running_loop()
    stream = Stream(b"\r\n", Flight())
    reply = stream.reply = loop.create_future()
    for piece in pieces:
        stream.data_received(piece)
        assert len(stream._held) <= MAX_LINE
    whole = b"".join(pieces)
    if not reply.done():
        assert b"\n" not in whole
    elif reply.exception() is not None:
        assert isinstance(reply.exception(), ExchangeError)
    else:
        assert reply.result() == whole.split(b"\n", 1)[0]


@pytest.mark.fault("T2")
@pytest.mark.parametrize(
    ("url", "word"),
    [
        ("tcp://host", "port number"),
        ("tcp://host:0", "port"),
        ("tcp://:5025", "no host"),
        ("tcp://host:99999", "range"),
        ("tcp://host:5025/path", "after the port"),
        ("http://host:80", "does not begin with"),
        ("psb", "does not begin with"),
        ("tcp://host:5025?bauds=9600", "unknown option 'bauds'"),
        ("serial:///dev/ttyUSB0?bauds=9600", "unknown option 'bauds'"),
        ("serial:///dev/ttyUSB0?baud=fast", "whole number"),
        ("serial:///dev/ttyUSB0?baud=9600&baud=19200", "given twice"),
        ("serial:///dev/ttyUSB0?parity=X", "parity"),
        ("serial://ttyUSB0", "begin with '/'"),
        ("serial:///dev/ttyUSB0?ending=nul", "ending"),
        ("modbus-rtu:///dev/ttyUSB0?ending=lf", "unknown option"),
        ("visa://nonsense", "not a VISA resource"),
        ("visa://TCPIP0::host::99999::SOCKET", "out of range"),
    ],
)
def test_a_bad_url_says_what_is_wrong_and_shows_a_good_one(url: str, word: str) -> None:
    with pytest.raises(UrlError) as refused:
        line_wire(url)
    assert word in str(refused.value)
    assert "://" in str(refused.value)


def test_a_url_is_taken_apart() -> None:
    serial = parse_url("serial:///dev/ttyS7?baud=19200&parity=e&bits=7&stop=2&ending=cr")
    assert (serial.path, serial.baud, serial.parity, serial.data_bits, serial.stop_bits, serial.ending) == (
        "/dev/ttyS7",
        19200,
        "E",
        7,
        2,
        b"\r",
    )
    tcp = parse_url("modbus-tcp://[::1]:502")
    assert (tcp.host, tcp.port) == ("::1", 502)


def test_the_key_is_what_is_really_held(tmp_path: Path) -> None:
    link = tmp_path / "usb-ESPEC-ch1"
    link.symlink_to("/dev/ttyUSB3")
    assert wire_key(f"serial://{link}?baud=9600") == wire_key("modbus-rtu:///dev/ttyUSB3") == "/dev/ttyUSB3"
    assert wire_key("tcp://PSB.lab:5025") == wire_key("visa://TCPIP0::psb.lab::5025::SOCKET") == "psb.lab:5025"
    assert wire_key("visa://ASRL/dev/ttyUSB3::INSTR") == "/dev/ttyUSB3"
    assert wire_key("visa://TCPIP::host::inst0::INSTR") == "TCPIP::HOST::INST0::INSTR"
