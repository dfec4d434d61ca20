"""The rules as binding decides them: plain frozen data, and what a rule finds."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from bench.binding.shapes import Subject, Tier
from bench.energy import Energy
from drivers.reading import Reading

#: What the heat of a short circuit is energised as: its voltage and its warming are the short's own doing.
SHORT_CIRCUIT = "short circuit"


@dataclass(frozen=True, slots=True)
class Found:
    """What a rule has found: which rule, what follows, whose doing it is, the value that was seen and its bound."""

    rule: str
    tier: Tier
    subject: Subject
    channel: str
    value: float | None = None
    limit: float | None = None


class Rule(Protocol):
    """Hears good readings. Each finding is given once for as long as its cause lasts."""

    def look(self, reading: Reading, energy: Energy) -> Found | None: ...


@dataclass(frozen=True, slots=True)
class Rate:
    """How fast a channel may rise (``rising``) or move either way, per second over at least ``window_s``."""

    rule: str
    channel: str
    most_per_s: float
    window_s: float
    rising: bool
    tier: Tier = "trip"

    @property
    def channels(self) -> tuple[str, ...]:
        return (self.channel,)


@dataclass(frozen=True, slots=True)
class CrossCheck:
    """The terminal's voltage against the sample's own leads: no further apart than what both instruments may be wrong
    by, and what the current leaves on ``lead_ohm``. Only while the contactor is closed."""

    terminal: str
    current: str
    cell: str
    apart_v: float
    lead_ohm: float

    @property
    def channels(self) -> tuple[str, ...]:
        return (self.terminal, self.current, self.cell)


@dataclass(frozen=True, slots=True)
class Runaway:
    """Two of three at one place: a surface above ``high_c``, a surface that warms by ``rate_k_s``, a voltage that has
    collapsed. ``cell_voltage`` is None at a neighbouring place, where both others are needed."""

    place: str
    cell_voltage: str | None
    surfaces: tuple[str, ...]
    high_c: float
    rate_k_s: float
    neighbour: bool = False

    @property
    def channels(self) -> tuple[str, ...]:
        return (*self.surfaces, *(() if self.cell_voltage is None else (self.cell_voltage,)))


@dataclass(frozen=True, slots=True)
class Detector:
    """A detector of fire or gas at another place of the zone."""

    place: str
    kind: str
    channel: str

    @property
    def channels(self) -> tuple[str, ...]:
        return (self.channel,)

    @property
    def rule(self) -> str:
        return f"zone.{self.place}.{self.kind}"


@dataclass(frozen=True, slots=True)
class Companion:
    """A second channel that shows the same quantity, in steps of ``resolution``."""

    channel: str
    resolution: float


@dataclass(frozen=True, slots=True)
class Stuck:
    """A channel that repeats itself to the digit while every companion moves. ``current`` with ``lead_ohm`` is what
    moves a voltage at one end of the leads and not at the other, 0 where there is none."""

    channel: str
    resolution: float
    companions: tuple[Companion, ...]
    current: str | None = None
    lead_ohm: float = 0.0

    @property
    def channels(self) -> tuple[str, ...]:
        more = () if self.current is None else (self.current,)
        return (self.channel, *(its.channel for its in self.companions), *more)


@dataclass(frozen=True, slots=True)
class Detached:
    """A surface sensor that stays at the place's air while the cell turns power into heat.

    ``heat_capacity_j_k`` is the most that the cell can hold, ``cooling_w_k`` the most that its surface can give away.
    """

    surface: str
    ambient: str
    voltage: str
    current: str
    voltage_resolution_v: float
    resolution_k: float
    heat_capacity_j_k: float
    cooling_w_k: float
    trips: bool

    @property
    def channels(self) -> tuple[str, ...]:
        return (self.voltage, self.current, self.ambient, self.surface)


@dataclass(frozen=True, slots=True)
class Ceiling:
    """The most charge and energy that one charge or discharge may move; ``output`` is what it is energised as."""

    voltage: str
    current: str
    output: str
    charge_ah: float
    energy_wh: float

    @property
    def channels(self) -> tuple[str, ...]:
        return (self.voltage, self.current)


RuleSpec = Rate | CrossCheck | Runaway | Detector | Stuck | Detached | Ceiling
