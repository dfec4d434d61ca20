"""What binding decides, as plain frozen data. ``bench.plan`` is the door to these."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

Subject = Literal["sample", "bench", "interlock", "device"]


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
    """

    rule: str
    channel: str
    low: float | None
    high: float | None
    subject: Subject
    hard: bool
    margin: str = ""


@dataclass(frozen=True, slots=True)
class BoundChannel:
    """A channel of the bench with every role bound. Names with dots are reading channels (``psb.out.voltage_v``)."""

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
    """How often one device is read, in seconds."""

    energised_s: float
    rest_s: float


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
