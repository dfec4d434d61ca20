"""The point list of an I/O module: which coil, input or register is which input, output or measurement.

``cellbench/point-list/1`` is a TOML page; docs/register-profiles.md explains every key. :func:`parse` gives the frozen
:class:`PointList` or a ConfigError with every fault and its line.
"""

from __future__ import annotations

import math
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from drivers.capabilities import PointKind, Span
from drivers.errors import ConfigError, Fault
from drivers.page_constants import Constant, constants
from drivers.profile_page import LAST_ADDRESS, ORDERS, Page
from drivers.registers import RANGE, WORDS, RegisterType, WordOrder, number_of, words_of
from drivers.toml_text import KeyPath
from drivers.toml_text import parse as parse_toml

SCHEMA = "cellbench/point-list/1"
Table = Literal["coil", "discrete", "holding", "input"]
TABLES = ("coil", "discrete", "holding", "input")
BIT_TABLES = ("coil", "discrete")
WRITABLE = ("coil", "holding")
KINDS: Mapping[str, PointKind] = {
    kind.value: kind
    for kind in (
        PointKind.OUTPUT,
        PointKind.INPUT,
        PointKind.TEMPERATURE,
        PointKind.PRESSURE,
        PointKind.VOLTAGE,
        PointKind.MASS,
        PointKind.LEVEL,
    )
}
#: How the reading channel of a point ends, by its kind; an output is not read but switched.
QUANTITIES: Mapping[PointKind, str] = {
    PointKind.INPUT: "on",
    PointKind.TEMPERATURE: "temperature_c",
    PointKind.PRESSURE: "pressure_kpa",
    PointKind.VOLTAGE: "voltage_v",
    PointKind.MASS: "mass_kg",
    PointKind.LEVEL: "level",
}
#: How long an answer may take where the page does not say, and at most, in seconds.
TIMEOUT_S = 0.3
LONGEST_TIMEOUT_S = 5.0
LONGEST_WATCHDOG_S = 3600.0
_PLACE = ("kind", "table", "address", "timeout")
_BIT = ("bit", "invert")
_NUMBER = ("type", "scale", "offset", "invalid", "word_order")
_NAME = re.compile(r"[a-z][a-z0-9_]*")


@dataclass(frozen=True, slots=True)
class Number:
    """How a number lies in one or two registers: ``raw * scale + offset`` in its unit; ``invalid`` is the raw one
    that stands for "no value"."""

    type: RegisterType = "u16"
    order: WordOrder = "ABCD"
    scale: float = 1.0
    offset: float = 0.0
    invalid: float | None = None

    def value(self, words: Sequence[int]) -> float:
        """NaN where the device says that it has none."""
        raw = number_of(words, self.type, self.order)
        return math.nan if raw == self.invalid else raw * self.scale + self.offset

    def words(self, value: float) -> tuple[int, ...]:
        """The registers that hold the nearest number. Raises ValueError if it does not fit."""
        return words_of((value - self.offset) / self.scale, self.type, self.order)

    def span(self) -> Span:
        """What it can show. An ``invalid`` at the end of the type's range is no value any more."""
        low, high = RANGE.get(self.type, (-math.inf, math.inf))
        if self.invalid is not None and self.type != "f32":
            low, high = low + (self.invalid == low), high - (self.invalid == high)
        ends = sorted((low * self.scale + self.offset, high * self.scale + self.offset))
        return Span(ends[0], ends[1], 0.0 if self.type == "f32" else abs(self.scale))


@dataclass(frozen=True, slots=True)
class ListedPoint:
    """One line of the page. A point without ``number`` is a bit: the coil or input itself, or ``bit`` of a register.

    An input with a number is ON while that is under ``below``, or over ``above``. ``safe`` is what an output goes to.
    """

    name: str
    kind: PointKind
    table: Table
    address: int
    timeout_s: float
    bit: int | None = None
    invert: bool = False
    number: Number | None = None
    below: float | None = None
    above: float | None = None
    safe: bool = False

    @property
    def count(self) -> int:
        return 1 if self.number is None else WORDS[self.number.type]

    def value(self, held: Sequence[int]) -> float:
        """What its coil, input or registers say: 1.0 is ON; NaN where there is no value."""
        if self.number is None:
            is_set = bool(held[0] >> (self.bit or 0) & 1)
            return 1.0 if is_set != self.invert else 0.0
        value = self.number.value(held)
        if not math.isfinite(value):
            return math.nan
        if self.below is not None:
            return 1.0 if value < self.below else 0.0
        if self.above is not None:
            return 1.0 if value > self.above else 0.0
        return value


@dataclass(frozen=True, slots=True)
class Watchdog:
    """The holding register of the module's own watchdog, in seconds; 0 switches it off."""

    address: int
    number: Number
    max_s: float


@dataclass(frozen=True, slots=True)
class PointList:
    """A whole page, checked."""

    name: str
    title: str
    evidence: str
    points: Mapping[str, ListedPoint]
    watchdog: Watchdog | None
    constants: tuple[Constant, ...] = ()

    @property
    def outputs(self) -> tuple[ListedPoint, ...]:
        return tuple(point for point in self.points.values() if point.kind is PointKind.OUTPUT)


def parse(text: str, where: str) -> PointList:
    """Read a page; ``where`` names it in faults. Raises ConfigError with every fault, each with its line."""
    document, lines = parse_toml(text, where)
    written = document.get("schema")
    if written != SCHEMA:
        line = lines.get(("schema",))
        place = where if line is None else f"{where}:{line}"
        raise ConfigError(
            [Fault(f"schema {written!r} is not a point list", place, f'begin the page with schema = "{SCHEMA}"')]
        )
    return _Reader(document, lines, where).point_list()


class _Reader(Page):
    def point_list(self) -> PointList:
        texts = ("name", "title", "evidence")
        known = ("schema", *texts, "word_order", "timeout", "watchdog", "points", "constants")
        self.keys(self.document, known, (), needed=(*texts, "points"))
        self.order = self.choice(self.document, "word_order", ORDERS, "ABCD", ())
        timeout_s = self.seconds(self.document, "timeout", (), LONGEST_TIMEOUT_S, default=TIMEOUT_S)
        table = self.table(self.document, "points", ())
        if not table and "points" in self.document:
            self.fault("there is no point in it", ("points",), "describe at least one")
        made = PointList(
            name=self.text("name"),
            title=self.text("title"),
            evidence=self.text("evidence"),
            points={name: self.point(name, self.table(table, name, ("points",)), timeout_s) for name in table},
            watchdog=self.watchdog() if "watchdog" in self.document else None,
            constants=constants(self, ("holding", "input")),
        )
        self.clashes(made)
        self.raise_faults()
        return made

    def watchdog(self) -> Watchdog:
        path: KeyPath = ("watchdog",)
        table = self.table(self.document, "watchdog", ())
        self.keys(table, ("timeout", "max"), path, needed=("timeout", "max"))
        entry = self.table(table, "timeout", path)
        inner = (*path, "timeout")
        self.keys(entry, ("address", "type", "scale", "word_order"), inner, needed=("address",))
        number = self.number_of(entry, inner)
        if number.scale < 0.0:
            self.fault("`scale` of a time is below 0", (*inner, "scale"), "write how many seconds one step is")
        max_s = self.seconds(table, "max", path, LONGEST_WATCHDOG_S, default=LONGEST_WATCHDOG_S)
        if max_s > number.span().high:
            fix = f"its register holds {number.span().high:g} s at most"
            self.fault(f"`max` = {max_s:g} s does not fit into {number.type}", (*path, "max"), fix)
        address = self.integer(entry, "address", inner, high=LAST_ADDRESS + 1 - WORDS[number.type])
        return Watchdog(address, number, max_s)

    def point(self, name: str, entry: Mapping[str, Any], timeout_s: float) -> ListedPoint:
        path: KeyPath = ("points", name)
        if not _NAME.fullmatch(name):
            fix = "write small letters, digits and _, a letter first"
            self.fault(f"`{name}` is no name for a point", path, fix)
        kind = KINDS[self.choice(entry, "kind", KINDS, "input", path)]
        is_output, is_input = kind is PointKind.OUTPUT, kind is PointKind.INPUT
        has_number = not (is_output or is_input) or "below" in entry or "above" in entry
        table: Table = self.choice(entry, "table", self.tables(kind, has_number=has_number), "holding", path)
        in_register = table not in BIT_TABLES
        more: tuple[str, ...] = _NUMBER if has_number else (_BIT if in_register else ("invert",))
        more += ("safe",) if is_output else ("below", "above") if is_input else ()
        needed = ["kind", "table", "address"]
        needed += ["safe"] if is_output else []
        needed += ["bit"] if in_register and not has_number else []
        self.keys(entry, (*_PLACE, *more), path, needed=needed)
        number = self.number_of(entry, path) if has_number else None
        below, above = self.number(entry, "below", path), self.number(entry, "above", path)
        if below is not None and above is not None:
            self.fault("`below` and `above` together", (*path, "above"), "make two points of it")
        return ListedPoint(
            name=name,
            kind=kind,
            table=table,
            address=self.integer(entry, "address", path, high=LAST_ADDRESS + 1 - (WORDS[number.type] if number else 1)),
            timeout_s=self.seconds(entry, "timeout", path, LONGEST_TIMEOUT_S, default=timeout_s),
            bit=self.integer(entry, "bit", path, high=15) if "bit" in entry and in_register else None,
            invert=self.truth(entry, "invert", path),
            number=number,
            below=below,
            above=above,
            safe=self.truth(entry, "safe", path),
        )

    @staticmethod
    def tables(kind: PointKind, *, has_number: bool) -> tuple[str, ...]:
        """Where a point of this kind can be."""
        if kind is PointKind.OUTPUT:
            return WRITABLE
        return ("holding", "input") if has_number else TABLES

    def number_of(self, entry: Mapping[str, Any], path: KeyPath) -> Number:
        kind: RegisterType = self.choice(entry, "type", WORDS, "u16", path)
        scale, offset = self.number(entry, "scale", path), self.number(entry, "offset", path)
        if scale == 0.0:
            self.fault("`scale` is 0", (*path, "scale"), "write how much one step is worth")
            scale = None
        invalid = self.number(entry, "invalid", path)
        low, high = RANGE.get(kind, (-math.inf, math.inf))
        if invalid is not None and not low <= invalid <= high:
            self.fault(
                f"`invalid` = {invalid:g} does not fit into {kind}", (*path, "invalid"), "write it as it is read"
            )
        order: WordOrder = self.choice(entry, "word_order", ORDERS, self.order, path)
        return Number(kind, order, 1.0 if scale is None else scale, 0.0 if offset is None else offset, invalid)

    def clashes(self, made: PointList) -> None:
        """An output is nobody else's, and a number is read whole or not at all; several may read one input."""
        dog = made.watchdog
        watched = range(0) if dog is None else range(dog.address, dog.address + WORDS[dog.number.type])
        seen: list[ListedPoint] = []
        for point in made.points.values():
            path: KeyPath = ("points", point.name)
            reach = range(point.address, point.address + point.count)
            if point.table == "holding" and (reach[0] in watched or reach[-1] in watched):
                self.fault(f"`{point.name}` lies on the watchdog's register", path, "correct one of the two addresses")
            for other in seen:
                if _clash(point, other):
                    fix = "correct one of the two; an output read back is no feedback: wire one to an input"
                    self.fault(f"`{point.name}` lies where `{other.name}` does", path, fix)
                    break
            seen.append(point)


def _clash(one: ListedPoint, two: ListedPoint) -> bool:
    apart = one.address + one.count <= two.address or two.address + two.count <= one.address
    if one.table != two.table or apart:
        return False
    if one.number is None and two.number is None:
        return one.bit == two.bit and PointKind.OUTPUT in (one.kind, two.kind)
    if one.number is None or two.number is None:
        return True
    return (one.address, one.number.type) != (two.address, two.number.type)
