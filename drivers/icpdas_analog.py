"""The analog-input modules of ICP DAS's M-7000 series: eight channels of one range, over Modbus.

A model is an :class:`AnalogModule`, one page of the manual as a table (icpdas_m7017, icpdas_m7018). The module must be
set to that page's type code, the used channels enabled, its filter on the site's mains frequency and, for
thermocouples, its cold-junction compensation on; connect checks this and writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from functools import partial

from drivers.capabilities import (
    DeviceKind,
    DeviceSettings,
    DriverModel,
    Identity,
    OnCommLoss,
    PointKind,
    Span,
)
from drivers.errors import WrongDevice
from drivers.icpdas import AI_VALUES, CHANNELS_ENABLED, COLD_JUNCTION, DATA_FORMAT, FILTER, TYPE_CODE, Module
from drivers.reading import Quality, Reading

POINTS = tuple(f"ai{index}" for index in range(8))

#: The two ends of the 16 bits stand for what cannot be measured (see icpdas_m7018 and icpdas_m7017).
_TOP, _BOTTOM = 0x7FFF, -0x8000


@dataclass(frozen=True, slots=True, kw_only=True)
class AnalogModule:
    """One model, used in one range. ``low`` and ``high`` are in the unit that ``quantity`` names.

    The two steps say what one count of the raw signed word stands for in either data format; ``top`` is what a word
    at the top of the scale means.
    """

    model: str
    title: str
    point: PointKind
    quantity: str
    type_code: int
    range_title: str
    low: float
    high: float
    hexadecimal_step: float
    engineering_step: float
    top: Quality
    evidence: str

    def driver_model(self) -> DriverModel:
        """The model as the registry knows it."""
        return DriverModel(
            name=f"icpdas-{self.model.lower()}",
            title=f"ICP DAS {self.model}, {self.title}",
            kind=DeviceKind.INPUTS,
            schemes=("modbus-rtu", "modbus-tcp"),
            points=dict.fromkeys(POINTS, self.point),
            rating_keys=(),
            min_poll_s=0.8,
            on_comm_loss=OnCommLoss.NONE,
            evidence=self.evidence,
            spans=self._spans,
            create=partial(AnalogInputs, self),
        )

    def _spans(self, _rating: Mapping[str, float]) -> Mapping[str, Span]:
        return {self.quantity: Span(self.low, self.high, resolution=self.engineering_step)}


class AnalogInputs:
    """A :class:`drivers.capabilities.Device`: the used channels of one module, polled with one request.

    Which data format the module is set to (00269) is read at connect and followed; nothing is written to the module.
    """

    def __init__(self, page: AnalogModule, settings: DeviceSettings) -> None:
        self._page = page
        self._module = Module(settings)
        points = settings.points or POINTS
        numbers = sorted({int(point.removeprefix("ai")) for point in points})
        self._numbers = numbers
        self._first = numbers[0]
        self._count = numbers[-1] - numbers[0] + 1
        self._channels = tuple(f"{settings.name}.ai{number}.{page.quantity}" for number in numbers)
        self._layout = tuple(
            (channel, number - self._first) for channel, number in zip(self._channels, numbers, strict=True)
        )
        self._doing = f"reading {page.point}s"
        self._mono_s: Callable[[], float] = settings.clock.mono_s
        self._utc_s: Callable[[], float] = settings.clock.utc_s
        self._per_step = math.nan
        self._lowest, self._highest = 1, 0

    @property
    def name(self) -> str:
        return self._module.name

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    async def connect(self) -> Identity:
        """Check module, type code, enabled channels, line filter, cold junction; follow its data format.

        Raises WireError, DeviceRefused, WrongDevice.
        """
        module, page = self._module, self._page
        identity = await module.identify(page.model)
        code = await module.register(TYPE_CODE, "reading the type code")
        if code != page.type_code:
            self._refuse(
                "reading the type code",
                f"its inputs are set to type code {code:#04x}, not to {page.type_code:#04x} ({page.range_title})",
                f"set the module to type code {page.type_code:#04x} (register 40487)",
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
        doing = "reading the cold-junction compensation"
        if page.point is PointKind.TEMPERATURE and not await module.coil(COLD_JUNCTION, doing):
            self._refuse(doing, "its cold-junction compensation is off", "switch it on in the module (coil 00268)")
        return identity

    def _refuse(self, doing: str, error: str, fix: str) -> None:
        raise WrongDevice(self.name, doing, error, fix)

    def _follow(self, *, engineering: bool) -> None:
        page = self._page
        self._per_step = page.engineering_step if engineering else page.hexadecimal_step
        self._lowest = max(round(page.low / self._per_step), _BOTTOM + 1)
        self._highest = min(round(page.high / self._per_step), _TOP - 1)

    async def read(self) -> tuple[Reading, ...]:
        """One poll: a reading a channel, in the order of ``channels``. Raises WireError, DeviceRefused."""
        module = self._module
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

    async def make_safe(self, *, fire: bool = False) -> None:
        """Nothing to do: inputs take and give no energy."""

    def _fault(self, raw: int) -> Quality:
        if self._lowest > self._highest:
            raise RuntimeError(f"{self.name} is read before connect")
        if raw == _TOP:
            return self._page.top
        return Quality.OVER_RANGE if raw > self._highest else Quality.UNDER_RANGE
