"""ICP DAS M-7017: eight voltage inputs, Modbus RTU.

Map: as the M-7018's (I-7017/18/19 manual rev B2.8), without a cold junction. Type codes: I-7000 analog input table. The
engineering format's steps are those that fit 16 bits (UNVERIFIED): 1 mV for +-10 V and +-5 V, 0.1 mV for +-1 V.
"""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING

from simulators.models import Reply, SimulatorModel, Timers
from simulators.personalities.icpdas import Module
from simulators.personalities.icpdas_analog import AnalogInputs, Range
from simulators.personalities.noise import noise, sensor
from simulators.spec import DeviceSpec

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

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
        wired = {
            point: sensor(partial(plant.signal, signal), noise(seed, spec.name, point, NOISE_V))
            for point, signal in spec.points.items()
        }
        inputs = AnalogInputs(self.module, wired, RANGES, unwired=0.0)
        self.type_code, self.force, self.mend = inputs.type_code, inputs.force, inputs.mend
        self.distort = inputs.distort
        self.faults = self.module.faults
        self.close = self.module.close

    def answer(self, request: bytes, now_s: float) -> Reply:
        return self.module.answer(request, now_s)


SIMULATOR = SimulatorModel(name="icpdas-m-7017", schemes=("modbus-rtu", "modbus-tcp"), create=M7017)
