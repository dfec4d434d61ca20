"""A module of inputs, outputs and measurements whose registers a point list describes (``cellbench/point-list/1``).

The page is read here anew, from what it says about itself, so that a slip in the driver's reading of it shows. There is
no such product; what a real module might do otherwise, and what is done here:

- an address between two points of a table reads 0, any other that no point has is refused (exception 02), and so is
  writing to anything but an output or the watchdog;
- every request is a sign of life; when the watchdog expires the outputs go to ``safe`` and stay there until they are
  written again, and the watchdog goes on with the next request;
- an input with nothing wired reads 0, a measurement with nothing wired its ``invalid``.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from dataclasses import dataclass
from math import nan
from typing import TYPE_CHECKING, Any

from simulators.faults import Faults
from simulators.models import Reply, SimulatorModel, Timers
from simulators.personalities.noise import noise
from simulators.personalities.registers import (
    ILLEGAL_ADDRESS,
    ILLEGAL_VALUE,
    RefusedError,
    Register,
    answer_pdu,
    register_of,
    seconds,
)
from simulators.personalities.watchdog import HostWatchdog
from simulators.spec import DeviceSpec, Signal

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

SCHEMA = "cellbench/point-list/1"
#: Time from the end of a request to the beginning of its answer (ASSUMED).
LATENCY_S = 0.004
FUNCTIONS = frozenset({1, 2, 3, 4, 5, 6, 15, 16})
TABLES = ("coil", "discrete", "holding", "input")
#: Standard deviation of a measurement, by its kind, in its unit (ASSUMED).
NOISE: Mapping[str, float] = {"temperature": 0.1, "pressure": 0.01, "voltage": 0.001, "mass": 0.0, "level": 0.0}


@dataclass(frozen=True, slots=True)
class Point:
    """One line of a page. An input is ON while its bit is (not, with ``invert``) set, or its number is below or above
    a limit. ``safe`` is what an output goes to."""

    name: str
    kind: str
    table: str
    register: Register
    bit: int | None = None
    invert: bool = False
    below: float | None = None
    above: float | None = None
    safe: bool = False

    @property
    def numeric(self) -> bool:
        """Whether it holds a number rather than a bit."""
        return self.kind in NOISE or self.below is not None or self.above is not None


@dataclass(frozen=True, slots=True)
class PointList:
    """A page. ``watchdog`` holds its timeout in seconds, at most ``watchdog_max_s``; ``constants`` are registers by
    name, with their table and what they hold."""

    points: Mapping[str, Point]
    watchdog: Register | None
    watchdog_max_s: float
    constants: Mapping[str, tuple[str, Register, float]]


def parse_point_list(text: str, where: str = "") -> PointList:
    """Read a page. Raises ValueError for what is not one."""
    try:
        page = tomllib.loads(text)
        if page.get("schema") != SCHEMA:
            raise ValueError(f"schema is {page.get('schema')!r}, not {SCHEMA!r}")
        order = str(page.get("word_order", "ABCD"))
        points = {name: _point(name, entry, order) for name, entry in page["points"].items()}
        watchdog = page.get("watchdog")
        register = None if watchdog is None else register_of(watchdog["timeout"], order)
        most_s = 0.0 if watchdog is None else seconds(watchdog["max"])
        constants = {
            name: (str(entry.get("table", "holding")), register_of(entry, order), float(entry["value"]))
            for name, entry in page.get("constants", {}).items()
        }
    except (KeyError, TypeError, ValueError) as error:
        raise ValueError(f"not a point list: {where}: {error}") from error
    return PointList(points, register, most_s, constants)


def _point(name: str, entry: Mapping[str, Any], order: str) -> Point:
    table = str(entry["table"])
    if table not in TABLES:
        raise ValueError(f"{name}: table {table!r}")
    return Point(
        name=name,
        kind=str(entry["kind"]),
        table=table,
        register=register_of(entry, order),
        bit=entry.get("bit"),
        invert=bool(entry.get("invert", False)),
        below=entry.get("below"),
        above=entry.get("above"),
        safe=bool(entry.get("safe", False)),
    )


class ModbusPoints:
    """Points are wired by their names on the page; what is wired to a name that is not on it does nothing.

    ``force`` makes an input read ON or OFF whatever is wired to it, ``force_raw`` puts a raw value (its ``invalid``,
    say) where a point stands, ``mend`` undoes both. ``outputs`` is what they are, ON or OFF; ``constants`` what stands
    where the page says so.
    """

    def __init__(self, spec: DeviceSpec, plant: Plant, seed: int, timers: Timers) -> None:
        if spec.profile is None:
            raise ValueError(f"device {spec.name!r}: a point list is needed")
        self.faults = Faults()
        self.page = page = parse_point_list(spec.profile, spec.profile_where)
        self.constants = dict(page.constants)
        self.watchdog = HostWatchdog(timers, self._to_safe)
        self._timeout_raw = 0.0
        self._plant = plant
        self._timers = timers
        self._wired: dict[str, Signal] = {name: wired for name, wired in spec.points.items() if name in page.points}
        self._forced: dict[str, bool] = {}
        self._raw: dict[str, float] = {}
        self._noise = {
            name: noise(seed, spec.name, name, NOISE[point.kind])
            for name, point in page.points.items()
            if NOISE.get(point.kind)
        }
        self.outputs = {name: False for name, point in page.points.items() if point.kind == "output"}
        self._at: dict[str, dict[int, list[Point]]] = {table: {} for table in TABLES}
        for point in page.points.values():
            for address in point.register.addresses:
                self._at[point.table].setdefault(address, []).append(point)

    def close(self) -> None:
        self.watchdog.disarm()

    def answer(self, request: bytes, now_s: float) -> Reply:
        """One PDU."""
        self._plant.advance(now_s)
        self.watchdog.heard(now_s)
        if self._timeout_raw and not self.watchdog.armed:
            self.watchdog.arm(now_s)
        return ((LATENCY_S, answer_pdu(request, self, functions=FUNCTIONS)),)

    # Faults

    def force(self, point: str, *, on: bool) -> None:
        """An input reads this. Raises KeyError."""
        self._forced[self.page.points[point].name] = on

    def force_raw(self, point: str, raw: float) -> None:
        """A point's registers hold this. Raises KeyError."""
        self._raw[self.page.points[point].name] = raw

    def mend(self, point: str) -> None:
        """A point shows what is wired to it again."""
        self._forced.pop(point, None)
        self._raw.pop(point, None)

    # The map

    def read(self, table: str, address: int, count: int) -> list[int]:
        held = self._at[table]
        dog = self.page.watchdog if table == "holding" else None
        constants = [(register, raw) for where, register, raw in self.constants.values() if where == table]
        known = [*held, *(dog.addresses if dog is not None else ())]
        known += [at for register, _ in constants for at in register.addresses]
        if not known or address < min(known) or address + count - 1 > max(known):
            raise RefusedError(ILLEGAL_ADDRESS)
        values = [0] * count
        seen: set[str] = set()
        for at in range(count):
            for point in held.get(address + at, ()):
                if point.name not in seen:
                    seen.add(point.name)
                    self._put(point, values, address)
        if dog is not None:
            _place(dog, dog.raw_words(self._timeout_raw), values, address)
        for register, raw in constants:
            _place(register, register.raw_words(raw), values, address)
        return values

    def _put(self, point: Point, values: list[int], address: int) -> None:
        register, raw = point.register, self._raw.get(point.name)
        if raw is None and point.numeric:
            raw = register.raw(self._number(point))
        elif raw is None:
            raw = int(self._bit(point)) << (point.bit or 0)
        words = [int(bool(raw))] if point.table in ("coil", "discrete") else register.raw_words(raw)
        _place(register, words, values, address)

    def _bit(self, point: Point) -> bool:
        """A bit as it stands in the map."""
        if point.kind == "output":
            return self.outputs[point.name] != point.invert
        forced = self._forced.get(point.name)
        if forced is not None:
            return forced != point.invert
        wired = self._wired.get(point.name)
        return wired is not None and (self._plant.signal(wired) > 0.5) != point.invert

    def _number(self, point: Point) -> float:
        wired, forced = self._wired.get(point.name), self._forced.get(point.name)
        if point.kind == "input":
            if wired is None and forced is None:
                return nan
            healthy = forced if forced is not None else wired is not None and self._plant.signal(wired) > 0.5
            true = self._plant.gas_lel(wired.of) if wired is not None and wired.kind == "gas" else None
            return _reading(point, healthy=healthy, true=true)
        if wired is None:
            return nan
        add = self._noise.get(point.name)
        value = self._plant.signal(wired)
        return value if add is None else add(value)

    def write(self, table: str, address: int, values: list[int]) -> None:
        dog = self.page.watchdog
        if dog is not None and table == "holding" and range(address, address + len(values)) == dog.addresses:
            self._set_watchdog(dog, values)
            return
        targets = [
            [point for point in self._at[table].get(address + at, ()) if point.kind == "output"]
            for at in range(len(values))
        ]
        if not all(targets):
            raise RefusedError(ILLEGAL_ADDRESS)
        for value, points in zip(values, targets, strict=True):
            for point in points:
                self._drive(point, on=bool(value >> (point.bit or 0) & 1) != point.invert)

    def _set_watchdog(self, dog: Register, words: list[int]) -> None:
        raw = dog.raw_of(words)
        timeout_s = raw * dog.scale
        if not 0.0 <= timeout_s <= self.page.watchdog_max_s + 1e-9:
            raise RefusedError(ILLEGAL_VALUE)
        self._timeout_raw = raw
        self.watchdog.timeout_s = timeout_s
        if raw:
            self.watchdog.arm(self._timers.time())
        else:
            self.watchdog.disarm()

    def _drive(self, point: Point, *, on: bool) -> None:
        self.outputs[point.name] = on
        wired = self._wired.get(point.name)
        if wired is not None:
            self._plant.drive(wired, on=on)

    def _to_safe(self) -> None:
        self._plant.advance(self._timers.time())
        for name in self.outputs:
            point = self.page.points[name]
            self._drive(point, on=point.safe)


def _place(register: Register, words: list[int], values: list[int], address: int) -> None:
    """Put words into a block that begins at ``address``, as far as it reaches; several bits share a word."""
    for at, word in zip(register.addresses, words, strict=True):
        if 0 <= at - address < len(values):
            values[at - address] |= word


def _reading(point: Point, *, healthy: bool, true: float | None) -> float:
    """What a detector with a number shows: the truth, but past its limit while its contact was forced to alarm."""
    limit = point.below if point.below is not None else point.above
    assert limit is not None
    inside = 0.0 if point.below is not None else 2.0 * abs(limit) + 1.0
    outside = 2.0 * abs(limit) + 1.0 if point.below is not None else 0.0
    if healthy:
        return inside if true is None else true
    if true is not None and (true >= limit if point.below is not None else true <= limit):
        return true
    return outside


SIMULATOR = SimulatorModel(name="modbus-points", schemes=("modbus-tcp", "modbus-rtu"), create=ModbusPoints)
