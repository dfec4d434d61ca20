"""Modbus as a PLC or a module with a register list speaks it, and how its numbers lie in registers.

MODBUS Application Protocol Specification V1.1b3, chapters 6 and 7: functions 1 to 6, 15 and 16, exception codes.
Addresses are 0-based.
"""

from __future__ import annotations

import struct
from collections.abc import Mapping
from dataclasses import dataclass
from math import isnan
from typing import Any, Protocol

ILLEGAL_FUNCTION, ILLEGAL_ADDRESS, ILLEGAL_VALUE, DEVICE_FAILURE, DEVICE_BUSY = 1, 2, 3, 4, 6

_FORMATS = {"u16": "H", "s16": "h", "u32": "I", "s32": "i", "f32": "f"}
_READS = {1: "coil", 2: "discrete", 3: "holding", 4: "input"}


class RefusedError(Exception):
    """Answered as a Modbus exception with this code."""

    def __init__(self, code: int) -> None:
        super().__init__(code)
        self.code = code


class Map(Protocol):
    """What a device holds at its addresses. Both raise :class:`RefusedError`."""

    def read(self, table: str, address: int, count: int) -> list[int]: ...
    def write(self, table: str, address: int, values: list[int]) -> None: ...


def answer_pdu(request: bytes, held: Map, *, functions: frozenset[int], most_words: int = 125) -> bytes:
    """The answer to one PDU, an exception if the map or the protocol refuses."""
    function = request[0]
    try:
        if function not in functions:
            raise RefusedError(ILLEGAL_FUNCTION)
        if len(request) < 5:
            raise RefusedError(ILLEGAL_VALUE)
        address, count = struct.unpack_from(">HH", request, 1)
        table = _READS.get(function)
        if table is None:
            _write(function, address, count, request, held)
            return request[:5]
        if not 1 <= count <= (2000 if function <= 2 else most_words):
            raise RefusedError(ILLEGAL_VALUE)
        values = held.read(table, address, count)
        if function <= 2:
            size = (count + 7) // 8
            bits = sum(value << at for at, value in enumerate(values))
            return bytes((function, size)) + bits.to_bytes(size, "little")
        return bytes((function, 2 * count)) + struct.pack(f">{count}H", *values)
    except RefusedError as refused:
        return bytes((function | 0x80, refused.code))


def _write(function: int, address: int, count: int, request: bytes, held: Map) -> None:
    """``count`` is the value of functions 5 and 6."""
    if function == 5:
        if count not in (0x0000, 0xFF00):
            raise RefusedError(ILLEGAL_VALUE)
        held.write("coil", address, [int(count == 0xFF00)])
    elif function == 6:
        held.write("holding", address, [count])
    else:
        size = 2 * count if function == 16 else (count + 7) // 8
        if len(request) < 6 or not count or request[5] != size or len(request) != 6 + size:
            raise RefusedError(ILLEGAL_VALUE)
        if function == 16:
            held.write("holding", address, list(struct.unpack_from(f">{count}H", request, 6)))
        else:
            bits = int.from_bytes(request[6:], "little")
            held.write("coil", address, [bits >> at & 1 for at in range(count)])


@dataclass(frozen=True, slots=True)
class Register:
    """One number in a map: value = raw x ``scale`` + ``offset``. ``invalid`` is the raw value that says there is none,
    ``off`` the one that switches a parameter off. ``order`` of a 32-bit number: ABCD high word first, CDAB low first.
    """

    address: int
    kind: str = "u16"
    order: str = "ABCD"
    scale: float = 1.0
    offset: float = 0.0
    invalid: int | None = None
    off: int | None = None

    @property
    def count(self) -> int:
        """How many registers it takes."""
        return 2 if self.kind.endswith("32") else 1

    @property
    def addresses(self) -> range:
        """Which."""
        return range(self.address, self.address + self.count)

    def raw(self, value: float) -> float:
        """What stands in it for a value; the nearest that it can hold. NaN gives ``invalid``, or 0 without one."""
        if isnan(value):
            return 0 if self.invalid is None else self.invalid
        wanted = (value - self.offset) / self.scale
        if self.kind == "f32":
            return wanted
        bits = 16 * self.count
        low, high = (-(1 << bits - 1), (1 << bits - 1) - 1) if self.kind[0] == "s" else (0, (1 << bits) - 1)
        return min(max(round(wanted), low), high)

    def words(self, value: float) -> list[int]:
        """A value as it stands in its registers."""
        return self.raw_words(self.raw(value))

    def raw_words(self, raw: float) -> list[int]:
        """A raw value as it stands in its registers."""
        data = struct.pack(">" + _FORMATS[self.kind], raw if self.kind == "f32" else int(raw))
        words = list(struct.unpack(f">{self.count}H", data))
        return words[::-1] if self.order == "CDAB" else words

    def raw_of(self, words: list[int]) -> float:
        """The raw value that stands in its registers."""
        data = struct.pack(f">{self.count}H", *(words[::-1] if self.order == "CDAB" else words))
        raw: float = struct.unpack(">" + _FORMATS[self.kind], data)[0]
        return raw

    def value(self, words: list[int]) -> float | None:
        """The value that stands in its registers; None for ``off``."""
        raw = self.raw_of(words)
        return None if self.off is not None and raw == self.off else raw * self.scale + self.offset


def register_of(entry: Mapping[str, Any], order: str) -> Register:
    """One entry of a profile page. ``order`` is the page's. Raises KeyError, TypeError, ValueError."""
    kind = str(entry.get("type", "u16"))
    if kind not in _FORMATS:
        raise ValueError(f"type {kind!r}")
    return Register(
        address=int(entry["address"]),
        kind=kind,
        order=str(entry.get("word_order", order)),
        scale=float(entry.get("scale", 1.0)),
        offset=float(entry.get("offset", 0.0)),
        invalid=entry.get("invalid"),
        off=entry.get("off"),
    )


def seconds(text: str) -> float:
    """A time as profile pages write it ("0.3 s", "80 ms"). Raises ValueError."""
    number, _, unit = text.partition(" ")
    scale = {"s": 1.0, "ms": 1e-3, "min": 60.0}.get(unit)
    if scale is None:
        raise ValueError(f"not a time: {text!r}")
    return float(number) * scale
