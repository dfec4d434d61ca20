"""A thermal chamber: air, walls, a PI regulator with limited ramps, and the heat of what stands inside.

    dTair/dt = ramp + heat / C_air      running: ramp = PI, between -3 and +8 K/min; off: (Twall - Tair) / 90 s
    dTwall/dt = (Tair - Twall) / 15 min + (Troom - Twall) / 6 h

While it runs the machine makes good what the walls take, and up to LOAD_W of what a cold load takes while it heats: the
ramp's bounds hold for such a chamber, so that it can follow a setpoint that rises by 5 K/min. The regulator sees the
air through a sensor. Its integral stands still while the ramp is at a bound (anti-windup).
"""

from __future__ import annotations

from math import exp

from simulators.plant.lagged import Lagged
from simulators.plant.terminal import Times

# ASSUMED, of the order of a 300 litre chamber.
HEATING_K_S = 8.0 / 60.0
COOLING_K_S = 3.0 / 60.0
AIR_J_K = 4000.0
LOAD_W = 300.0
WALL_S = 900.0
AIR_TO_WALL_S = 90.0
ROOM_S = 6 * 3600.0
SENSOR_S = 10.0
GAIN_PER_S = 1.0 / 9.5
RESET_S = 200.0
#: Closer than this to its setpoint the air counts as settled, and is put there.
SETTLED_K = 1e-3


class ChamberPlant:
    """Set ``setpoint_c`` and ``running``; read ``air_c``, what the chamber's own sensor shows.

    A fault fixes its ramp: a welded heater (``forced_k_s`` above zero) heats whatever it is told, a stalled one does
    nothing (0).
    """

    def __init__(self, times: Times, start_c: float) -> None:
        self._times = times
        self._room_c = start_c
        self._setpoint_c = start_c
        self._running = False
        self.start_c = self.end_c = start_c
        self._wall_c, self._integral_k_s = start_c, 0.0
        self._saved = (start_c, 0.0)
        self._sensor = Lagged(start_c, SENSOR_S)
        self._forced_k_s: float | None = None

    @property
    def forced_k_s(self) -> float | None:
        """The ramp that a fault fixes, in K/s; None: none."""
        return self._forced_k_s

    @forced_k_s.setter
    def forced_k_s(self, value: float | None) -> None:
        self._times.event()
        self._forced_k_s = value

    @property
    def setpoint_c(self) -> float:
        """What the air is to be brought to while running."""
        return self._setpoint_c

    @setpoint_c.setter
    def setpoint_c(self, value: float) -> None:
        if value != self._setpoint_c:
            self._times.event()
            self._setpoint_c = value

    @property
    def running(self) -> bool:
        """Whether the regulator, heater and compressor work."""
        return self._running

    @running.setter
    def running(self, value: bool) -> None:
        if value != self._running:
            self._times.event()
            self._running = value
            self._integral_k_s = 0.0

    @property
    def air_c(self) -> float:
        """What the chamber's sensor shows now."""
        return self._sensor.at(self._times.fraction())

    # Steps, taken by the plant alone

    @property
    def settled(self) -> bool:
        """Whether the air is where it is going to stay while nothing inside gives heat."""
        if self._forced_k_s is not None:
            return False
        wanted = self._setpoint_c if self._running else self._room_c
        wall = self._running or abs(self._wall_c - wanted) < SETTLED_K
        return wall and abs(self.end_c - wanted) < SETTLED_K and abs(self._sensor.end_c - wanted) < SETTLED_K

    def rest(self, dt_s: float) -> None:
        """A step of any length while settled: the air stands still, the walls go to their balance exactly."""
        wanted = self._setpoint_c if self._running else self._room_c
        self._saved = (self._wall_c, self._integral_k_s)
        balance_c = (wanted / WALL_S + self._room_c / ROOM_S) / (1.0 / WALL_S + 1.0 / ROOM_S)
        self._wall_c = balance_c + (self._wall_c - balance_c) * exp(-dt_s * (1.0 / WALL_S + 1.0 / ROOM_S))
        self._integral_k_s = 0.0
        self.start_c = self.end_c = self._sensor.start_c = self._sensor.end_c = wanted

    def step(self, dt_s: float, heat_w: float) -> None:
        """A step of at most 1 s with this heat from inside."""
        self._saved = (self._wall_c, self._integral_k_s)
        self.start_c = air = self.end_c
        if self._running:
            if heat_w < 0.0:
                heat_w = min(heat_w + LOAD_W, 0.0)
            error = self._setpoint_c - self._sensor.end_c
            ramp_k_s = GAIN_PER_S * error + self._integral_k_s
            if ramp_k_s > HEATING_K_S:
                ramp_k_s = HEATING_K_S
            elif ramp_k_s < -COOLING_K_S:
                ramp_k_s = -COOLING_K_S
            else:
                self._integral_k_s += GAIN_PER_S / RESET_S * error * dt_s
        else:
            ramp_k_s = (self._wall_c - air) / AIR_TO_WALL_S
        if self._forced_k_s is not None:
            ramp_k_s = self._forced_k_s
        self.end_c = air + (ramp_k_s + heat_w / AIR_J_K) * dt_s
        mean_c = 0.5 * (air + self.end_c)
        self._wall_c += ((mean_c - self._wall_c) / WALL_S + (self._room_c - self._wall_c) / ROOM_S) * dt_s
        self._sensor.step(dt_s, air, self.end_c)

    def rewind(self) -> None:
        """Undo the last step."""
        self._wall_c, self._integral_k_s = self._saved
        self.end_c = self.start_c
        self._sensor.rewind()
