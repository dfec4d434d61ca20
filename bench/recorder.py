"""From the stream to the record: which readings become rows.

A row is one instant of the cycler's reading (voltage and current belong together) with the newest value of every
other channel beside it. It is stored when the step's logging rule asks for it: a time has passed, or a quantity has
moved by its step since the last stored row. Before a jump the row just before it is stored too, and so are the last
reading of a step and the first of the next: straight lines between stored rows then integrate to the charge that
flowed, whatever was left out between them.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

from bench.log import RunLog
from drivers.reading import Quality, Reading

NAN = math.nan
#: A value older than this is not written beside newer ones: no value stands in for one that failed to arrive.
STALE_S = 30.0
#: Without a cycler reading for this long, rows follow the other channels, with no voltage and no current.
CYCLER_LOST_S = 5.0
#: Two instants closer than this are one: loop time is a sum of floats.
_EPSILON_S = 1e-6
#: Differences of readings that are decimal fractions are not; far below any instrument's step.
_EPSILON = 1e-9


@dataclass(frozen=True, slots=True)
class RecordedChannels:
    """The channels of a run by what they mean. ``voltage`` and ``current`` come in one batch, the cycler's.

    ``surfaces`` become T1, T2, ... in the order given; ``elsewhere`` are the surface points of the places that the
    sample is carried to, whose movement is stored as theirs is; ``others`` are kept without a meaning of their own.
    """

    voltage: str
    current: str
    ambient: str | None = None
    surfaces: tuple[str, ...] = ()
    cell_voltage: str | None = None
    elsewhere: tuple[str, ...] = ()
    others: tuple[str, ...] = ()

    @property
    def names(self) -> tuple[str, ...]:
        """Every channel once, in the order of the columns."""
        single = tuple(name for name in (self.ambient, self.cell_voltage) if name is not None)
        return tuple(
            dict.fromkeys((self.voltage, self.current, *self.surfaces, *single, *self.elsewhere, *self.others))
        )

    @property
    def roles(self) -> dict[str, str]:
        """Channel by role, as the record says it: ``voltage``, ``current``, ``surface_1``, ..., ``ambient``."""
        roles = {"voltage": self.voltage, "current": self.current}
        roles.update({f"surface_{at}": name for at, name in enumerate(self.surfaces, 1)})
        if self.ambient is not None:
            roles["ambient"] = self.ambient
        if self.cell_voltage is not None:
            roles["cell_voltage"] = self.cell_voltage
        return roles


@dataclass(frozen=True, slots=True)
class LogRuleSI:
    """When a reading is stored: after ``every_s`` at the latest, or when a quantity moved by its step (None: never)."""

    every_s: float
    voltage_v: float | None = None
    current_a: float | None = None
    temperature_c: float | None = None


@dataclass(slots=True)
class _Seen:
    """The newest cycler reading, stored or not."""

    mono_s: float = NAN
    utc_s: float = NAN
    row: list[float] = field(default_factory=list)
    stored: bool = True


class Recorder:
    """Subscribe ``deliver`` to the stream. Raises RecordError from it when the record cannot be kept.

    Until the first ``begin_step`` rows follow ``LogRuleSI(every_s=1)`` under step 0. A channel that turns bad, or good
    again, is an event (``quality``); its value is NaN meanwhile. ``shift_s``: the record's clock less the loop's.
    """

    def __init__(self, log: RunLog, channels: RecordedChannels, *, shift_s: float = 0.0) -> None:
        self._log = log
        self._shift_s = shift_s
        names = channels.names
        log.open_readings(names, roles=channels.roles)
        self._index = {name: at for at, name in enumerate(names)}
        self._current = channels.current
        self._surfaces = tuple(dict.fromkeys(self._index[name] for name in (*channels.surfaces, *channels.elsewhere)))
        self._at_v, self._at_i = self._index[channels.voltage], self._index[channels.current]
        self._values = [NAN] * len(names)
        self._times = [-math.inf] * len(names)
        self._quality: list[Quality] = [Quality.GOOD] * len(names)
        self._every_s = 1.0 - _EPSILON_S
        self._steps_si = _steps_of(LogRuleSI(every_s=1.0))
        self._step = 0
        self._steps_begun = 0
        self._seen = _Seen()
        self._due_s = -math.inf
        self._stored = (NAN, NAN, NAN)  # V, I, T of the last stored row
        self._stored_s = NAN
        self._longest_s = 0.0

    def take_longest_interval_s(self) -> float:
        """The longest time between two stored rows since the last such call, 0.0 if there were no two.

        Of one step, if called at the end of each. Stores the last reading.
        """
        self._store_seen()
        longest_s, self._longest_s = self._longest_s, 0.0
        return longest_s

    def begin_step(self, index: int, path: str, rule: LogRuleSI) -> None:
        """The readings from now on belong to step ``index``: the row just before and the next reading are stored."""
        self._store_seen()
        self._step = index
        self._every_s = rule.every_s - _EPSILON_S
        self._steps_si = _steps_of(rule)
        self._steps_begun += 1
        self._due_s = -math.inf
        self._log.event("log_rule", step=index, path=path, rule=rule)

    def finish(self) -> None:
        """Store the last reading if it was not. To be called when polling has ended."""
        self._store_seen()

    def deliver(self, batch: tuple[Reading, ...]) -> None:
        """Take one batch in."""
        index, values, times, quality = self._index, self._values, self._times, self._quality
        cycler: Reading | None = None
        for reading in batch:
            channel, value, mono_s, _, kind = reading
            at = index.get(channel)
            if at is None:
                continue
            values[at] = value
            times[at] = mono_s
            if kind is not quality[at]:
                self._note_quality(at, reading)
            if channel == self._current:
                cycler = reading
        if cycler is not None:
            self._consider(cycler.mono_s, cycler.utc_s)
        elif batch and batch[-1].mono_s - times[self._at_i] > CYCLER_LOST_S:
            if not math.isnan(values[self._at_i]):
                values[self._at_v] = values[self._at_i] = NAN
                self._due_s = -math.inf
            self._consider(batch[-1].mono_s, batch[-1].utc_s)
        self._log.tick()

    def _note_quality(self, at: int, reading: Reading) -> None:
        was, self._quality[at] = self._quality[at], reading.quality
        if reading.quality is not Quality.GOOD:
            self._values[at] = NAN
        self._due_s = -math.inf
        self._log.event("quality", channel=reading.channel, was=was, now=reading.quality)

    def _consider(self, mono_s: float, utc_s: float) -> None:
        """Take one instant in. NaN moves nothing here: a value's coming and going forces a row elsewhere."""
        values, seen = self._values, self._seen
        voltage_v, current_a = values[self._at_v], values[self._at_i]
        step_v, step_a, step_c = self._steps_si
        temperature_c = self._hottest() if step_c < math.inf else NAN
        was_v, was_a, was_c = self._stored
        moved = (
            abs(voltage_v - was_v) >= step_v or abs(current_a - was_a) >= step_a or abs(temperature_c - was_c) >= step_c
        )
        if moved and not seen.stored:
            before = seen.row
            if (
                abs(current_a - before[self._at_i]) >= step_a / 2.0
                or abs(voltage_v - before[self._at_v]) >= step_v / 2.0
            ):  # a jump, not little by little
                self._store_seen()
        seen.mono_s, seen.utc_s, seen.row, seen.stored = mono_s, utc_s, values.copy(), False
        if moved or mono_s >= self._due_s:
            self._store_seen()
            self._due_s = mono_s + self._every_s
            self._stored = (voltage_v, current_a, temperature_c)

    def _hottest(self) -> float:
        values, hottest = self._values, -math.inf
        for at in self._surfaces:
            if values[at] > hottest:
                hottest = values[at]
        return hottest if hottest > -math.inf else NAN

    def _store_seen(self) -> None:
        seen = self._seen
        if seen.stored:
            return
        seen.stored = True
        oldest_s = seen.mono_s - STALE_S
        times = self._times
        row = [value if times[at] >= oldest_s else NAN for at, value in enumerate(seen.row)]
        if self._steps_begun and not math.isnan(self._stored_s):
            self._longest_s = max(self._longest_s, seen.mono_s - self._stored_s)
        self._stored_s = seen.mono_s
        self._log.row((round(seen.mono_s + self._shift_s, 6), round(seen.utc_s, 6), self._step, *row))


def _steps_of(rule: LogRuleSI) -> tuple[float, float, float]:
    """The rule's steps of voltage, current and temperature, a breath smaller; infinite where there is none."""
    steps = (rule.voltage_v, rule.current_a, rule.temperature_c)
    volts, amps, kelvins = (math.inf if step is None else step - _EPSILON for step in steps)
    return volts, amps, kelvins
