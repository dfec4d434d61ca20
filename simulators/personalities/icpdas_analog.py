"""What the ICP DAS modules with analog inputs share: type codes, both formats' words, wired and forced inputs.

Type codes, full scales and formats: I-7000 analog input table; 40487 and 40490: I-7017/18/19 manual rev B2.8.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial
from math import isnan

from simulators.personalities.icpdas import ENGINEERING, ILLEGAL_VALUE, Cell, ModbusError, Module, number_of

INPUTS = 8


@dataclass(frozen=True, slots=True)
class Range:
    """One type code: what full scale means in the two's complement format, and the step of the engineering one."""

    low: float
    high: float
    full_scale: float
    step: float

    def word(self, value: float, data_format: int) -> int:
        """The register's value, signed; 7FFF above the range or for an open sensor (NaN), and 8000 below the range, in
        either format."""
        if value > self.high or isnan(value):
            return 0x7FFF
        if value < self.low:
            return -0x8000
        scaled = value / self.step if data_format == ENGINEERING else value / self.full_scale * 0x7FFF
        return max(-0x8000, min(0x7FFF, round(scaled)))


class AnalogInputs:
    """Inputs ``ai0`` to ``ai7`` of one type code each (40487), with channels that can be disabled (40490).

    ``wired`` says what each wired point shows; any other shows ``unwired``. ``force`` goes before both, ``distort``
    after. A disabled channel reads 0 (ASSUMED). ``type_code`` starts at the first of ``ranges``.
    """

    def __init__(
        self, module: Module, wired: Mapping[str, Callable[[], float]], ranges: Mapping[int, Range], *, unwired: float
    ) -> None:
        self._module = module
        self._ranges = ranges
        self._unwired = unwired
        self._wired: list[Callable[[], float] | None] = [None] * INPUTS
        for point, shown in wired.items():
            self._wired[number_of(point, "ai", INPUTS)] = shown
        self._forced: dict[int, float] = {}
        self._distorted: dict[int, Callable[[float], float]] = {}
        self._enabled = Cell((1 << INPUTS) - 1, most=(1 << INPUTS) - 1)
        self.type_code = Cell(next(iter(ranges)))
        for channel in range(INPUTS):
            module.reads[30001 + channel] = module.reads[40001 + channel] = partial(self._word, channel)
        module.reads[40487] = self.type_code.read
        module.writes[40487] = self._choose
        module.hold(40490, self._enabled)

    def force(self, point: str, value: float) -> None:
        """The input shows this value whatever is wired to it."""
        self._forced[number_of(point, "ai", INPUTS)] = value

    def distort(self, point: str, by: Callable[[float], float]) -> None:
        """The input shows this function of what is wired to it."""
        self._distorted[number_of(point, "ai", INPUTS)] = by

    def mend(self, point: str) -> None:
        """The input shows what is wired to it again."""
        self._forced.pop(number_of(point, "ai", INPUTS), None)
        self._distorted.pop(number_of(point, "ai", INPUTS), None)

    def _choose(self, code: int) -> None:
        if code not in self._ranges:
            raise ModbusError(ILLEGAL_VALUE)
        self.type_code.value = code

    def _word(self, channel: int) -> int:
        if not self._enabled.value >> channel & 1:
            return 0
        return self._ranges[self.type_code.value].word(self._value(channel), self._module.format.value)

    def _value(self, channel: int) -> float:
        if self._forced and (forced := self._forced.get(channel)) is not None:
            return forced
        wired = self._wired[channel]
        value = self._unwired if wired is None else wired()
        if self._distorted and (distorted := self._distorted.get(channel)) is not None:
            return distorted(value)
        return value
