"""What a rig's PLC has wired to its inputs: load cell, encoder, cell voltage, thermocouples and the interlocks."""

from __future__ import annotations

from math import inf, isnan
from typing import TYPE_CHECKING

from simulators.personalities.noise import noise
from simulators.personalities.rig_states import AT_PLACE, INTERLOCKS, Shown
from simulators.spec import Signal

if TYPE_CHECKING:
    from simulators.plant.plant import Plant
    from simulators.plant.press import Press

#: Standard deviations (ASSUMED).
FORCE_NOISE_N, VOLTAGE_NOISE_V = 2.0, 2e-4


class Sensors:
    """``shown`` is what they said at the last ``look``. ``healthy`` opens an interlock where it is set to False;
    ``homed``, ``servo_ok`` and ``camera_on`` are the PLC's own."""

    def __init__(self, plant: Plant, place: str, press: Press, seed: int, name: str) -> None:
        self.shown = Shown()
        self.healthy = dict.fromkeys(INTERLOCKS, True)
        self.homed = self.servo_ok = True
        self.camera_on = False
        self.temperatures: tuple[Signal, ...] = ()
        self._plant = plant
        self._place = place
        self._press = press
        self._force_noise = noise(seed, name, "force", FORCE_NOISE_N)
        self._voltage_noise = noise(seed, name, "voltage", VOLTAGE_NOISE_V)
        self._zero_n = 0.0

    def look(self) -> None:
        """Measure. The plant has been advanced."""
        press, shown = self._press, self.shown
        shown.position_mm = press.shown_position_mm
        shown.force_n = press.clipped_n(self._force_noise(press.force_n + press.drift_n)) - self._zero_n
        shown.voltage_v = self._cell_voltage_v()

    def zero_force(self) -> None:
        """What the load cell shows now counts as nothing."""
        self._zero_n = self._press.shown_force_n

    def hottest_c(self) -> float:
        """Of the thermocouples that are not lost; minus infinity without one."""
        shown = (self._plant.signal(wired) for wired in self.temperatures)
        return max((value for value in shown if not isnan(value)), default=-inf)

    def interlock(self, name: str) -> bool:
        """Whether an interlock is healthy."""
        if not self.healthy[name]:
            return False
        kind = AT_PLACE.get(name)
        if kind is not None:
            return self._plant.signal(Signal(kind, self._place)) > 0.5
        if name == "servo_ready":
            return self.servo_ok
        if name == "homed":
            return self.homed
        if name == "camera_recording":
            return self.camera_on
        if name in ("cell_clamped", "sense_connected"):
            return self._press.surface_mm is not None
        return True

    def _cell_voltage_v(self) -> float:
        for terminal in self._plant.place(self._place).terminals:
            if terminal.cell is not None:
                return self._voltage_noise(terminal.cell_voltage_at(self._place))
        return 0.0
