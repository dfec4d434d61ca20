"""What the run sees at this instant, under the names that expressions use, and what was watched of it."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass

from bench.binding.shapes import BoundChannel
from bench.stream import Batch
from bench.totals import StepTotals
from drivers.reading import Quality
from sequences.names import INSTANT, START

#: A rise is taken over at least so long: a tenth of a kelvin of noise is then a twentieth of a kelvin per second.
RATE_S = 2.0


@dataclass(frozen=True, slots=True)
class LiveChannels:
    """Which channels the live names read. ``surface`` are the named cell-surface points."""

    voltage: str
    current: str
    surface: tuple[str, ...]
    ambient: str | None
    cell_voltage: str | None = None

    @classmethod
    def of(cls, channel: BoundChannel) -> LiveChannels:
        """Those of a bench channel at one place."""
        return cls(channel.voltage, channel.current, channel.surface, channel.ambient, channel.cell_voltage)


class Follow:
    """The smallest, largest or mean value of one live quantity while it is followed.

    The mean is over time (trapezoids between readings, pauses left out), so that slower polling at rest does not
    weigh less. ``value`` is None until the first good reading.
    """

    __slots__ = ("_area", "_last", "_last_s", "_span_s", "_take", "of", "on", "value")

    def __init__(self, of: str, take: str) -> None:
        self.of = of
        self.on = False
        self.value: float | None = None
        self._take = take
        self._area = 0.0
        self._span_s = 0.0
        self._last = math.nan
        self._last_s = math.nan

    @property
    def state(self) -> dict[str, float | None]:
        """What it has come to, for the record."""
        return {"value": self.value, "area": self._area, "span_s": self._span_s}

    def restore(self, state: Mapping[str, float | None]) -> None:
        """Go on with what ``state`` said."""
        self.value = state.get("value")
        self._area, self._span_s = state.get("area") or 0.0, state.get("span_s") or 0.0

    def resume(self) -> None:
        self.on = True
        self._last_s = math.nan

    def pause(self) -> None:
        self.on = False

    def add(self, t_s: float, value: float) -> None:
        if math.isnan(value):
            return
        if self.value is None:
            self.value = value
        elif self._take == "min":
            self.value = min(self.value, value)
        elif self._take == "max":
            self.value = max(self.value, value)
        if self._take == "mean":
            if t_s > self._last_s:
                self._area += 0.5 * (self._last + value) * (t_s - self._last_s)
                self._span_s += t_s - self._last_s
                self.value = self._area / self._span_s
            self._last = value
            self._last_s = t_s


class Rate:
    """How fast one point rises, in K/s, over the last ``RATE_S`` or a little more; NaN until then and after a gap."""

    __slots__ = ("_seen", "k_s")

    def __init__(self) -> None:
        self._seen: list[tuple[float, float]] = []
        self.k_s = math.nan

    def add(self, t_s: float, value_c: float) -> None:
        if math.isnan(value_c):
            self._seen.clear()
            self.k_s = math.nan
            return
        seen = self._seen
        seen.append((t_s, value_c))
        while len(seen) > 2 and t_s - seen[1][0] >= RATE_S:
            del seen[0]
        first_s, first_c = seen[0]
        self.k_s = (value_c - first_c) / (t_s - first_s) if t_s - first_s >= RATE_S else math.nan


@dataclass(frozen=True, slots=True)
class Carried:
    """What a step had when it was broken off, as the record proves it: signed sums, the time that was recorded, the
    live values that it ``start``-ed with and the ``last`` ones. ``ended`` is why it ended, where it had ended."""

    charge_as: float
    energy_ws: float
    duration_s: float
    start: Mapping[str, float]
    last: Mapping[str, float]
    ended: str | None = None


class Live:
    """Keeps ``values`` up to date, one batch at a time, for a few microseconds each.

    ``values`` is one mapping for the whole run, changed in place: the live names, ``start.<name>`` for the step under
    way, and whatever the walk puts beside them (cell, parameters, results). A quantity without a good reading is NaN,
    which no condition holds for. ``seen`` says what the batch just delivered brought, for those who hear it next.
    ``temperature`` is the highest good surface point, ``coolest`` the lowest, ``temperature_rate`` the fastest rise of
    any of them over ``RATE_S`` or a little more; ``charge`` and ``energy`` count in the direction of the step,
    ``duration`` from its first instant.
    """

    def __init__(self, channels: LiveChannels) -> None:
        self.values: dict[str, float | tuple[float, ...]] = dict.fromkeys((*INSTANT, *_COUNTED), math.nan)
        self.totals = StepTotals()
        self.seen = 0
        self.coolest_c = math.nan
        self._cell_v = math.nan
        self.move(channels)
        self._begun_s = math.nan
        self._sign = 0.0
        self._follows: tuple[Follow, ...] = ()

    def move(self, channels: LiveChannels) -> None:
        """The sample is elsewhere: its names read these channels now, and have no value until these are heard."""
        self._kinds = {channels.voltage: _VOLTAGE, channels.current: _CURRENT}
        self._kinds.update(dict.fromkeys(channels.surface, _SURFACE))
        for name, kind in ((channels.ambient, _AMBIENT), (channels.cell_voltage, _CELL)):
            if name is not None:
                self._kinds[name] = kind
        self._surface = dict.fromkeys(channels.surface, math.nan)
        self._rates = {name: Rate() for name in channels.surface}
        self._voltage_v = self._current_a = self._ambient_c = self._cell_v = math.nan
        self.coolest_c = math.nan
        self.values.update(dict.fromkeys(INSTANT, math.nan))

    @property
    def saw_terminal(self) -> bool:
        """The batch just delivered brought the cycler's voltage or current."""
        return bool(self.seen & (_VOLTAGE | _CURRENT))

    def saw(self, of: str) -> bool:
        """The batch just delivered brought something of ``ambient`` or ``surface``."""
        return bool(self.seen & (_AMBIENT if of == "ambient" else _SURFACE))

    def span_c(self, of: str) -> tuple[float, float]:
        """Lowest and highest of ``ambient`` or ``surface``, in degC; NaN if no point is good."""
        value = self.values["ambient" if of == "ambient" else "temperature"]
        highest_c = value if isinstance(value, float) else math.nan
        return (highest_c if of == "ambient" else self.coolest_c), highest_c

    def follow(self, follows: Iterable[Follow]) -> None:
        """Feed these, whenever they are on, from now on. Those given before are fed no longer."""
        self._follows = tuple(follows)

    @property
    def followed(self) -> Sequence[Follow]:
        return self._follows

    def begin(self, t_s: float, *, direction: int, carried: Carried | None = None) -> None:
        """A step begins: charge and energy count from zero, in ``direction`` (+1 charge, -1 discharge, 0 neither).

        A resumed step goes on with what it ``carried``: totals, duration, and the values that it began with.
        """
        values = self.values
        self._sign = float(direction)
        for name in INSTANT:
            values[START + name] = values[name]
        for name in _COUNTED:
            values[START + name] = 0.0
        if carried is None:
            self._begun_s = t_s
            self.totals.begin(t_s)
        else:
            self._begun_s = t_s - carried.duration_s
            self.totals.begin(t_s, charge_as=carried.charge_as, energy_ws=carried.energy_ws)
            values.update({START + name: value for name, value in carried.start.items()})
        self._count(t_s)

    def end(self, t_s: float) -> None:
        """The step's last instant: charge, energy and duration take their final values."""
        self.totals.end(t_s)
        self._count(t_s)

    def deliver(self, batch: Batch) -> None:
        kinds = self._kinds
        seen = 0
        t_s = 0.0
        for channel, value, mono_s, _, quality in batch:
            kind = kinds.get(channel)
            if kind is None:
                continue
            if quality is not Quality.GOOD:
                value = math.nan
            if kind == _VOLTAGE:
                self._voltage_v = value
            elif kind == _CURRENT:
                self._current_a = value
            elif kind == _SURFACE:
                self._surface[channel] = value
                self._rates[channel].add(mono_s, value)
            elif kind == _AMBIENT:
                self._ambient_c = value
            else:
                self._cell_v = value
            seen |= kind
            t_s = mono_s
        self.seen = seen
        if seen:
            self._refresh(seen, t_s)

    def _refresh(self, seen: int, t_s: float) -> None:
        values = self.values
        if seen & _SURFACE:
            hottest_c, coolest_c = -math.inf, math.inf
            for value in self._surface.values():  # NaN is neither above nor below
                if value > hottest_c:
                    hottest_c = value
                if value < coolest_c:
                    coolest_c = value
            found = hottest_c > -math.inf
            values["temperature"] = hottest_c if found else math.nan
            self.coolest_c = coolest_c if found else math.nan
            fastest = -math.inf
            for rate in self._rates.values():
                if rate.k_s > fastest:
                    fastest = rate.k_s
            values["temperature_rate"] = fastest if fastest > -math.inf else math.nan
        if seen & _CELL:
            values["cell_voltage"] = self._cell_v
        if seen & _AMBIENT:
            values["ambient"] = self._ambient_c
        if seen & (_VOLTAGE | _CURRENT):
            voltage_v, current_a = self._voltage_v, self._current_a
            values["voltage"] = voltage_v
            values["current"] = current_a
            values["power"] = voltage_v * current_a
            self.totals.add(t_s, voltage_v, current_a)
            self._count(t_s)
        for follow in self._follows:
            if follow.on and seen & _FEEDS[follow.of] and isinstance(worth := values[follow.of], float):
                follow.add(t_s, worth)

    def _count(self, t_s: float) -> None:
        values, totals, sign = self.values, self.totals, self._sign
        charge_ah, energy_wh = totals.charge_ah, totals.energy_wh
        values["charge"] = max(0.0, sign * charge_ah) if sign else abs(charge_ah)
        values["energy"] = max(0.0, sign * energy_wh) if sign else abs(energy_wh)
        values["duration"] = max(0.0, t_s - self._begun_s)


_COUNTED = ("charge", "energy", "duration")
_VOLTAGE, _CURRENT, _SURFACE, _AMBIENT, _CELL = 1, 2, 4, 8, 16
_FEEDS = {
    "voltage": _VOLTAGE,
    "current": _CURRENT,
    "power": _VOLTAGE | _CURRENT,
    "temperature": _SURFACE,
    "ambient": _AMBIENT,
    "cell_voltage": _CELL,
}
