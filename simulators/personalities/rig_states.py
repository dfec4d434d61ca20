"""What a rig's PLC calls its states, reasons, faults and interlocks, and what it keeps of a stroke.

The numbers are those of the reference map.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import IntEnum

from simulators.spec import SignalKind

#: Clock in ms, position in mm, force in N, cell voltage in V.
Row = tuple[float, float, float, float]


class State(IntEnum):
    INIT, NOT_HOMED, IDLE, READY, ARMED, APPROACH, CONTACT, DRIVE, HOLD, RETRACT, DONE, STOPPED, FAULT, ESTOP = range(
        14
    )


class Reason(IntEnum):
    NONE, TARGET, VOLTAGE, FORCE, DEFORMATION, TEMPERATURE, OPERATOR, ESTOP, INTERLOCK, LINK, SERVO, OVERTRAVEL = range(
        12
    )


class Ack(IntEnum):
    OK, BUSY, INTERLOCK, BAD_PARAMETER, NOT_REMOTE, WRONG_STATE, NOT_ARMED = range(7)


class Fault(IntEnum):
    """Bits of the first fault word."""

    ESTOP, INTERLOCK, OVERTRAVEL, SERVO, FORCE, LINK, LOAD_CELL, POWER = (1 << bit for bit in range(8))


MOVING = frozenset({State.APPROACH, State.CONTACT, State.DRIVE, State.RETRACT})
IN_CONTACT = frozenset({State.CONTACT, State.DRIVE})
AFTER = frozenset({State.HOLD, State.DONE, State.STOPPED})
REST = frozenset({State.IDLE, State.READY})

#: In the order of the map's bits.
INTERLOCKS = (
    "door_closed",
    "door_locked",
    "estop_released",
    "light_curtain_clear",
    "exhaust_flow",
    "suppression_ready",
    "gas_clear",
    "servo_ready",
    "homed",
    "cell_clamped",
    "camera_recording",
    "air_pressure_ok",
    "load_cell_ok",
    "sense_connected",
)
AT_PLACE: dict[str, SignalKind] = {
    "door_closed": "door_closed",
    "door_locked": "door_locked",
    "estop_released": "estop_released",
    "exhaust_flow": "exhaust_flow",
    "gas_clear": "gas",
}
HARD = ("door_closed", "door_locked", "light_curtain_clear", "load_cell_ok")
TO_RETRACT = ("door_closed", "door_locked", "estop_released", "light_curtain_clear", "servo_ready")


@dataclass(slots=True)
class Order:
    """The parameters of a stroke, in the units of their names; None is off."""

    depth_mm: float = 0.0
    approach_mm_s: float = 0.0
    speed_mm_s: float = 0.0
    retract_mm_s: float = 0.0
    force_stop_n: float = 0.0
    voltage_stop_v: float | None = None
    thickness_mm: float = 0.0
    deformation_stop: float | None = None
    contact_force_n: float = 0.0
    hold_s: float = 0.0
    temperature_stop: float | None = None
    after_stop: float = 0.0
    link_watchdog_s: float = 0.0

    @property
    def complete(self) -> bool:
        """Whether it says enough for a stroke."""
        needed = (self.depth_mm or self.deformation_stop, self.approach_mm_s, self.speed_mm_s)
        return all(needed) and self.force_stop_n > 0.0 and self.contact_force_n > 0.0


@dataclass(slots=True)
class Shown:
    """What the sensors said at the last look."""

    position_mm: float = 0.0
    speed_mm_s: float = 0.0
    force_n: float = 0.0
    voltage_v: float = 0.0


@dataclass(slots=True)
class StrokeLog:
    """What is kept of a stroke until the next one; ``rows`` is a ring once it is full."""

    reason: Reason = Reason.NONE
    peak_force_n: float = 0.0
    contact_mm: float | None = None
    contact_s: float | None = None
    contact_voltage_v: float = 0.0
    link_lost: bool = False
    rows: list[Row] = field(default_factory=list)
    write_index: int = 0

    def keep(self, row: Row, capacity: int) -> None:
        """Add a row, over the oldest one if there is no room."""
        if len(self.rows) < capacity:
            self.rows.append(row)
        else:
            self.rows[self.write_index] = row
        self.write_index = (self.write_index + 1) % capacity
