"""What a simulated bench is made of: plain dataclasses, filled by whoever composes one.

Nothing here knows drivers, sequences or files.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Literal


def _nothing(_: int) -> None:
    return None


@dataclass(frozen=True, slots=True)
class Flight:
    """Bytes on their way: ``left(n)`` when n bytes were written to the kernel, ``arrived(n)`` when read from it.

    The counter belongs to the loop (see simulators/virtual_time.py); a real-time server is given none.
    """

    left: Callable[[int], None] = _nothing
    arrived: Callable[[int], None] = _nothing


@dataclass(frozen=True, slots=True)
class CellSpec:
    """The cell under test and its plant truth.

    ``capacity_factor`` scales the charge it really holds against its preset, ``reversed_`` swaps its leads.
    """

    preset: str
    mass_kg: float
    thickness_mm: float
    capacity_factor: float = 1.0
    short_resistance_ohm: float | None = None
    ignites: bool | None = None
    start_soc: float = 0.3
    reversed_: bool = False


SignalKind = Literal[
    "surface",
    "air",
    "cell_voltage",
    "feedback",
    "contactor",
    "short",
    "short_feedback",
    "door_closed",
    "door_locked",
    "estop_released",
    "smoke",
    "flame",
    "gas",
    "pressure",
    "exhaust",
    "exhaust_flow",
    "heater",
    "idle",
]


@dataclass(frozen=True, slots=True)
class Signal:
    """What is wired to one point of a device. ``of`` is a place, or a channel for cell_voltage, contactor, feedback,
    short and short_feedback; those are then at the place ``at`` ("" is the channel's own place). ``index`` tells
    several thermocouples of one place apart, 0 being the nearest to the stimulus.
    """

    kind: SignalKind
    of: str = ""
    at: str = ""
    index: int = 0


@dataclass(frozen=True, slots=True)
class DeviceSpec:
    """One device to simulate. Devices with the same ``line`` hang on one physical wire.

    ``scheme`` is the kind of wire (``tcp``, ``visa``, ``serial``, ``modbus-rtu``). ``points`` says what is wired to
    each of its points; ``place`` is the place a chamber conditions; ``channel`` the channel a cycler feeds.
    """

    name: str
    model: str
    scheme: str
    line: str
    unit: int = 1
    serial: str | None = None
    rating: Mapping[str, float] = field(default_factory=dict)
    points: Mapping[str, Signal] = field(default_factory=dict)
    place: str | None = None
    channel: str | None = None
    current_gain_error: float = 0.0
    mains_hz: int = 50
    #: The text of the register profile of a device that has one, and where it stands.
    profile: str | None = None
    profile_where: str = ""


@dataclass(frozen=True, slots=True)
class PlaceSpec:
    """Where a sample can be. ``chamber`` is the device that conditions its air, ``rig`` the one that presses there.
    Places with one chamber are shelves in it: one air, the same detectors, each with its own cells."""

    name: str
    chamber: str | None = None
    start_temperature_c: float = 23.0
    rig: str | None = None


@dataclass(frozen=True, slots=True)
class ChannelSpec:
    """A cycler terminal, through a contactor, to the cell in a place.

    ``reaches`` are other places that its leads go to, each through a contactor of its own; ``short_resistance_ohm`` is
    that of the external short circuit there. The cell is in ``place`` until it is carried.
    """

    name: str
    place: str
    cell: CellSpec | None
    lead_resistance_ohm: float = 2e-4
    reaches: tuple[str, ...] = ()
    short_resistance_ohm: float = 2e-3


@dataclass(frozen=True, slots=True)
class SceneSpec:
    """A whole simulated bench on one plant."""

    devices: tuple[DeviceSpec, ...]
    places: tuple[PlaceSpec, ...]
    channels: tuple[ChannelSpec, ...]
    seed: int = 1
