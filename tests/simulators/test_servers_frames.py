"""Hand-written Modbus framing against printed frames, against pymodbus's own framer, and against noise."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pymodbus.framer.rtu import FramerRTU

from simulators.servers.frames import crc16, pack_rtu, pack_tcp, request_length, take_rtu, take_tcp

# EA PSB frames printed in the maker's programming guide and public drivers: whole frames with their CRC.
PRINTED = (
    "01 05 01 92 FF 00 2C 2B",
    "00 05 01 92 FF 00 2D FA",
    "01 05 01 95 FF 00 9D EA",
    "01 05 01 95 00 00 DC 1A",
    "01 03 01 FB 00 03 75 C6",
    "01 03 06 08 BC 44 44 0B A5 E2 48",
    "01 03 04 00 00 08 03 BD F2",
    "01 06 01 F4 09 58 CE 6E",
)
UNIT = st.integers(0, 247)
WORD = st.integers(0, 0xFFFF)


@pytest.mark.parametrize("printed", PRINTED)
def test_the_crc_of_printed_frames(printed: str) -> None:
    frame = bytes.fromhex(printed)
    assert crc16(frame[:-2]) == frame[-2:]
    assert pack_rtu(frame[0], frame[1:-2]) == frame


@given(st.binary(min_size=1, max_size=254))
def test_the_crc_is_the_one_that_pymodbus_computes(data: bytes) -> None:
    assert int.from_bytes(crc16(data), "big") == FramerRTU.compute_CRC(data)


def _requests() -> st.SearchStrategy[bytes]:
    short = st.builds(
        lambda f, a, b: bytes((f,)) + a.to_bytes(2, "big") + b.to_bytes(2, "big"), st.integers(1, 6), WORD, WORD
    )
    many = st.builds(
        lambda a, words: (
            bytes((16,))
            + a.to_bytes(2, "big")
            + len(words).to_bytes(2, "big")
            + bytes((2 * len(words),))
            + b"".join(word.to_bytes(2, "big") for word in words)
        ),
        WORD,
        st.lists(WORD, min_size=1, max_size=20),
    )
    return st.one_of(short, many, st.just(b"\x46\x00"))


@given(st.lists(st.tuples(UNIT, _requests()), min_size=1, max_size=5), st.data())
def test_requests_come_out_as_they_went_in_however_the_line_cuts_them(
    requests: list[tuple[int, bytes]], data: st.DataObject
) -> None:
    stream = b"".join(pack_rtu(unit, pdu) for unit, pdu in requests)
    buffer, got = bytearray(), []
    while stream:
        size = data.draw(st.integers(1, len(stream)))
        buffer += stream[:size]
        stream = stream[size:]
        while (request := take_rtu(buffer)) is not None:
            got.append(request)
    assert got == requests
    assert not buffer


@given(st.binary(max_size=300))
def test_noise_never_raises_and_never_grows(noise: bytes) -> None:
    buffer = bytearray(noise)
    for _ in range(300):
        if take_rtu(buffer) is None:
            break
    assert len(buffer) <= 300
    assert len(buffer) < 4 or request_length(bytes(buffer[:256])) != 0


def test_a_bad_crc_is_dropped_and_the_next_request_is_found() -> None:
    good = bytes.fromhex("01 03 01 FB 00 03 75 C6")
    bad = good[:-1] + b"\x00"
    assert take_rtu(bytearray(bad + good)) == (1, good[1:-2])


@given(WORD, UNIT, st.binary(min_size=1, max_size=253), st.integers(0, 12))
def test_modbus_tcp_waits_for_the_whole_frame(transaction: int, unit: int, pdu: bytes, short: int) -> None:
    frame = pack_tcp(transaction, unit, pdu)
    if short:
        assert take_tcp(bytearray(frame[:-short])) is None
    buffer = bytearray(frame + frame)
    assert take_tcp(buffer) == (transaction, unit, pdu)
    assert bytes(buffer) == frame


def test_the_example_of_the_modbus_messaging_guide() -> None:
    """Modbus Messaging on TCP/IP Implementation Guide V1.0b, 4.4.2.1: read register 5 (address 4), unit FF, id 1501."""
    frame = bytes.fromhex("15 01 00 00 00 06 FF 03 00 04 00 01")
    assert take_tcp(bytearray(frame)) == (0x1501, 0xFF, bytes.fromhex("03 00 04 00 01"))
    assert pack_tcp(0x1501, 0xFF, bytes.fromhex("03 02 00 05")) == bytes.fromhex("15 01 00 00 00 05 FF 03 02 00 05")


def test_what_is_not_modbus_tcp_is_said() -> None:
    with pytest.raises(ValueError, match="protocol"):
        take_tcp(bytearray(b"GET / HTTP/1.1\r\n"))
    with pytest.raises(ValueError, match="length"):
        take_tcp(bytearray.fromhex("00 01 00 00 00 01 01 03"))
