"""ICP DAS M-7018: eight thermocouple inputs, Modbus RTU.

Map: I-7018 quick start p.2 (manualshive 3580649). Type codes and full scales: I-7000 analog input table and WF-2000 AIO
manual p.59. An open input reads 7FFF like one above its range: that is the M-7018R, the variant with wire-opening
detection and the same map (ICP DAS FAQ-030; the plain M-7018 does not notice).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from math import inf
from typing import TYPE_CHECKING

from simulators.models import Reply, SimulatorModel, Timers
from simulators.personalities.icpdas import Cell, Module, Range, analog_inputs
from simulators.personalities.noise import noise, sensor
from simulators.spec import DeviceSpec

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

INPUTS = 8
NOISE_K = 0.05
#: The cold junction sits in the cabinet; 40129/30129 gives it in 0.01 degC (ASSUMED 28 degC).
COLD_JUNCTION_C = 28.0
RANGES = {
    0x0F: Range(-270.0, 1372.0, 1372.0, 0.1),  # K
    0x0E: Range(-210.0, 760.0, 760.0, 0.1),  # J
    0x10: Range(-270.0, 400.0, 400.0, 0.1),  # T
    0x11: Range(-270.0, 1000.0, 1000.0, 0.1),  # E
}


class M7018:
    """Inputs ``ai0`` to ``ai7``, set up for type K. An input with nothing wired is open.

    ``open_sensor`` breaks a thermocouple, ``force`` makes an input show a temperature, ``mend`` undoes both.
    """

    def __init__(self, spec: DeviceSpec, plant: Plant, seed: int, timers: Timers) -> None:
        self.module = Module(spec, timers, number=7018, expired=lambda: None)
        self.module.before(plant.advance)
        self.type_code: Cell = analog_inputs(self.module, INPUTS, self._value, RANGES)
        self.module.reads[30129] = self.module.reads[40129] = lambda: round(COLD_JUNCTION_C * 100)
        self.module.hold(268, Cell(1, most=1))
        self._wired: list[Callable[[], float] | None] = [None] * INPUTS
        self._forced: dict[str, float] = {}
        for point, signal in spec.points.items():
            add = noise(seed, spec.name, point, NOISE_K)
            self._wired[_channel(point)] = sensor(partial(plant.signal, signal), add)
        self.faults = self.module.faults
        self.close = self.module.close

    def answer(self, request: bytes, now_s: float) -> Reply:
        return self.module.answer(request, now_s)

    def open_sensor(self, point: str) -> None:
        """The thermocouple breaks."""
        self.force(point, inf)

    def force(self, point: str, temperature_c: float) -> None:
        """The input shows this temperature whatever the plant says."""
        _channel(point)
        self._forced[point] = temperature_c

    def mend(self, point: str) -> None:
        """The input shows the plant again."""
        self._forced.pop(point, None)

    def _value(self, channel: int) -> float:
        if self._forced and (forced := self._forced.get(f"ai{channel}")) is not None:
            return forced
        wired = self._wired[channel]
        return inf if wired is None else wired()


def _channel(point: str) -> int:
    if point[:2] != "ai" or not point[2:].isdigit() or int(point[2:]) >= INPUTS:
        raise ValueError(f"an M-7018 has the points ai0 to ai{INPUTS - 1}, not {point!r}")
    return int(point[2:])


SIMULATOR = SimulatorModel(name="icpdas-m-7018", schemes=("modbus-rtu", "modbus-tcp"), create=M7018)
