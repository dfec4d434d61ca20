"""The Sparkplug B payload (Sparkplug 3.0.0, chapter 6.4), as much of it as a bench says and hears.

Protocol buffers by hand: a field is a key (number x 8 + wire type) and a value; wire type 0 is a varint, 1 eight bytes,
2 a length and so many bytes, 5 four bytes. A payload has a timestamp (1), metrics (2) and a sequence number (3). A
metric has a name (1), alias (2), timestamp (3), datatype (4), is_historical (5), is_null (7) and one value: int (10),
long (11), double (13), boolean (14) or string (15). Timestamps are milliseconds since 1970, UTC.
"""

from __future__ import annotations

import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from enum import IntEnum

Value = bool | int | float | str | None
#: What we are told is short: a command names a few metrics.
LARGEST_BYTES = 65_536
MOST_METRICS = 256


class DataType(IntEnum):
    """Those of Sparkplug's data types that a bench uses."""

    INT64 = 4
    DOUBLE = 10
    BOOLEAN = 11
    STRING = 12


@dataclass(frozen=True, slots=True)
class Metric:
    """``name`` stands in births, ``alias`` alone in data. A value of None is null, and still has its type."""

    name: str | None
    value: Value
    datatype: DataType | None
    alias: int | None = None
    timestamp_ms: int | None = None
    historical: bool = False


class PayloadError(ValueError):
    """Bytes that are no payload."""


def encoded(metrics: Iterable[Metric], *, timestamp_ms: int, seq: int | None) -> bytes:
    """A payload. ``seq`` is None in a death of the edge node, which has none."""
    parts = [_number(1, timestamp_ms)]
    for metric in metrics:
        body = _metric(metric)
        parts += (b"\x12", _varint(len(body)), body)
    if seq is not None:
        parts.append(_number(3, seq))
    return b"".join(parts)


def decoded_names(data: bytes) -> list[tuple[str, Value]]:
    """Name and value of each metric of a command. Raises PayloadError; never reads behind the end, never loops."""
    if len(data) > LARGEST_BYTES:
        raise PayloadError(f"{len(data)} bytes are no command")
    found: list[tuple[str, Value]] = []
    for number, value in _fields(data):
        if number != 2 or not isinstance(value, bytes):
            continue
        if len(found) == MOST_METRICS:
            raise PayloadError(f"more than {MOST_METRICS} metrics are no command")
        found.append(_named(value))
    return found


def _metric(metric: Metric) -> bytes:
    parts = []
    if metric.name is not None:
        parts.append(_text(1, metric.name))
    if metric.alias is not None:
        parts.append(_number(2, metric.alias))
    if metric.timestamp_ms is not None:
        parts.append(_number(3, metric.timestamp_ms))
    if metric.datatype is not None:
        parts.append(_number(4, metric.datatype))
    if metric.historical:
        parts.append(_number(5, 1))
    value = metric.value
    if value is None:
        parts.append(_number(7, 1))
    elif isinstance(value, bool):
        parts.append(_number(14, int(value)))
    elif isinstance(value, int):
        parts.append(_number(11, value % (1 << 64)))  # two's complement, as int64 wants it
    elif isinstance(value, float):
        parts.append(b"\x69" + struct.pack("<d", value))
    else:
        parts.append(_text(15, value))
    return b"".join(parts)


def _named(data: bytes) -> tuple[str, Value]:
    name = ""
    value: Value = None
    for number, raw in _fields(data):
        if number == 1 and isinstance(raw, bytes):
            name = _decoded(raw)
        elif number == 14 and isinstance(raw, int):
            value = bool(raw)
        elif number in (10, 11) and isinstance(raw, int):
            value = raw
        elif number == 15 and isinstance(raw, bytes):
            value = _decoded(raw)
        elif number == 13 and isinstance(raw, bytes) and len(raw) == 8:
            value = float(struct.unpack("<d", raw)[0])
    return name, value


def _decoded(raw: bytes) -> str:
    try:
        return raw.decode()
    except UnicodeDecodeError:
        raise PayloadError("a text is no UTF-8") from None


def _fields(data: bytes) -> Iterator[tuple[int, int | bytes]]:
    at, end = 0, len(data)
    while at < end:
        key, at = _read_varint(data, at)
        number, kind = key >> 3, key & 7
        if number == 0:
            raise PayloadError("a field has number 0")
        if kind == 0:
            value, at = _read_varint(data, at)
            yield number, value
            continue
        if kind == 2:
            length, at = _read_varint(data, at)
        elif kind in (1, 5):
            length = 8 if kind == 1 else 4
        else:
            raise PayloadError(f"wire type {kind} is not used")
        if at + length > end:
            raise PayloadError("it is cut short")
        yield number, data[at : at + length]
        at += length


def _read_varint(data: bytes, at: int) -> tuple[int, int]:
    value = 0
    for shift in range(0, 70, 7):
        if at >= len(data):
            raise PayloadError("it is cut short")
        byte = data[at]
        at += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, at
    raise PayloadError("a number has no end")


def _varint(value: int) -> bytes:
    made = bytearray()
    while value > 0x7F:
        made.append(value & 0x7F | 0x80)
        value >>= 7
    made.append(value)
    return bytes(made)


def _number(field: int, value: int) -> bytes:
    return _varint(field << 3) + _varint(value)


def _text(field: int, value: str) -> bytes:
    data = value.encode("utf-8", "replace")
    return _varint(field << 3 | 2) + _varint(len(data)) + data
