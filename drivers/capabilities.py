"""What equipment can do, whoever made it: small protocols that drivers satisfy without inheriting anything.

Signs: charge is positive. Units are in the names. Every method may raise
:class:`drivers.errors.DeviceError`; none returns a default in place of a value that failed to arrive.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Mapping
from dataclasses import dataclass, field
from enum import IntEnum, StrEnum
from typing import Any, Literal, NamedTuple, Protocol, runtime_checkable

from drivers.clock import Clock
from drivers.reading import Reading


class DeviceKind(StrEnum):
    CYCLER = "cycler"
    CHAMBER = "chamber"
    INPUTS = "inputs"
    SWITCHES = "switches"
    RIG = "rig"


class PointKind(StrEnum):
    """What a point of a device is, and so which roles may be bound to it."""

    TERMINAL = "terminal"  # two-quadrant DC terminal; exclusive
    AIR = "air"  # a chamber's controlled air; shared-controlled
    TEMPERATURE = "temperature"  # shared-read
    VOLTAGE = "voltage"  # shared-read
    INPUT = "input"  # two-state in; shared-read
    OUTPUT = "output"  # two-state out; exclusive
    ACTUATOR = "actuator"  # a nail or a platen; exclusive
    PRESSURE = "pressure"  # shared-read
    MASS = "mass"  # shared-read
    LEVEL = "level"  # any other number, in the unit that its profile names; shared-read


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
class TellsDeviations(Protocol):
    """A device that can be asked whether it still is as it was armed and set.

    ``deviations`` says in words what differs now: a set value or limit that reads back otherwise, remote control lost,
    an output that its own protection switched off (with the alarms), a restart; empty when nothing does. It only
    reads, one or two exchanges a call, and goes round so that a few calls look at everything.
    """

    async def deviations(self) -> tuple[str, ...]: ...


@runtime_checkable
class Closes(Protocol):
    """A device with a task of its own. ``close`` ends it, before the device's wire is closed. Idempotent."""

    async def close(self) -> None: ...


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


@runtime_checkable
class SwitchesSome(Protocol):
    """A module whose outputs serve several runs. ``make_some_safe`` is ``make_safe`` for these outputs and no others,
    through the stop lane too; what another run has switched on stays as it is."""

    async def make_some_safe(self, points: Collection[str], *, fire: bool = False) -> None: ...


class RigState(IntEnum):
    """What a rig is doing. Its value is what ``<name>.nail.state`` reads."""

    INIT = 0
    NOT_HOMED = 1
    IDLE = 2
    READY = 3
    ARMED = 4
    APPROACH = 5
    CONTACT = 6
    DRIVE = 7
    HOLD = 8
    RETRACT = 9
    DONE = 10
    STOPPED = 11
    FAULT = 12
    ESTOP = 13

    @property
    def moving(self) -> bool:
        return self in (RigState.APPROACH, RigState.CONTACT, RigState.DRIVE, RigState.RETRACT)


class StopReason(IntEnum):
    """Why a rig's stroke ended, as the rig says."""

    NONE = 0
    TARGET = 1
    VOLTAGE = 2
    FORCE = 3
    DEFORMATION = 4
    TEMPERATURE = 5
    OPERATOR = 6
    ESTOP = 7
    INTERLOCK = 8
    LINK = 9
    SERVO = 10
    OVERTRAVEL = 11


@dataclass(frozen=True, slots=True)
class Stroke:
    """What a rig is told before it is armed. Depth counts from contact; None is no stop by that quantity."""

    tool: Literal["nail", "crush"]
    depth_mm: float
    speed_mm_s: float
    approach_mm_s: float
    retract_mm_s: float
    thickness_mm: float
    contact_force_n: float
    force_stop_n: float
    link_watchdog_s: float
    deformation_stop: float | None = None  # part of the thickness
    voltage_stop_v: float | None = None  # stops at or below it


@dataclass(frozen=True, slots=True)
class RigStatus:
    """One fresh look at a rig. ``contact_mm`` and ``since_contact_s`` are None before contact; ``open_interlocks``
    names those that are not healthy; ``link_lost`` says that the stroke went on without the host."""

    state: RigState
    reason: StopReason
    position_mm: float
    force_n: float
    peak_force_n: float
    contact_mm: float | None
    since_contact_s: float | None
    contact_voltage_v: float | None
    open_interlocks: tuple[str, ...]
    link_lost: bool
    remote: bool


class BurstRow(NamedTuple):
    """One row of a rig's ring buffer. ``mono_s`` is on the host's loop clock, by the offset measured."""

    mono_s: float
    position_mm: float
    force_n: float
    voltage_v: float


@dataclass(frozen=True, slots=True)
class Burst:
    """A rig's ring buffer after a stroke, in order of time. ``offset_within_s`` is the half-width of the clock offset's
    uncertainty: at most half the shortest exchange's round trip, plus one tick of the rig's clock."""

    rows: tuple[BurstRow, ...]
    offset_within_s: float


@runtime_checkable
class Rig(Device, Protocol):
    """A penetration or crush rig. What moves can hurt: its own door lock, E-stop and drive enable are the safety.

    Its channels begin with ``<name>.nail.position_mm``, ``.speed_mm_s``, ``.force_n``, ``.voltage_v``, ``.state``
    (a :class:`RigState` value) and go on with the used points. ``prepare`` writes a stroke and reads it back.
    ``arm`` and ``start`` are two commands, each acknowledged; from ``arm`` on a task of the driver's own keeps the
    rig's link watchdog fed, until ``disarm``, ``stop`` or the end of the stroke. ``stop`` goes through the stop lane
    and returns once nothing moves; the tool stays where it is. ``retract`` is never called by anything but a person's
    decision. ``make_safe`` disarms, and stops a motion that has not made contact; a stroke in contact is left to the
    rig, which finishes and holds. ``exhaust`` and ``camera`` switch the rig's own outputs.
    """

    async def prepare(self, stroke: Stroke) -> None: ...
    async def arm(self) -> None: ...
    async def start(self) -> None: ...
    async def stop(self) -> None: ...
    async def disarm(self) -> None: ...
    async def retract(self) -> None: ...
    async def exhaust(self, *, on: bool) -> None: ...
    async def camera(self, *, on: bool) -> None: ...
    async def status(self) -> RigStatus: ...
    async def burst(self) -> Burst: ...


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
    #: For a model whose registers a profile describes: the model with that profile's points. Takes the profile's text
    #: and where it stands; raises ConfigError with every fault. Without a profile such a model has no points.
    with_profile: Callable[[str, str], DriverModel] | None = None
