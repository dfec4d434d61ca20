"""What ICP DAS M-7000 modules share on Modbus: numbered points, functions 1 to 6, 15, 16 and 70, a host watchdog.

Maps are written 1-based with their table digit, as the maker prints them: 00001 coil, 10001 discrete input, 30001
input register, 40001 holding register; analog values answer under 3 and 4. Sources: M-7000 Address Mapping rev 1.11
and 1.13; I-7018 quick start p.2 (manualshive 3580649); M-7017C quick start (manualmachine 21269032); tM series manuals
(function 70, module names); WF-2000 AIO manual p.59 (type codes; 7FFF is a broken thermocouple).

What no public source says, and what is done here:

- any request that reaches the module counts as a sign of life of the host (on DCON only ``~**`` does);
- when the watchdog expires it disarms itself, sets its status (00270), counts (40492) and drives outputs to their safe
  values; in mode 0 (00260) the outputs then ignore writes, which are echoed all the same, until the status is cleared;
  in mode 1 a write to an output clears it;
- the four bytes of a module name are the digits of its number with two zeros on both sides (00 70 18 00), after the
  pattern of the tM series (tM-TH8: 07 00 80 03).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from simulators.faults import Faults
from simulators.models import Reply, Timers
from simulators.personalities.watchdog import HostWatchdog
from simulators.spec import DeviceSpec

#: Time from the end of a request to the beginning of its answer (ASSUMED; 40488 would add to it).
LATENCY_S = 0.003

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE = 1, 2, 3

Read = Callable[[], int]
Write = Callable[[int], None]

HEX, ENGINEERING = 0, 1


class ModbusError(Exception):
    """Answered as an exception with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


@dataclass(slots=True)
class Cell:
    """A register or coil that holds what was written. ``most`` is its largest value."""

    value: int
    most: int = 0xFFFF

    def read(self) -> int:
        return self.value

    def write(self, value: int) -> None:
        if not 0 <= value <= self.most:
            raise ModbusError(ILLEGAL_VALUE)
        self.value = value


class Module:
    """Map, functions and watchdog of one module. The model fills the map and is told when the watchdog expires."""

    def __init__(self, spec: DeviceSpec, timers: Timers, *, number: int, expired: Callable[[], None]) -> None:
        self.faults = Faults()
        self.timers = timers
        self.reads: dict[int, Read] = {}
        self.writes: dict[int, Write] = {}
        self._expired = expired
        self._before: Callable[[float], None] = lambda _: None
        self.watchdog = HostWatchdog(timers, self._host_is_silent)
        self.timed_out = False
        self._name = bytes.fromhex(f"00{number:04d}00")
        self._first_read = True
        self.format = Cell(HEX, most=1)
        self.watchdog_mode = Cell(0, most=1)
        self._timeout = Cell(0, most=255)
        self._timeouts = Cell(0)
        self._common(spec)

    def before(self, action: Callable[[float], None]) -> None:
        """What happens at each request before it is looked at."""
        self._before = action

    def hold(self, number: int, cell: Cell) -> None:
        """Put a plain value at this printed number, read and write."""
        self.reads[number] = cell.read
        self.writes[number] = cell.write

    def close(self) -> None:
        self.watchdog.disarm()

    def answer(self, request: bytes, now_s: float) -> Reply:
        """One PDU."""
        self.watchdog.heard(now_s)
        self._before(now_s)
        function = request[0]
        try:
            pdu = self._serve(function, request)
        except ModbusError as error:
            pdu = bytes((function | 0x80, error.code))
        return ((LATENCY_S, pdu),)

    def restart(self) -> None:
        """Power came back: the watchdog is off and forgotten, the first read of the reset status says so."""
        self.watchdog.disarm()
        self._timeout.value = 0
        self.timed_out = False
        self._first_read = True

    # The map that every module has

    def _common(self, spec: DeviceSpec) -> None:
        name = int.from_bytes(self._name, "big")
        self.reads |= {
            40481: lambda: 0x0000,  # firmware version, low word
            40482: lambda: 0x0100,
            40483: lambda: name & 0xFFFF,
            40484: lambda: name >> 16,
            273: self._reset_status,
            270: lambda: int(self.timed_out),
            261: lambda: int(self.watchdog.armed),
        }
        self.writes |= {270: self._clear_timeout, 261: self._enable_watchdog}
        self.hold(40485, Cell(spec.unit, most=247))
        self.hold(40486, Cell(0x06))  # 9600 baud, no parity, 1 stop bit
        self.hold(40488, Cell(0, most=30))
        self.hold(40489, self._timeout)
        self.hold(40492, self._timeouts)
        self.hold(257, Cell(1, most=1))
        self.hold(259, Cell(1 if spec.mains_hz == 50 else 0, most=1))
        self.hold(260, self.watchdog_mode)
        self.hold(269, self.format)

    def _reset_status(self) -> int:
        first, self._first_read = self._first_read, False
        return int(first)

    def _clear_timeout(self, value: int) -> None:
        if value:
            self.timed_out = False

    def _enable_watchdog(self, value: int) -> None:
        if not value or self._timeout.value == 0:
            self.watchdog.disarm()
            return
        self.watchdog.timeout_s = self._timeout.value * 0.1
        self.watchdog.arm(self.timers.time())

    def _host_is_silent(self) -> None:
        self.timed_out = True
        self._timeouts.value += 1
        self._expired()

    # Functions

    def _serve(self, function: int, request: bytes) -> bytes:
        if function == 70:
            return self._settings(request)
        if function not in (1, 2, 3, 4, 5, 6, 15, 16):
            raise ModbusError(ILLEGAL_FUNCTION)
        if len(request) < 5:
            raise ModbusError(ILLEGAL_VALUE)
        address, count = int.from_bytes(request[1:3], "big"), int.from_bytes(request[3:5], "big")
        if function <= 2:
            return self._read_bits(function, address, count)
        if function <= 4:
            return self._read_words(function, address, count)
        if function == 5:
            if count not in (0x0000, 0xFF00):
                raise ModbusError(ILLEGAL_VALUE)
            self._write(0, address, [int(count == 0xFF00)])
        elif function == 6:
            self._write(40000, address, [count])
        elif function == 15:
            bits = int.from_bytes(request[6:], "little")
            self._write(0, address, [bits >> bit & 1 for bit in range(count)])
        else:
            words = request[6 : 6 + 2 * count]
            self._write(40000, address, [int.from_bytes(words[at : at + 2], "big") for at in range(0, len(words), 2)])
        return request[:5]

    def _settings(self, request: bytes) -> bytes:
        """Function 70: 00 reads the module's name, 20 (hex) its firmware version."""
        if len(request) != 2:
            raise ModbusError(ILLEGAL_VALUE)
        if request[1] == 0x00:
            return request + self._name
        if request[1] == 0x20:
            return request + b"\x01\x00\x00"
        raise ModbusError(ILLEGAL_ADDRESS)

    def _read_bits(self, function: int, address: int, count: int) -> bytes:
        if not 1 <= count <= 2000:
            raise ModbusError(ILLEGAL_VALUE)
        first = (1 if function == 1 else 10001) + address
        bits = 0
        try:
            for bit in range(count):
                bits |= self.reads[first + bit]() << bit
        except KeyError:
            raise ModbusError(ILLEGAL_ADDRESS) from None
        size = (count + 7) // 8
        return bytes((function, size)) + bits.to_bytes(size, "little")

    def _read_words(self, function: int, address: int, count: int) -> bytes:
        if not 1 <= count <= 125:
            raise ModbusError(ILLEGAL_VALUE)
        first = (40001 if function == 3 else 30001) + address
        reads = self.reads
        try:
            words = [reads[number]() & 0xFFFF for number in range(first, first + count)]
        except KeyError:
            raise ModbusError(ILLEGAL_ADDRESS) from None
        return bytes((function, 2 * count)) + b"".join(word.to_bytes(2, "big") for word in words)

    def _write(self, table: int, address: int, values: list[int]) -> None:
        first = table + 1 + address
        if not values:
            raise ModbusError(ILLEGAL_VALUE)
        if any(first + at not in self.writes for at in range(len(values))):
            raise ModbusError(ILLEGAL_ADDRESS)
        for at, value in enumerate(values):
            self.writes[first + at](value)


def number_of(point: str, kind: str, count: int) -> int:
    """The number of a point by its name: 3 for ``ai3``. Raises ValueError where a module has no such point."""
    digits = point.removeprefix(kind)
    if digits == point or not digits.isdigit() or int(digits) >= count:
        raise ValueError(f"the points are {kind}0 to {kind}{count - 1}, not {point!r}")
    return int(digits)
