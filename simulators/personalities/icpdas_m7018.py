"""ICP DAS M-7018: eight thermocouple inputs, Modbus RTU.

Map: I-7018 quick start p.2 (manualshive 3580649). Type codes and full scales: I-7000 analog input table and WF-2000 AIO
manual p.59. An open input reads 7FFF like one above its range: that is the M-7018R, the variant with wire-opening
detection and the same map (ICP DAS FAQ-030; the plain M-7018 does not notice).
"""

from __future__ import annotations

from functools import partial
from math import inf
from typing import TYPE_CHECKING

from simulators.models import Reply, SimulatorModel, Timers
from simulators.personalities.icpdas import Cell, Module
from simulators.personalities.icpdas_analog import AnalogInputs, Range
from simulators.personalities.noise import noise, sensor
from simulators.spec import DeviceSpec

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

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
        self.module.reads[30129] = self.module.reads[40129] = lambda: round(COLD_JUNCTION_C * 100)
        self.module.hold(268, Cell(1, most=1))
        wired = {
            point: sensor(partial(plant.signal, signal), noise(seed, spec.name, point, NOISE_K))
            for point, signal in spec.points.items()
        }
        inputs = AnalogInputs(self.module, wired, RANGES, unwired=inf)
        self.type_code, self.force, self.mend = inputs.type_code, inputs.force, inputs.mend
        self.distort = inputs.distort
        self.faults = self.module.faults
        self.close = self.module.close

    def answer(self, request: bytes, now_s: float) -> Reply:
        return self.module.answer(request, now_s)

    def open_sensor(self, point: str) -> None:
        """The thermocouple breaks."""
        self.force(point, inf)


SIMULATOR = SimulatorModel(name="icpdas-m-7018", schemes=("modbus-rtu", "modbus-tcp"), create=M7018)
