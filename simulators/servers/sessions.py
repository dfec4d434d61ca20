"""What is said over one link: from bytes to requests, to the device that is meant, and its answers back to bytes."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from typing import Protocol

from simulators.models import Personality, Reply
from simulators.servers.frames import pack_rtu, pack_tcp, take_rtu, take_tcp

#: A line longer than this is not a command of any device here; it is dropped.
LONGEST_LINE = 4096
#: RTU frames end by 3.5 characters of silence (4 ms at 9600 baud); what waited longer for its rest is dropped. The
#: margin is for the host's scheduler.
SILENCE_S = 0.05

Write = Callable[[bytes], None]


class Attached:
    """A device on a wire. A device that is ``cut`` hears nothing and says nothing; ``on_request`` is told of each
    request before the device is."""

    __slots__ = ("byte_s", "cut", "on_request", "personality")

    def __init__(self, personality: Personality, byte_s: float = 0.0) -> None:
        self.personality = personality
        self.byte_s = byte_s  # how long one byte takes on this line
        self.cut = False
        self.on_request: Callable[[], None] | None = None

    def takes(self) -> bool:
        """Whether the request that is here now reaches the device."""
        if self.on_request is not None:
            self.on_request()
        return self.personality.faults.hears()


class Session(Protocol):
    """One link's conversation. ``feed`` takes what was read; ``end`` silences it for good."""

    def feed(self, data: bytes) -> None: ...
    def end(self) -> None: ...


class _Answers:
    """Sends answers when they are due."""

    def __init__(self, write: Write) -> None:
        self._loop = asyncio.get_running_loop()
        self._write = write
        self._ended = False

    def end(self) -> None:
        self._ended = True

    def say(self, device: Attached, delay_s: float, frame: bytes) -> None:
        """Send ``frame`` after ``delay_s``, through the device's faults."""
        if device.personality.faults:
            for each_s, part in device.personality.faults.apply(delay_s, frame):
                self._later(device, each_s, part)
        else:
            self._later(device, delay_s, frame)

    def _later(self, device: Attached, delay_s: float, frame: bytes) -> None:
        if delay_s > 0.0:
            self._loop.call_later(delay_s, self._out, device, frame)
        else:
            self._out(device, frame)

    def _out(self, device: Attached, frame: bytes) -> None:
        if not (self._ended or device.cut):
            self._write(frame)


class LineSession(_Answers):
    """Text lines that end in LF or CR LF; replies carry their own end."""

    def __init__(self, device: Attached, write: Write) -> None:
        super().__init__(write)
        self._device = device
        self._rest = b""

    def feed(self, data: bytes) -> None:
        device = self._device
        if device.cut:
            return
        lines = (self._rest + data).split(b"\n")
        rest = lines.pop()
        self._rest = rest if len(rest) <= LONGEST_LINE else b""
        now_s = self._loop.time()
        for line in lines:
            if not device.takes():
                continue
            reply = device.personality.answer(line.rstrip(b"\r"), now_s)
            if reply:
                wire_s = device.byte_s * (len(line) + 1)
                for delay_s, frame in reply:
                    wire_s += device.byte_s * len(frame)
                    self.say(device, delay_s + wire_s, frame)


def _spoken(reply: Reply, device: Attached, asked: int, framing: int) -> tuple[float, bytes] | None:
    """The one PDU that a Modbus device answers, and when its frame is complete on the line."""
    if not reply:
        return None
    delay_s, pdu = reply[0]
    return delay_s + device.byte_s * (asked + len(pdu) + 2 * framing), pdu


class RtuSession(_Answers):
    """Modbus RTU to every unit of one line. Units that are not there stay silent, as on RS-485; a request to unit 0
    reaches all of them and none answers."""

    def __init__(self, units: Mapping[int, Attached], write: Write) -> None:
        super().__init__(write)
        self._units = units
        self._buffer = bytearray()
        self._heard_s = self._loop.time()

    def feed(self, data: bytes) -> None:
        now_s = self._loop.time()
        buffer = self._buffer
        if buffer and now_s - self._heard_s > SILENCE_S:
            buffer.clear()
        self._heard_s = now_s
        buffer += data
        while (request := take_rtu(buffer)) is not None:
            unit, pdu = request
            if unit == 0:
                for device in self._units.values():
                    if not device.cut and device.takes():
                        device.personality.answer(pdu, now_s)
                continue
            found = self._units.get(unit)
            if found is None or found.cut or not found.takes():
                continue
            answer = _spoken(found.personality.answer(pdu, now_s), found, len(pdu), 3)
            if answer is not None:
                self.say(found, answer[0], pack_rtu(unit, answer[1]))


class ModbusTcpSession(_Answers):
    """Modbus TCP to every unit behind one address; units that are not there stay silent."""

    def __init__(self, units: Mapping[int, Attached], write: Write) -> None:
        super().__init__(write)
        self._units = units
        self._buffer = bytearray()

    def feed(self, data: bytes) -> None:
        now_s = self._loop.time()
        self._buffer += data
        try:
            while (request := take_tcp(self._buffer)) is not None:
                transaction, unit, pdu = request
                device = self._units.get(unit)
                if device is None or device.cut or not device.takes():
                    continue
                answer = _spoken(device.personality.answer(pdu, now_s), device, len(pdu), 7)
                if answer is not None:
                    self.say(device, answer[0], pack_tcp(transaction, unit, answer[1]))
        except ValueError:
            self._buffer.clear()  # not Modbus TCP: nothing sensible can be answered
