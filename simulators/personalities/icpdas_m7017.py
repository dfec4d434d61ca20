"""ICP DAS M-7017: eight voltage inputs, Modbus RTU.

Map: as the M-7018's (I-7017/18/19 manual rev B2.8), without a cold junction. Type codes: I-7000 analog input table. The
engineering format's steps are those that fit 16 bits (UNVERIFIED): 1 mV for +-10 V and +-5 V, 0.1 mV for +-1 V.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from simulators.models import Reply, SimulatorModel, Timers
from simulators.personalities.icpdas import Cell, Module, Range, analog_inputs
from simulators.personalities.noise import noise, sensor
from simulators.spec import DeviceSpec

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

INPUTS = 8
NOISE_V = 0.0003
RANGES = {
    0x09: Range(-5.0, 5.0, 5.0, 0.001),
    0x08: Range(-10.0, 10.0, 10.0, 0.001),
    0x0A: Range(-1.0, 1.0, 1.0, 0.0001),
}


class M7017:
    """Inputs ``ai0`` to ``ai7``, set up for +-5 V. An input with nothing wired reads 0 V.

    ``force`` makes an input show a voltage, ``mend`` undoes it.
    """

    def __init__(self, spec: DeviceSpec, plant: Plant, seed: int, timers: Timers) -> None:
        self.module = Module(spec, timers, number=7017, expired=lambda: None)
        self.module.before(plant.advance)
        self.type_code: Cell = analog_inputs(self.module, INPUTS, self._value, RANGES)
        self._wired: list[Callable[[], float] | None] = [None] * INPUTS
        self._forced: dict[str, float] = {}
        for point, signal in spec.points.items():
            add = noise(seed, spec.name, point, NOISE_V)
            self._wired[_channel(point)] = sensor(partial(plant.signal, signal), add)
        self.faults = self.module.faults
        self.close = self.module.close

    def answer(self, request: bytes, now_s: float) -> Reply:
        return self.module.answer(request, now_s)

    def force(self, point: str, voltage_v: float) -> None:
        """The input shows this voltage whatever the plant says."""
        _channel(point)
        self._forced[point] = voltage_v

    def mend(self, point: str) -> None:
        """The input shows the plant again."""
        self._forced.pop(point, None)

    def _value(self, channel: int) -> float:
        if self._forced and (forced := self._forced.get(f"ai{channel}")) is not None:
            return forced
        wired = self._wired[channel]
        return 0.0 if wired is None else wired()


def _channel(point: str) -> int:
    if point[:2] != "ai" or not point[2:].isdigit() or int(point[2:]) >= INPUTS:
        raise ValueError(f"an M-7017 has the points ai0 to ai{INPUTS - 1}, not {point!r}")
    return int(point[2:])


SIMULATOR = SimulatorModel(name="icpdas-m-7017", schemes=("modbus-rtu", "modbus-tcp"), create=M7017)
