"""The analog-input modules of ICP DAS's M-7000 series: eight channels of one range, over Modbus.

A model is an :class:`AnalogModule`, one page of the manual as a table (icpdas_m7017, icpdas_m7018). The module must be
set to that page's type code, the used channels enabled, its filter on the site's mains frequency and, for
thermocouples, its cold-junction compensation on; connect checks this and writes nothing.
"""

from __future__ import annotations

import math
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass
from functools import partial
from typing import NoReturn

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
from drivers.rounds import Look, Rounds

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
        self._engineering = False
        self._rounds = Rounds(2)

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
        identity = await self._module.identify(self._page.model)
        for check in (self._check_type, self._check_enabled, self._check_filter):
            await check()
        self._follow(engineering=await self._is_engineering())
        await self._check_cold_junction()
        return identity

    async def deviations(self) -> tuple[str, ...]:
        """How the module differs now from what connect found: data format, type code, channels, filter, cold junction,
        or another module in its place.

        Two requests a call, everything within three calls. Raises WireError, DeviceRefused.
        """
        checks = (self._check_format, self._check_type, self._check_enabled, self._check_filter)
        looks: dict[str, Look] = {
            check.__name__: partial(_told, check) for check in (*checks, self._check_cold_junction, self._check_name)
        }
        return await self._rounds.go((), looks)

    async def _check_name(self) -> None:
        doing = "looking for deviations"
        found = await self._module.named_otherwise(self._page.model, doing)
        if found is not None:
            error = f"unit {self._module.unit} calls itself {found} (hex) now, not an {self._page.model}"
            self._refuse(doing, error, "find out who changed the module")

    async def _check_format(self) -> None:
        engineering = await self._is_engineering()
        if engineering != self._engineering:
            names = ("hexadecimal", "engineering")
            error = f"its data format is {names[engineering]} now, it was {names[self._engineering]}"
            self._refuse("reading the data format", error, "set coil 00269 back, and leave it alone during a run")

    async def _is_engineering(self) -> bool:
        return await self._module.coil(DATA_FORMAT, "reading the data format")

    async def _check_type(self) -> None:
        page, doing = self._page, "reading the type code"
        code = await self._module.register(TYPE_CODE, doing)
        if code != page.type_code:
            self._refuse(
                doing,
                f"its inputs are set to type code {code:#04x}, not to {page.type_code:#04x} ({page.range_title})",
                f"set the module to type code {page.type_code:#04x} (register 40487)",
            )

    async def _check_enabled(self) -> None:
        doing = "reading which channels are enabled"
        enabled = await self._module.register(CHANNELS_ENABLED, doing)
        missing = [f"ai{number}" for number in self._numbers if not enabled >> number & 1]
        if missing:
            error = f"{', '.join(missing)} used by the bench file but disabled in the module"
            self._refuse(doing, error, "enable these channels (register 40490)")

    async def _check_filter(self) -> None:
        doing, wanted_hz = "reading the line filter", self._module.settings.mains_hz
        mains_hz = 50 if await self._module.coil(FILTER, doing) else 60
        if mains_hz != wanted_hz:
            error = f"it filters {mains_hz} Hz where the bench file says {wanted_hz} Hz mains"
            fix = "set the filter to the site's mains (coil 00259), or correct mains in the bench file"
            self._refuse(doing, error, fix)

    async def _check_cold_junction(self) -> None:
        doing = "reading the cold-junction compensation"
        if self._page.point is PointKind.TEMPERATURE and not await self._module.coil(COLD_JUNCTION, doing):
            self._refuse(doing, "its cold-junction compensation is off", "switch it on in the module (coil 00268)")

    def _refuse(self, doing: str, error: str, fix: str) -> NoReturn:
        raise WrongDevice(self.name, doing, error, fix)

    def _follow(self, *, engineering: bool) -> None:
        page = self._page
        self._engineering = engineering
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


async def _told(check: Callable[[], Awaitable[None]]) -> str | None:
    """What a check refuses, as words."""
    try:
        await check()
    except WrongDevice as error:
        return error.faults[0].error
    return None
