"""What binding decides, as plain frozen data. ``bench.plan`` is the door to these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

#: ``detector`` is smoke, flame or gas: an interlock before the stimulus, an observation from it on.
Subject = Literal["sample", "bench", "interlock", "detector", "device"]

DETECTORS = ("smoke", "flame", "gas")

#: What passing a limit does: tell, end the run by the controlled way out, or take energy away before anything else.
Tier = Literal["warn", "stop", "trip"]


@dataclass(frozen=True, slots=True)
class Point:
    """A point of a device, ``device.point``."""

    device: str
    point: str

    def __str__(self) -> str:
        return f"{self.device}.{self.point}"

    @classmethod
    def of(cls, reference: str) -> Point:
        device, _, point = reference.partition(".")
        return cls(device, point)


@dataclass(frozen=True, slots=True)
class GuardLimit:
    """What the guard holds one reading channel to: ``low <= value <= high``, None being no bound.

    ``hard`` limits are read at least once a second while something is energised. ``margin`` says how far a sample
    limit stands off from the cell's own limit, and why; a bench limit or an interlock has none.

    The limit is passed once ``hits`` of the last ``of`` good readings were outside for ``delay_s``; a reading counts as
    back inside ``hysteresis`` (in the channel's unit) short of the bound. ``tier`` says what follows.
    """

    rule: str
    channel: str
    low: float | None
    high: float | None
    subject: Subject
    hard: bool
    margin: str = ""
    tier: Tier = "trip"
    delay_s: float = 0.0
    hysteresis: float = 0.0
    hits: int = 1
    of: int = 1


@dataclass(frozen=True, slots=True)
class BoundChannel:
    """A channel of the bench at one place, with every role bound. Names with dots are reading channels
    (``psb.out.voltage_v``)."""

    name: str
    place: str
    zone: str
    abuse: bool
    cycler: Point
    voltage: str
    current: str
    cell_voltage_point: Point
    cell_voltage: str
    contactor: Point
    contactor_feedback: str
    surface: tuple[str, ...]
    ambient: str | None
    chamber: Point | None
    chamber_air: str | None
    interlocks: Mapping[str, str]
    kind: str = "chamber"
    rig: Point | None = None
    exhaust: Point | None = None
    heater: Point | None = None
    pressure: str | None = None
    short: Point | None = None
    short_feedback: str | None = None

    @property
    def detectors(self) -> Mapping[str, str]:
        """Those of ``interlocks`` that tell of fire or gas: reading channel by ``smoke``, ``flame`` or ``gas``."""
        kinds = {name: name.removesuffix("_clear") for name in self.interlocks}
        return {kind: self.interlocks[name] for name, kind in kinds.items() if kind in DETECTORS}

    @property
    def cycler_device(self) -> str:
        return self.cycler.device

    @property
    def chamber_device(self) -> str | None:
        return self.chamber.device if self.chamber is not None else None


@dataclass(frozen=True, slots=True)
class Window:
    """What the sample may be taken to in one phase. ``low_c`` is None where nothing bounds it."""

    low_v: float
    high_v: float
    charge_a: float
    discharge_a: float
    low_c: float | None
    high_c: float


@dataclass(frozen=True, slots=True)
class Poll:
    """How often one device is read, in seconds: while something is energised, at rest, and in stimulus and observation
    (None: as while energised). ``moving_s`` is a rig's, while it is armed or moves; what is energised elsewhere does
    not concern it."""

    energised_s: float
    rest_s: float
    stimulus_s: float | None = None
    moving_s: float | None = None


@dataclass(frozen=True, slots=True)
class BoundParameter:
    """A parameter of the sequence with the value of this run, in the base unit ``unit``."""

    name: str
    value: float
    unit: str
    text: str
    overridden: bool


@dataclass(frozen=True, slots=True)
class Estimate:
    """What the run is expected to take. ``bytes`` covers the bundle with its copies in other formats."""

    seconds: float
    rows: int
    bytes: int
