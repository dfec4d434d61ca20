"""What a fault makes of one outgoing frame, by the fault's name; frames are those of simulators/servers."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from simulators.faults import Fault, Frames, garbled, late, no_reply, noise_before, truncated, twice
from simulators.servers.frames import pack_rtu

#: Gives a number of the strike by its name.
Number = Callable[[str], float]
#: ``make(number, scheme, on_serial_line)``.
Make = Callable[[Number, str, bool], Fault]

#: Modbus TCP: transaction (2), protocol (2), length (2), unit; a serial line: unit, ..., CRC (2).
_TCP_HEAD = 6


def _in_bytes(pause_s: float) -> Fault:
    def split(delay_s: float, frame: bytes) -> Frames:
        return tuple((delay_s + at * pause_s, frame[at : at + 1]) for at in range(len(frame)))

    return split


def _pdu_as(change: Callable[[bytes], bytes], *, serial: bool) -> Fault:
    """The frame with ``unit + PDU`` changed, and checks that fit."""

    def changed(delay_s: float, frame: bytes) -> Frames:
        if serial:
            body = change(frame[:-2])
            return ((delay_s, pack_rtu(body[0], body[1:])),)
        body = change(frame[_TCP_HEAD:])
        return ((delay_s, frame[:4] + len(body).to_bytes(2, "big") + body),)

    return changed


def _foreign(delay_s: float, frame: bytes) -> Frames:
    return ((delay_s, bytes((frame[0] ^ 0x5A, frame[1])) + frame[2:]),)


def _shortened(delay_s: float, frame: bytes) -> Frames:
    return truncated(max(len(frame) // 2, 1))(delay_s, frame)


REPLIES: Mapping[str, Make] = {
    "no_reply": lambda _number, _scheme, _serial: no_reply,
    "late_reply": lambda number, _scheme, _serial: late(number("by")),
    "duplicate_reply": lambda _number, _scheme, _serial: twice,
    "foreign_reply": lambda _number, _scheme, _serial: _foreign,
    "wrong_unit": lambda _number, _scheme, serial: _pdu_as(
        lambda body: bytes((body[0] ^ 0x2A,)) + body[1:], serial=serial
    ),
    "wrong_function": lambda _number, _scheme, serial: _pdu_as(
        lambda body: body[:1] + bytes((body[1] % 4 + 1,)) + body[2:], serial=serial
    ),
    "short_reply": lambda _number, _scheme, _serial: _shortened,
    "garbled": lambda _number, _scheme, _serial: garbled,
    "split_reply": lambda number, _scheme, _serial: _in_bytes(number("pause")),
    "noise_byte": lambda _number, _scheme, _serial: noise_before(b"\xa5"),
    "busy": lambda number, _scheme, serial: _pdu_as(
        lambda body: bytes((body[0], body[1] | 0x80, int(number("code")))), serial=serial
    ),
}
