"""ICP DAS M-7002: five digital inputs, four relay outputs, four analog inputs, Modbus RTU.

Map: M-7000 Address Mapping rev 1.11 and 1.13: outputs 00001-00004, inputs 10033-10037, safe values 00129-00132,
power-on values 00193-00196, watchdog 00260, 00261, 00270, 40489. Nothing is wired to the analog inputs: they read 0.
Latches, counters and alarms of the map are not simulated (exception 02).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

from simulators.models import Reply, SimulatorModel, Timers
from simulators.personalities.icpdas import Cell, Module, number_of
from simulators.spec import DeviceSpec, Signal

if TYPE_CHECKING:
    from simulators.plant.plant import Plant

INPUTS, OUTPUTS, ANALOG = 5, 4, 4
PLUS_MINUS_10_V = 0x08


class M7002:
    """Inputs ``di0`` to ``di4``, outputs ``do0`` to ``do3``. An input with nothing wired is off.

    An output drives what it is wired to. ``force`` makes an input show 1 or 0, ``mend`` undoes it.
    """

    def __init__(self, spec: DeviceSpec, plant: Plant, _seed: int, timers: Timers) -> None:
        self.module = module = Module(spec, timers, number=7002, expired=self._to_safe_values)
        module.before(plant.advance)
        self._plant = plant
        self._forced: dict[str, int] = {}
        self._inputs: list[Callable[[], float] | None] = [None] * INPUTS
        self._coils: list[Signal | None] = [None] * OUTPUTS
        for point, signal in spec.points.items():
            if point[:2] == "do":
                self._coils[number_of(point, "do", OUTPUTS)] = signal
            else:
                self._inputs[number_of(point, "di", INPUTS)] = partial(plant.signal, signal)
        self.outputs = [0] * OUTPUTS
        self.safe = [Cell(0, most=1) for _ in range(OUTPUTS)]
        for at in range(OUTPUTS):
            module.reads[1 + at] = partial(self.outputs.__getitem__, at)
            module.writes[1 + at] = partial(self._write, at)
            module.hold(129 + at, self.safe[at])
            module.hold(193 + at, Cell(0, most=1))
        for at in range(INPUTS):
            module.reads[10033 + at] = partial(self._read, at)
        for at in range(ANALOG):
            module.reads[30001 + at] = module.reads[40001 + at] = lambda: 0
            module.hold(40257 + at, Cell(PLUS_MINUS_10_V))
        self.faults = module.faults
        self.close = module.close

    def answer(self, request: bytes, now_s: float) -> Reply:
        return self.module.answer(request, now_s)

    def force(self, point: str, *, on: bool) -> None:
        """The input shows this whatever is wired to it."""
        number_of(point, "di", INPUTS)
        self._forced[point] = int(on)

    def mend(self, point: str) -> None:
        """The input shows what is wired to it again."""
        self._forced.pop(point, None)

    def restart(self) -> None:
        """Power came back: outputs take their power-on values."""
        self._plant.advance(self.module.timers.time())
        self.module.restart()
        for at in range(OUTPUTS):
            self._drive(at, self.module.reads[193 + at]())

    def _read(self, at: int) -> int:
        if self._forced and (forced := self._forced.get(f"di{at}")) is not None:
            return forced
        wired = self._inputs[at]
        return 0 if wired is None else int(wired() > 0.5)

    def _write(self, at: int, value: int) -> None:
        if self.module.timed_out:
            if self.module.watchdog_mode.value == 0:
                return
            self.module.timed_out = False
        self._drive(at, value)

    def _drive(self, at: int, value: int) -> None:
        self.outputs[at] = value
        coil = self._coils[at]
        if coil is not None:
            self._plant.drive(coil, on=bool(value))

    def _to_safe_values(self) -> None:
        self._plant.advance(self.module.timers.time())
        for at, safe in enumerate(self.safe):
            self._drive(at, safe.value)


SIMULATOR = SimulatorModel(name="icpdas-m-7002", schemes=("modbus-rtu", "modbus-tcp"), create=M7002)
