"""The register profile of a rig: where a PLC keeps its signals, points, parameters, commands and ring buffer.

``cellbench/rig-profile/1`` is a TOML page; docs/register-profiles.md explains every key. :func:`parse` gives the frozen
:class:`RigProfile` or a ConfigError with every fault and its line.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from typing import Any

from drivers.capabilities import PointKind
from drivers.errors import ConfigError, Fault
from drivers.page_constants import Constant, constants
from drivers.profile_page import LAST_ADDRESS, ORDERS, Page
from drivers.registers import RANGE, WORDS, RegisterType, WordOrder, number_of, words_of
from drivers.toml_text import KeyPath
from drivers.toml_text import parse as parse_toml

SCHEMA = "cellbench/rig-profile/1"
#: What every rig tells; the rest of the names below it may tell.
NEEDED_SIGNALS = [
    "plc_heartbeat",
    "state",
    "control",
    "ack_seq",
    "ack_result",
    "position_mm",
    "speed_mm_s",
    "force_n",
    "peak_force_n",
    "since_contact_s",
    "contact_mm",
    "stop_reason",
]
OTHER_SIGNALS = [
    "map_version",
    "rig_type",
    "ack_cmd",
    "voltage_v",
    "contact_voltage_v",
    "servo_alarm",
    "fault_1",
    "fault_2",
    "sample_counter",
]
NEEDED_PARAMETERS = [
    "depth_mm",
    "approach_mm_s",
    "speed_mm_s",
    "retract_mm_s",
    "force_stop_n",
    "thickness_mm",
    "contact_force_n",
    "link_watchdog_s",
]
#: Parameters that switch a stop off with their value `off`.
STOPS = ("voltage_stop_v", "deformation_stop", "temperature_stop")
OTHER_PARAMETERS = (*STOPS, "hold_s", "after_stop")
NEEDED_CODES = ["arm", "start", "stop", "disarm", "retract", "exhaust_on", "exhaust_off", "camera_on"]
OTHER_CODES = ["home", "reset", "zero_force", "camera_off", "suppression"]
COLUMNS = ("ms", "position_mm", "force_n", "voltage_v")
POINT_KINDS = {
    kind.value: kind
    for kind in (PointKind.INPUT, PointKind.TEMPERATURE, PointKind.PRESSURE, PointKind.VOLTAGE, PointKind.LEVEL)
}
#: A link watchdog wants to see the host's heartbeat move; the host never lets more time pass between two of them.
HEARTBEAT_MAX_S = 0.1
TIMEOUT_MAX_S = 5.0
_NUMBER_KEYS = ("address", "type", "scale", "word_order", "access")


@dataclass(frozen=True, slots=True)
class Register:
    """One value in one or two holding registers: ``number * scale`` is in the unit that its name ends in.

    ``invalid`` is the number that stands for "no value", ``off`` the one that switches a stop off; ``readable`` is
    false for a parameter that can only be written.
    """

    name: str
    address: int
    type: RegisterType = "u16"
    order: WordOrder = "ABCD"
    scale: float = 1.0
    invalid: float | None = None
    off: float | None = None
    readable: bool = True

    @property
    def count(self) -> int:
        return WORDS[self.type]

    def value(self, words: tuple[int, ...]) -> float:
        """The value in its unit; NaN where the device says that it has none."""
        number = number_of(words, self.type, self.order)
        return math.nan if number == self.invalid else number * self.scale

    @property
    def reach(self) -> tuple[float, float]:
        """The lowest and highest value that fit."""
        low, high = RANGE.get(self.type, (-math.inf, math.inf))
        return low * self.scale, high * self.scale

    def words(self, value: float) -> tuple[int, ...]:
        """The registers that hold a value. Raises ValueError if it does not fit."""
        return words_of(value / self.scale, self.type, self.order)


@dataclass(frozen=True, slots=True)
class RigPoint:
    """A point that a bench may use as an input: a register, or one bit of it. ``invert`` turns an alarm into clear."""

    kind: PointKind
    register: Register
    bit: int | None = None
    invert: bool = False

    def value(self, *words: int) -> float:
        """The value of its registers; an input reads 1.0 or 0.0, NaN is no value."""
        value = self.register.value(words)
        if self.kind is not PointKind.INPUT or math.isnan(value):
            return value
        is_on = bool(int(value) >> self.bit & 1) if self.bit is not None else value != 0.0
        return float(is_on is not self.invert)


@dataclass(frozen=True, slots=True)
class Ring:
    """The ring buffer. ``write_index`` holds the row (from 0) that is written next, ``rows_held`` how many are good."""

    write_index: int
    rows_held: int
    first_row: int
    capacity: int
    columns: tuple[Register, ...]  # addresses count from the beginning of the row
    max_registers: int

    @property
    def row_registers(self) -> int:
        return sum(column.count for column in self.columns)


@dataclass(frozen=True, slots=True)
class RigProfile:
    """A whole profile, checked."""

    name: str
    title: str
    evidence: str
    heartbeat_s: float
    timeout_s: float
    signals: Mapping[str, Register]
    points: Mapping[str, RigPoint]
    parameters: Mapping[str, Register]
    command: int
    key: int
    codes: Mapping[str, int]
    ring: Ring
    constants: tuple[Constant, ...] = ()


def parse(text: str, where: str) -> RigProfile:
    """Read a profile; ``where`` names the page in faults. Raises ConfigError with every fault, each with its line."""
    document, lines = parse_toml(text, where)
    written = document.get("schema")
    if written != SCHEMA:
        line = lines.get(("schema",))
        place = where if line is None else f"{where}:{line}"
        raise ConfigError(
            [Fault(f"schema {written!r} is not a rig profile", place, f'begin the page with schema = "{SCHEMA}"')]
        )
    return _Reader(document, lines, where).profile()


class _Reader(Page):
    """One reading of a page. Faults are collected; what is faulty is replaced until the end, where all are raised."""

    def profile(self) -> RigProfile:
        tables = ("signals", "points", "parameters", "command", "ring")
        texts = ("name", "title", "evidence", "word_order", "heartbeat", "timeout")
        self.keys(self.document, ("schema", *texts, *tables, "constants"), (), needed=(*texts, *tables))
        self.order = self.choice(self.document, "word_order", ORDERS, "ABCD", ())
        signals = self.registers("signals", NEEDED_SIGNALS, OTHER_SIGNALS, ("invalid",))
        parameters = self.registers("parameters", NEEDED_PARAMETERS, OTHER_PARAMETERS, ("off",))
        for name in STOPS:
            if name in parameters and parameters[name].off is None:
                self.fault(
                    f"`{name}` does not say what switches it off", ("parameters", name), "add off = and that number"
                )
        points = self.points()
        command = self.table(self.document, "command", ())
        self.keys(command, ("address", "key", "codes"), ("command",), needed=("address", "key", "codes"))
        codes = self.codes(self.table(command, "codes", ("command",)))
        made = RigProfile(
            name=self.text("name"),
            title=self.text("title"),
            evidence=self.text("evidence"),
            heartbeat_s=self.seconds(self.document, "heartbeat", (), HEARTBEAT_MAX_S, default=HEARTBEAT_MAX_S),
            timeout_s=self.seconds(self.document, "timeout", (), TIMEOUT_MAX_S, default=TIMEOUT_MAX_S),
            signals=signals,
            points=points,
            parameters=parameters,
            command=self.integer(command, "address", ("command",), high=LAST_ADDRESS - 3),
            key=self.integer(command, "key", ("command",), high=LAST_ADDRESS),
            codes=codes,
            ring=self.ring(signals),
            constants=constants(self, ("holding",)),
        )
        self.overlaps(made)
        self.raise_faults()
        return made

    def registers(
        self, table: str, needed: Iterable[str], other: Iterable[str], more_keys: tuple[str, ...]
    ) -> dict[str, Register]:
        found = self.table(self.document, table, ())
        self.keys(found, (*needed, *other), (table,), needed=needed if table in self.document else ())
        known = {*needed, *other}
        access = ("rw", "w") if table == "parameters" else ("r", "rw")
        return {
            name: self.register(name, self.table(found, name, (table,)), (table, name), more_keys, access)
            for name in found
            if name in known
        }

    def register(
        self, name: str, entry: Mapping[str, Any], path: KeyPath, more_keys: tuple[str, ...], access: tuple[str, ...]
    ) -> Register:
        self.keys(entry, (*_NUMBER_KEYS, *more_keys), path, needed=("address",))
        kind: RegisterType = self.choice(entry, "type", WORDS, "u16", path)
        scale = self.number(entry, "scale", path)
        if scale is not None and scale <= 0.0:
            self.fault(f"`scale` = {scale:g} is not above 0", (*path, "scale"), "write how much one step is worth")
            scale = None
        marks = {key: self.number(entry, key, path) for key in ("invalid", "off") if key in more_keys}
        for key, mark in marks.items():
            low, high = RANGE.get(kind, (-math.inf, math.inf))
            if mark is not None and not low <= mark <= high:
                self.fault(f"`{key}` = {mark:g} does not fit into {kind}", (*path, key), "write it as the type reads")
        return Register(
            name=name,
            address=self.integer(entry, "address", path, high=LAST_ADDRESS + 1 - WORDS[kind]),
            type=kind,
            order=self.choice(entry, "word_order", ORDERS, self.order, path),
            scale=1.0 if scale is None else scale,
            invalid=marks.get("invalid"),
            off=marks.get("off"),
            readable=self.choice(entry, "access", access, access[0], path) != "w",
        )

    def points(self) -> dict[str, RigPoint]:
        found = self.table(self.document, "points", ())
        made: dict[str, RigPoint] = {}
        for name in found:
            path: KeyPath = ("points", name)
            entry = self.table(found, name, ("points",))
            if not name.replace("_", "a").isalnum() or not name.islower() or name == "nail":
                fix = "write small letters, digits and _; `nail` is the rig itself"
                self.fault(f"`{name}` is no name for a point", path, fix)
            if "kind" not in entry:
                self.fault("`kind` is missing", path, f"add kind = one of {', '.join(POINT_KINDS)}")
            kind = POINT_KINDS[self.choice(entry, "kind", POINT_KINDS, "input", path)]
            keys = ("kind", "bit", "invert", "invalid") if kind is PointKind.INPUT else ("kind", "invalid")
            register = self.register(name, entry, path, keys, ("r", "rw"))
            bit = None
            if kind is PointKind.INPUT and "bit" in entry:
                bit = self.integer(entry, "bit", path, high=15)
                if register.type != "u16":
                    self.fault(f"a bit of {register.type}: bits are counted in u16", (*path, "bit"), 'type = "u16"')
            made[name] = RigPoint(kind, register, bit, self.truth(entry, "invert", path))
        return made

    def codes(self, table: Mapping[str, Any]) -> dict[str, int]:
        path: KeyPath = ("command", "codes")
        self.keys(table, (*NEEDED_CODES, *OTHER_CODES), path, needed=NEEDED_CODES if table else ())
        codes = {name: self.integer(table, name, path, low=1) for name in table}
        for name, code in codes.items():
            first = next(other for other, its in codes.items() if its == code)
            if first != name:
                self.fault(f"`{name}` and `{first}` are one code, {code}", (*path, name), "give each its own")
        return codes

    def ring(self, signals: Mapping[str, Register]) -> Ring:
        path: KeyPath = ("ring",)
        table = self.table(self.document, "ring", ())
        wanted = ("write_index", "rows_held", "first_row", "capacity", "columns", "max_registers")
        self.keys(table, wanted, path, needed=wanted if table else ())
        columns = self.table(table, "columns", path)
        self.keys(columns, COLUMNS, (*path, "columns"), needed=COLUMNS if columns else ())
        made: list[Register] = []
        at = 0
        for name in columns:
            kind: RegisterType = self.choice(columns, name, WORDS, "u32", (*path, "columns"))
            like = signals.get(name)
            scale, invalid = (0.001, None) if name == "ms" else (like.scale, like.invalid) if like else (1.0, None)
            if like is None and name in ("voltage_v",):
                self.fault(f"column `{name}` has no scale", (*path, "columns", name), f"add `{name}` to [signals]")
            made.append(Register(name, at, kind, like.order if like else self.order, scale, invalid))
            at += WORDS[kind]
        longest = self.integer(table, "max_registers", path, low=1, high=125) if "max_registers" in table else 64
        capacity = self.integer(table, "capacity", path, low=1)
        first_row = self.integer(table, "first_row", path)
        if at > longest:
            self.fault(
                f"a row of {at} registers does not fit into one request of {longest}",
                (*path, "max_registers"),
                "raise it",
            )
        if first_row + capacity * at > LAST_ADDRESS + 1:
            self.fault("the last row lies beyond register 65535", (*path, "capacity"), "lower it")
        index, held = self.integer(table, "write_index", path), self.integer(table, "rows_held", path)
        return Ring(index, held, first_row, capacity, tuple(made), longest)

    def overlaps(self, made: RigProfile) -> None:
        """No register means two things; bits of one register are the exception."""
        taken: dict[int, str] = {}
        ring = made.ring
        areas: list[tuple[KeyPath, int, int]] = [
            *((("signals", name), its.address, its.count) for name, its in made.signals.items()),
            *((("points", name), its.register.address, its.register.count) for name, its in made.points.items()),
            *((("parameters", name), its.address, its.count) for name, its in made.parameters.items()),
            (("command",), made.command, 4),
            (("ring", "write_index"), ring.write_index, 1),
            (("ring", "rows_held"), ring.rows_held, 1),
            (("ring", "first_row"), ring.first_row, ring.capacity * ring.row_registers),
        ]
        for path, address, count in areas:
            name = ".".join(str(part) for part in path)
            point = made.points.get(str(path[1])) if path[0] == "points" else None
            mark = f"bits of register {address}" if point is not None and point.bit is not None else name
            clash = next((taken[at] for at in range(address, address + count) if taken.get(at, mark) != mark), None)
            if clash is not None:
                self.fault(f"`{name}` lies on registers of {clash}", path, "correct one of the two addresses")
            taken.update(dict.fromkeys(range(address, address + count), mark))
        bits: dict[tuple[int, int], str] = {}
        for name, point in made.points.items():
            if point.bit is not None:
                first = bits.setdefault((point.register.address, point.bit), name)
                if first != name:
                    self.fault(f"`{name}` is the same bit as `{first}`", ("points", name, "bit"), "correct one of them")
