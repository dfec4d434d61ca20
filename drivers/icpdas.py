"""What the Modbus modules of ICP DAS's M-7000 series have in common: identity, settings, blocks of analog inputs.

Addresses here are 0-based, as on the wire; the manual's number stands beside each.

Sources: M-7000 Address Mapping Rev. 1.13 (2019-01-28); I-7018(BL)(P) Quick Start Guide, "Modbus Table (M-7018, M-7018R
only)"; I-7017(F)C / M-7017C Quick Start Guide, "Modbus Table (M-7017C only)". Where they overlap they agree.

UNVERIFIED, and said so by each model's evidence: how the digits of the model stand in the two module-name registers.
The tM series' quick starts give 0x5002 (low) and 0x0700 (high) for tM-AD5C; so the four digits are looked for anywhere
in the two words.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass

from drivers.capabilities import DeviceSettings, Identity
from drivers.errors import DeviceRefused, WrongDevice
from drivers.reading import Quality, Reading
from drivers.wires import ModbusWire

AI_VALUES = 0  # 30001..30008, analog input value of channels 0 to 7
FIRMWARE = 480  # 40481 low word, 40482 high word
MODULE_NAME = 482  # 40483 low word, 40484 high word
TYPE_CODE = 486  # 40487, one for all channels
WATCHDOG_TIME = 488  # 40489, 0..255 in 0.1 s
CHANNELS_ENABLED = 489  # 40490, one bit a channel
FILTER = 258  # 00259, 0: 60 Hz rejection, 1: 50 Hz rejection
WATCHDOG_MODE = 259  # 00260, 0: as I-7000, 1: an output command clears the timeout status
WATCHDOG_ENABLE = 260  # 00261
COLD_JUNCTION = 267  # 00268, 1: cold-junction compensation on
DATA_FORMAT = 268  # 00269, 0: hexadecimal, 1: engineering
WATCHDOG_STATUS = 269  # 00270, 1: the host watchdog has timed out; write 1 to clear

#: The two ends of the 16 bits stand for what cannot be measured (see icpdas_m7018 and icpdas_m7017).
_TOP, _BOTTOM = 0x7FFF, -0x8000


class Module:
    """One module on its wire: single settings by address, and who it is."""

    def __init__(self, settings: DeviceSettings) -> None:
        self.settings = settings
        self.name = settings.name
        self.unit = settings.unit
        self.wire: ModbusWire = settings.wire

    async def register(self, address: int, doing: str, *, stop: bool = False) -> int:
        """One holding register."""
        values = await self.wire.read_registers(
            "holding", address, 1, unit=self.unit, device=self.name, doing=doing, stop=stop
        )
        return values[0]

    async def coil(self, address: int, doing: str, *, stop: bool = False) -> bool:
        """One coil."""
        values = await self.wire.read_bits(
            "coils", address, 1, unit=self.unit, device=self.name, doing=doing, stop=stop
        )
        return values[0]

    async def identify(self, model: str) -> Identity:
        """Who answers at this unit number. Raises WrongDevice if it is not ``model`` ("M-7018"), or if the bench file
        gives a serial number: these modules have none that can be read."""
        doing = "reading the module name"
        low, high = await self.wire.read_registers(
            "holding", MODULE_NAME, 2, unit=self.unit, device=self.name, doing=doing
        )
        digits = model.removeprefix("M-")
        if digits not in f"{high:04X}{low:04X}" and digits not in f"{low:04X}{high:04X}":
            raise WrongDevice(
                self.name, doing, f"unit {self.unit} calls itself {high:04X}{low:04X} (hex), not an {model},"
            )
        if self.settings.serial is not None:
            raise WrongDevice(
                self.name,
                doing,
                f"an {model} has no serial number to compare with {self.settings.serial!r}",
                f"take serial out of [devices.{self.name}] in the bench file",
            )
        try:
            words = await self.wire.read_registers(
                "holding", FIRMWARE, 2, unit=self.unit, device=self.name, doing="reading the firmware version"
            )
            firmware = f"{words[1]:04X}{words[0]:04X}"
        except DeviceRefused:
            firmware = "not told"
        return Identity("ICP DAS", model, "", firmware)


@dataclass(frozen=True, slots=True)
class InputRange:
    """One input range: its type code and how raw signed words stand for values, in both data formats.

    ``top`` is what a word at the top of the scale means.
    """

    type_code: int
    title: str
    low: float
    high: float
    per_step_hex: float
    per_step_engineering: float
    top: Quality


class AnalogInputs:
    """The used channels of one block of analog inputs, polled with one request.

    Which data format the module is set to (00269) is read at connect and followed; nothing is written to the module.
    """

    def __init__(self, settings: DeviceSettings, model: str, quantity: str, span: InputRange) -> None:
        self.module = Module(settings)
        self._model = model
        self._range = span
        points = settings.points or tuple(f"ai{index}" for index in range(8))
        numbers = sorted({int(point.removeprefix("ai")) for point in points})
        self._numbers = numbers
        self._first = numbers[0]
        self._count = numbers[-1] - numbers[0] + 1
        self.channels = tuple(f"{settings.name}.ai{number}.{quantity}" for number in numbers)
        self._layout = tuple(
            (channel, number - self._first) for channel, number in zip(self.channels, numbers, strict=True)
        )
        self._doing = f"reading {quantity.rpartition('_')[0]}s"
        self._mono_s: Callable[[], float] = settings.clock.mono_s
        self._utc_s: Callable[[], float] = settings.clock.utc_s
        self._per_step = math.nan
        self._lowest, self._highest = 1, 0

    async def connect(self) -> Identity:
        """Check module, type code, enabled channels, line filter; follow its data format. Raises WrongDevice."""
        module, span = self.module, self._range
        identity = await module.identify(self._model)
        code = await module.register(TYPE_CODE, "reading the type code")
        if code != span.type_code:
            self._refuse(
                "reading the type code",
                f"its inputs are set to type code {code:#04x}, not to {span.type_code:#04x} ({span.title})",
                f"set the module to type code {span.type_code:#04x} (register 40487)",
            )
        enabled = await module.register(CHANNELS_ENABLED, "reading which channels are enabled")
        missing = [f"ai{number}" for number in self._numbers if not enabled >> number & 1]
        if missing:
            self._refuse(
                "reading which channels are enabled",
                f"{', '.join(missing)} used by the bench file but disabled in the module",
                "enable these channels (register 40490)",
            )
        mains_hz = 50 if await module.coil(FILTER, "reading the line filter") else 60
        if mains_hz != module.settings.mains_hz:
            self._refuse(
                "reading the line filter",
                f"it filters {mains_hz} Hz where the bench file says {module.settings.mains_hz} Hz mains",
                "set the filter to the site's mains (coil 00259), or correct mains in the bench file",
            )
        self._follow(engineering=await module.coil(DATA_FORMAT, "reading the data format"))
        return identity

    def _refuse(self, doing: str, error: str, fix: str) -> None:
        raise WrongDevice(self.module.name, doing, error, fix)

    def _follow(self, *, engineering: bool) -> None:
        span = self._range
        self._per_step = span.per_step_engineering if engineering else span.per_step_hex
        self._lowest = max(round(span.low / self._per_step), _BOTTOM + 1)
        self._highest = min(round(span.high / self._per_step), _TOP - 1)

    async def read(self) -> tuple[Reading, ...]:
        """One poll: a reading a channel, in the order of ``channels``. Raises WireError, DeviceRefused."""
        module = self.module
        words = await module.wire.read_registers(
            "input", AI_VALUES + self._first, self._count, unit=module.unit, device=module.name, doing=self._doing
        )
        mono_s, utc_s = self._mono_s(), self._utc_s()
        lowest, highest, per_step = self._lowest, self._highest, self._per_step
        readings = []
        for channel, offset in self._layout:
            raw = words[offset]
            if raw > _TOP:
                raw -= 0x10000
            if lowest <= raw <= highest:
                readings.append(Reading(channel, raw * per_step, mono_s, utc_s))
            else:
                readings.append(Reading(channel, math.nan, mono_s, utc_s, self._fault(raw)))
        return tuple(readings)

    def _fault(self, raw: int) -> Quality:
        if self._lowest > self._highest:
            raise RuntimeError(f"{self.module.name} is read before connect")
        if raw == _TOP:
            return self._range.top
        return Quality.OVER_RANGE if raw > self._highest else Quality.UNDER_RANGE
