"""How a bidirectional supply settles on a cell: hold a voltage, within a current and a power in either direction.

Pure: given a cell whose step is prepared, find the constant current of that step. The cell's voltage at the end of the
step rises with the current, so there is one answer; it takes one look at the cell while a limit holds it, and two to
four in constant voltage.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import IntEnum

from simulators.plant.shunt import Electrodes

_CLOSE_V = 1e-8
_CLOSE_OF_POWER = 1e-9


class Mode(IntEnum):
    """What held the current."""

    IDLE = 0
    VOLTAGE = 1
    SOURCE_LIMIT = 2
    SINK_LIMIT = 3


@dataclass(frozen=True, slots=True)
class Setting:
    """The instrument's set values. Currents and powers are magnitudes; powers hold at its own terminals."""

    on: bool
    voltage_v: float
    source_a: float
    sink_a: float
    source_w: float
    sink_w: float


class Regulation:
    """One instrument on one cell. ``sign`` is -1 for a cell whose leads are swapped; currents and voltages are the
    instrument's. ``cell`` may be changed between steps for one with shunts. After ``settle`` the answer is in
    ``current_a``, ``voltage_v`` (at the end of the step) and ``mode``.
    """

    __slots__ = ("_lead_ohm", "_sign", "cell", "current_a", "mode", "voltage_v")

    def __init__(self, cell: Electrodes, sign: float, lead_ohm: float, voltage_v: float) -> None:
        self.cell = cell
        self._sign = sign
        self._lead_ohm = lead_ohm
        self.current_a = 0.0
        self.voltage_v = sign * voltage_v
        self.mode = Mode.IDLE

    def idle(self) -> None:
        """No current in this step."""
        self.current_a = 0.0
        self.voltage_v = self._sign * self.cell.voltage(0.0)
        self.mode = Mode.IDLE

    def settle(self, setting: Setting) -> None:
        """Find this step's current, beginning with what held the last one."""
        if self.mode is Mode.VOLTAGE and self._follow_voltage(setting):
            return
        if self.mode is Mode.SINK_LIMIT:
            held = self._try_sink(setting) or self._try_source(setting)
        else:
            held = self._try_source(setting) or self._try_sink(setting)
        if not held:
            self._find_voltage(setting)

    def _volts(self, current_a: float) -> float:
        return self._sign * self.cell.voltage(self._sign * current_a)

    def _try_source(self, setting: Setting) -> bool:
        """Whether the cell stays at or below the set voltage with all that the instrument may give."""
        current = setting.source_a
        volts = self._volts(current)
        if current * (volts + current * self._lead_ohm) > setting.source_w:
            current, volts = self._at_power(setting.source_w, current, 1.0)
        if volts > setting.voltage_v:
            return False
        self.current_a, self.voltage_v, self.mode = current, volts, Mode.SOURCE_LIMIT
        return True

    def _try_sink(self, setting: Setting) -> bool:
        """Whether the cell stays at or above the set voltage with all that the instrument may take."""
        current = setting.sink_a
        volts = self._volts(-current)
        if current * (volts - current * self._lead_ohm) > setting.sink_w:
            current, volts = self._at_power(setting.sink_w, current, -1.0)
        if volts < setting.voltage_v:
            return False
        self.current_a, self.voltage_v, self.mode = -current, volts, Mode.SINK_LIMIT
        return True

    def _at_power(self, watts: float, most_a: float, direction: float) -> tuple[float, float]:
        """The current between 0 and ``most_a`` at which the instrument gives or takes ``watts``, and the volts."""
        low, high = 0.0, most_a
        current = min(max(watts / max(self.voltage_v, 0.1), low), high)
        volts = self._volts(direction * current)
        for _ in range(60):
            ohm = self.cell.slope_ohm + self._lead_ohm
            at_instrument_v = volts + direction * current * self._lead_ohm
            excess = current * at_instrument_v - watts
            if abs(excess) <= _CLOSE_OF_POWER * watts:
                break
            if excess > 0.0:
                high = current
            else:
                low = current
            slope = at_instrument_v + direction * current * ohm
            following = current - excess / slope if slope > 0.0 else low
            current = following if low < following < high else (low + high) / 2.0
            volts = self._volts(direction * current)
        return current, volts

    def _follow_voltage(self, setting: Setting) -> bool:
        """Go on holding the voltage from the last current; False when that leads out of the limits."""
        current = self.current_a
        for _ in range(8):
            volts = self._volts(current)
            error = volts - setting.voltage_v
            if -_CLOSE_V < error < _CLOSE_V:
                power = current * (volts + current * self._lead_ohm)
                if power > setting.source_w or -power > setting.sink_w:
                    return False
                self.current_a, self.voltage_v = current, setting.voltage_v
                return True
            current -= error / self.cell.slope_ohm
            if current > setting.source_a or -current > setting.sink_a:
                return False
        return False

    def _find_voltage(self, setting: Setting) -> None:
        """Hold the voltage, known to lie between the two limits."""
        low, high = -setting.sink_a, setting.source_a
        current = min(max(self.current_a, low), high)
        for _ in range(80):
            error = self._volts(current) - setting.voltage_v
            if -_CLOSE_V < error < _CLOSE_V:
                break
            if error > 0.0:
                high = current
            else:
                low = current
            following = current - error / self.cell.slope_ohm
            current = following if low < following < high else (low + high) / 2.0
        self.current_a, self.voltage_v, self.mode = current, setting.voltage_v, Mode.VOLTAGE
