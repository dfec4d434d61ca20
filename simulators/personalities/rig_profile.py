"""The page that says where a rig's PLC keeps what (``cellbench/rig-profile/1``), as the PLC's programmer reads it.

Read here anew, from what the page says about itself, so that a slip in the driver's reading of it shows.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from simulators.personalities.registers import Register, register_of

SCHEMA = "cellbench/rig-profile/1"
#: Sequence number, command, key, host heartbeat.
COMMAND_WORDS = 4
#: Which signal a column of the ring buffer has its scale from.
_COLUMN_SCALES = {"position_mm": 0.001, "force_n": 0.1, "voltage_v": 0.0001, "ms": 1.0}


@dataclass(frozen=True, slots=True)
class RigPoint:
    """A bit or a number that a bench may use."""

    register: Register
    kind: str
    bit: int | None
    invert: bool


@dataclass(frozen=True, slots=True)
class Ring:
    """The ring buffer: ``columns`` in the order of a row, each at its offset in it."""

    write_index: int
    rows_held: int
    first_row: int
    capacity: int
    columns: Mapping[str, Register]
    row_words: int
    max_registers: int


@dataclass(frozen=True, slots=True)
class RigProfile:
    """One page."""

    signals: Mapping[str, Register]
    points: Mapping[str, RigPoint]
    parameters: Mapping[str, Register]
    command: int
    key: int
    codes: Mapping[int, str]
    ring: Ring | None
    constants: Mapping[str, tuple[Register, float]]


def parse_rig_profile(text: str, where: str = "") -> RigProfile:
    """Read a page. Raises ValueError for what is not one."""
    try:
        page = tomllib.loads(text)
        if page.get("schema") != SCHEMA:
            raise ValueError(f"schema is {page.get('schema')!r}, not {SCHEMA!r}")
        order = str(page.get("word_order", "ABCD"))
        signals = {name: register_of(entry, order) for name, entry in page["signals"].items()}
        ring = page.get("ring")
        return RigProfile(
            signals=signals,
            points={name: _point(entry, order) for name, entry in page.get("points", {}).items()},
            parameters={name: register_of(entry, order) for name, entry in page["parameters"].items()},
            command=int(page["command"]["address"]),
            key=int(page["command"]["key"]),
            codes={int(code): name for name, code in page["command"]["codes"].items()},
            ring=None if ring is None else _ring(ring, signals, order),
            constants={
                name: (register_of(entry, order), float(entry["value"]))
                for name, entry in page.get("constants", {}).items()
            },
        )
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a rig profile: {where}: {error}") from error


def _point(entry: Mapping[str, Any], order: str) -> RigPoint:
    return RigPoint(register_of(entry, order), str(entry["kind"]), entry.get("bit"), bool(entry.get("invert", False)))


def _ring(entry: Mapping[str, Any], signals: Mapping[str, Register], order: str) -> Ring:
    columns: dict[str, Register] = {}
    offset = 0
    for name, kind in entry["columns"].items():
        scale = signals[name].scale if name in signals else _COLUMN_SCALES[name]
        columns[name] = Register(offset, str(kind), str(entry.get("word_order", order)), scale)
        offset += columns[name].count
    return Ring(
        write_index=int(entry["write_index"]),
        rows_held=int(entry["rows_held"]),
        first_row=int(entry["first_row"]),
        capacity=int(entry["capacity"]),
        columns=columns,
        row_words=offset,
        max_registers=int(entry.get("max_registers", 64)),
    )
