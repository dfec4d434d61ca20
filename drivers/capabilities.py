"""What equipment can do, whoever made it: small protocols that drivers satisfy without inheriting anything.

Signs: charge is positive. Units are in the names. Every method may raise
:class:`drivers.errors.DeviceError`; none returns a default in place of a value that failed to arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from typing import Any, Protocol, runtime_checkable

from drivers.clock import Clock
from drivers.reading import Reading


class DeviceKind(StrEnum):
    CYCLER = "cycler"
    CHAMBER = "chamber"
    INPUTS = "inputs"
    SWITCHES = "switches"


class PointKind(StrEnum):
    """What a point of a device is, and so which roles may be bound to it."""

    TERMINAL = "terminal"  # two-quadrant DC terminal; exclusive
    AIR = "air"  # a chamber's controlled air; shared-controlled
    TEMPERATURE = "temperature"  # shared-read
    VOLTAGE = "voltage"  # shared-read
    INPUT = "input"  # two-state in; shared-read
    OUTPUT = "output"  # two-state out; exclusive


class OnCommLoss(StrEnum):
    """What takes energy away when the host falls silent."""

    DEVICE_WATCHDOG = "device_watchdog"
    DEVICE_LIMITS = "device_limits"
    EXTERNAL_RELAY = "external_relay"
    NONE = "none"


@dataclass(frozen=True, slots=True)
class Identity:
    maker: str
    model: str
    serial: str
    firmware: str


@dataclass(frozen=True, slots=True)
class Span:
    """What one quantity of a device can do: its range, its smallest step, its stated accuracy.

    ``usable_from`` is where the maker's advice begins (EA advises against running below 10 % of nominal): binding
    warns below it and refuses outside ``low..high``.
    """

    low: float
    high: float
    resolution: float
    accuracy: float | None = None
    usable_from: float | None = None


@dataclass(frozen=True, slots=True)
class Setpoints:
    """What a two-quadrant instrument regulates to, all magnitudes >= 0.

    The instrument holds ``voltage_v`` within the two currents and powers: it sources while the terminal is below
    that voltage and sinks while it is above. Charge: V = limit, sink 0. Discharge: V = cut-off, source 0.
    """

    voltage_v: float
    source_current_a: float
    sink_current_a: float
    source_power_w: float
    sink_power_w: float


@dataclass(frozen=True, slots=True)
class TerminalLimits:
    """Limits set inside the instrument before its output goes on."""

    over_voltage_v: float
    over_current_a: float  # both directions
    watchdog_s: float


@runtime_checkable
class Device(Protocol):
    """Every device.

    ``connect`` only reads: it checks who answers, against the bench file, and reports what it finds on (an output
    found on is adopted by the caller, never switched by connect). ``read`` is one poll of every channel in
    ``channels``, in that order. ``make_safe`` goes through the wire's stop lane, is idempotent, and returns only
    when read-back confirms it; ``fire`` is true after smoke, flame or gas (a chamber then goes off instead of to
    ambient).
    """

    @property
    def name(self) -> str: ...
    @property
    def channels(self) -> tuple[str, ...]: ...
    async def connect(self) -> Identity: ...
    async def read(self) -> tuple[Reading, ...]: ...
    async def make_safe(self, *, fire: bool = False) -> None: ...


@runtime_checkable
class Cycler(Device, Protocol):
    """A DC source and sink with one terminal.

    ``arm`` takes remote control, selects the mode, sets and reads back the device's own limits and its host
    watchdog; the output is off afterwards. ``apply`` writes the set values and reads them back. ``output`` switches
    the terminal and reads it back; it is never repeated blindly. ``release`` gives remote control back.
    """

    async def arm(self, limits: TerminalLimits) -> None: ...
    async def apply(self, setpoints: Setpoints) -> None: ...
    async def output(self, *, on: bool) -> None: ...
    async def release(self) -> None: ...


@runtime_checkable
class TellsOutput(Protocol):
    """A device that can be asked whether its output is on, current or not."""

    async def energised(self) -> bool: ...


@runtime_checkable
class Chamber(Device, Protocol):
    """A temperature chamber. ``run_at`` sets the setpoint and starts constant operation, both read back."""

    async def run_at(self, temperature_c: float) -> None: ...
    async def stop(self) -> None: ...


@runtime_checkable
class Switches(Device, Protocol):
    """Two-state outputs and inputs.

    ``arm_watchdog`` makes the module drop its outputs to OFF by itself after ``timeout_s`` without a request from
    the host, and reads that back. ``write`` switches one output point (``do0``) and reads it back.
    """

    async def arm_watchdog(self, timeout_s: float) -> None: ...
    async def write(self, point: str, *, on: bool) -> None: ...


@dataclass(frozen=True, slots=True)
class DeviceSettings:
    """What a driver is made from: the bench file's device entry, its wire already open-able, and a clock.

    ``wire`` is what :func:`drivers.wires.opening.make_wire` gave for ``url`` (two devices on one line share one).
    ``points`` are the points that the bench uses; inputs modules poll no others. ``rating`` holds the bench file's
    rating, keys as in the driver model's ``rating_keys``.
    """

    name: str
    wire: Any
    clock: Clock
    unit: int = 1
    serial: str | None = None
    points: tuple[str, ...] = ()
    rating: Mapping[str, float] = field(default_factory=dict)
    mains_hz: int = 50


@dataclass(frozen=True, slots=True)
class DriverModel:
    """One supported model, as the registry knows it; answers what binding asks without touching a device.

    ``spans`` maps the rating to what each quantity can do (``voltage_v``, ``current_a``, ``power_w`` for a cycler,
    ``temperature_c`` for a chamber, the measured quantity for inputs). ``evidence`` says how far the driver's claim
    goes ("manual bytes", "simulator only", ...), and is printed by ``cellbench devices``.
    """

    name: str
    title: str
    kind: DeviceKind
    schemes: tuple[str, ...]
    points: Mapping[str, PointKind]
    rating_keys: tuple[str, ...]
    min_poll_s: float
    on_comm_loss: OnCommLoss
    evidence: str
    spans: Callable[[Mapping[str, float]], Mapping[str, Span]]
    create: Callable[[DeviceSettings], Device]
    watchdog_max_s: float | None = None
    holds_reversed_cell: bool = False
