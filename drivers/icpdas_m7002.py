"""ICP DAS M-7002-class I/O: five inputs and four relay outputs with a host watchdog of their own, over Modbus.

Outputs at 00001-00004, inputs at 10033-10037, safe values at 00129-00132, power-on values at 00193-00196, host watchdog
at 00260 (mode), 00261 (enable), 00270 (timeout status, write 1 to clear) and 40489 (0..255 in 0.1 s) [M-7000 Address
Mapping Rev. 1.13, "M-7002"].

When the host watchdog times out, every output goes to its safe value, the timeout status is set, and output commands
are ignored until it is cleared [Getting Started for I-7000 Series Modules V1.02, 5.2 and 5.4; I-7000 DIO Manual Rev.
B1.2, 3.3 and 3.5]. Mode 0 keeps it so; in mode 1 an output command would clear it, so arming sets mode 0.

UNVERIFIED: what feeds the watchdog over Modbus. In the DCON protocol it is the host's ``~**`` and nothing else; the
Modbus tables name no such command. This driver takes any request to the module as life. If that is wrong the contactor
opens by itself: it fails safe. Also UNVERIFIED: that an input reads 1 when it is energised, and that 40489 counts in
0.1 s on the M-7002 as it does on the M-7018.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Collection, Mapping, Sequence

from drivers.capabilities import (
    Device,
    DeviceKind,
    DeviceSettings,
    DriverModel,
    Identity,
    OnCommLoss,
    PointKind,
    Span,
)
from drivers.errors import DeviceRefused, ReadbackMismatch, WireError
from drivers.icpdas import WATCHDOG_ENABLE, WATCHDOG_MODE, WATCHDOG_STATUS, WATCHDOG_TIME, Module
from drivers.reading import Reading
from drivers.rounds import Look, Rounds

OUTPUTS = 0  # 00001..00004
INPUTS = 32  # 10033..10037
SAFE_VALUES = 128  # 00129..00132
POWER_ON_VALUES = 192  # 00193..00196
OUTPUT_COUNT = 4
INPUT_COUNT = 5
WATCHDOG_MAX_S = 25.5


class M7002:
    """The inputs of one module that are used, polled; its outputs, switched and read back.

    Outputs are not polled: what they did is told by an input wired to it (a contactor's feedback), which a coil that
    reads as on does not prove. ``watchdog_tripped`` is what connect found.
    """

    def __init__(self, settings: DeviceSettings) -> None:
        self._module = Module(settings)
        points = settings.points or tuple(f"di{index}" for index in range(INPUT_COUNT))
        numbers = sorted({int(point[2:]) for point in points if point.startswith("di")})
        self._channels = tuple(f"{settings.name}.di{number}.on" for number in numbers)
        self._first = numbers[0] if numbers else 0
        self._count = numbers[-1] - self._first + 1 if numbers else 1
        self._layout = tuple(
            (channel, number - self._first) for channel, number in zip(self._channels, numbers, strict=True)
        )
        self._mono_s: Callable[[], float] = settings.clock.mono_s
        self._utc_s: Callable[[], float] = settings.clock.utc_s
        self.watchdog_tripped = False
        self._outputs = [False] * OUTPUT_COUNT  # as they were switched, once the watchdog is armed
        self._armed_tenths: int | None = None
        self._restarted = False
        self._rounds = Rounds(1)

    @property
    def name(self) -> str:
        return self._module.name

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    async def connect(self) -> Identity:
        """Check who answers and look at its watchdog; nothing is written. Raises WireError, WrongDevice."""
        identity = await self._module.identify("M-7002")
        self.watchdog_tripped = await self._module.coil(WATCHDOG_STATUS, "reading the host watchdog's status")
        return identity

    async def read(self) -> tuple[Reading, ...]:
        """One poll of the used inputs, 1.0 for on; it also feeds the host watchdog. Raises WireError, DeviceRefused."""
        module = self._module
        bits = await module.wire.read_bits(
            "discrete", INPUTS + self._first, self._count, unit=module.unit, device=module.name, doing="reading inputs"
        )
        mono_s, utc_s = self._mono_s(), self._utc_s()
        return tuple(
            [Reading(channel, 1.0 if bits[offset] else 0.0, mono_s, utc_s) for channel, offset in self._layout]
        )

    async def deviations(self) -> tuple[str, ...]:
        """How the module differs now from how it was armed and switched: outputs, host watchdog, safe values, start,
        or another module in its place.

        Two requests a call, everything within five calls; () before its watchdog was armed. A restart is told until it
        is armed again. Raises WireError, DeviceRefused.
        """
        if self._armed_tenths is None:
            return ()
        looks: dict[str, Look] = {
            "watchdog": self._watchdog_differs,
            "time": self._time_differs,
            "safe values": self._safe_values_differ,
            "start": self._started_anew,
            "name": self._another_module,
        }
        return await self._rounds.go((self._outputs_differ,), looks)

    async def _outputs_differ(self) -> str | None:
        doing = "looking for deviations"
        found = await self._coils(OUTPUTS, doing)
        parts = [
            f"do{at} reads {'ON' if found[at] else 'OFF'} where {'ON' if wanted else 'OFF'} was set"
            for at, wanted in enumerate(self._outputs)
            if found[at] != wanted
        ]
        if not parts:
            return None
        self.watchdog_tripped = await self._module.coil(WATCHDOG_STATUS, doing)
        return ", ".join(parts) + ("; its host watchdog has timed out" if self.watchdog_tripped else "")

    async def _watchdog_differs(self) -> str | None:
        doing, module = "looking for deviations", self._module
        in_mode_1, enabled = await module.wire.read_bits(
            "coils", WATCHDOG_MODE, 2, unit=module.unit, device=self.name, doing=doing
        )
        if not enabled:
            return "its host watchdog is off"
        return "its host watchdog is in mode 1: a write would clear its timeout" if in_mode_1 else None

    async def _time_differs(self) -> str | None:
        found = await self._module.register(WATCHDOG_TIME, "looking for deviations")
        wanted = self._armed_tenths
        if wanted in (found, None):
            return None
        return f"its host watchdog reads {found / 10:g} s where {wanted / 10:g} s was set"

    async def _safe_values_differ(self) -> str | None:
        found = await self._coils(SAFE_VALUES, "looking for deviations")
        return "the safe value of an output reads ON" if any(found) else None

    async def _started_anew(self) -> str | None:
        self._restarted |= await self._module.restarted("looking for deviations")
        return "the module has started anew since it was armed" if self._restarted else None

    async def _another_module(self) -> str | None:
        found = await self._module.named_otherwise("M-7002", "looking for deviations")
        return None if found is None else f"unit {self._module.unit} calls itself {found} (hex) now, not an M-7002"

    async def arm_watchdog(self, timeout_s: float) -> None:
        """Make every output drop to OFF after ``timeout_s`` (0.1 to 25.5 s) without a request, and at power-on.

        What is set already is not written again (these settings live in the module's EEPROM). A timeout that has
        happened is cleared. Raises ValueError, WireError, DeviceRefused, ReadbackMismatch.
        """
        tenths = round(timeout_s * 10)
        if not 1 <= tenths <= 255:
            raise ValueError(f"a host watchdog of {timeout_s:g} s is not from 0.1 to {WATCHDOG_MAX_S:g} s")
        with self._rounds.changing():
            await self._arm(tenths)

    async def _arm(self, tenths: int) -> None:
        for base, what in ((SAFE_VALUES, "safe values"), (POWER_ON_VALUES, "power-on values")):
            for index, is_on in enumerate(await self._coils(base, f"reading the outputs' {what}")):
                if is_on:
                    await self._write_coil(base + index, f"setting the outputs' {what} to OFF", on=False)
            if any(await self._coils(base, f"reading back the outputs' {what}")):
                raise ReadbackMismatch(self.name, f"setting the outputs' {what} to OFF", "one still reads ON")
        await self._set_coil(WATCHDOG_MODE, "setting the host watchdog's mode", on=False)
        doing = "setting the host watchdog's time"
        module = self._module
        if await module.register(WATCHDOG_TIME, doing) != tenths:
            await module.wire.write_register(WATCHDOG_TIME, tenths, unit=module.unit, device=self.name, doing=doing)
            found = await module.register(WATCHDOG_TIME, doing)
            if found != tenths:
                raise ReadbackMismatch(self.name, doing, f"{tenths} tenths of a second set, {found} read back")
        if await module.coil(WATCHDOG_STATUS, "reading the host watchdog's status"):
            await self._write_coil(WATCHDOG_STATUS, "clearing the host watchdog's timeout", on=True)
            if await module.coil(WATCHDOG_STATUS, "reading back the host watchdog's status"):
                raise ReadbackMismatch(self.name, "clearing the host watchdog's timeout", "it still reads as set")
        await self._set_coil(WATCHDOG_ENABLE, "enabling the host watchdog", on=True)
        self.watchdog_tripped = False
        await module.restarted("reading the reset status")  # the start before now is no deviation
        self._restarted, self._armed_tenths = False, tenths
        self._outputs = list(await self._coils(OUTPUTS, "reading the outputs"))

    async def write(self, point: str, *, on: bool) -> None:
        """Switch one output (``do0``) once and read it back.

        Raises WireError, ReadbackMismatch, and DeviceRefused when the watchdog has timed out and holds the outputs.
        """
        number = int(point.removeprefix("do"))
        if not (point.startswith("do") and 0 <= number < OUTPUT_COUNT):
            raise ValueError(f"{point!r} is not an output of an M-7002")
        with self._rounds.changing():
            await self._switch(point, number, on=on)
            self._outputs[number] = on

    async def _switch(self, point: str, number: int, *, on: bool) -> None:
        doing = f"switching {point} {'on' if on else 'off'}"
        await self._write_coil(OUTPUTS + number, doing, on=on)
        if await self._module.coil(OUTPUTS + number, doing) == on:
            return
        if await self._module.coil(WATCHDOG_STATUS, doing):
            self.watchdog_tripped = True
            raise DeviceRefused(
                self.name,
                doing,
                "its host watchdog has timed out and holds the outputs at OFF",
                "find out why the host fell silent; the watchdog is armed again at the next start",
            )
        raise ReadbackMismatch(self.name, doing, f"{point} still reads {'OFF' if on else 'ON'}")

    async def make_safe(self, *, fire: bool = False) -> None:  # noqa: ARG002 - off is off, with fire or without
        """Every output off through the stop lane, tried twice, and all read back off; reading back alone decides.

        Raises ReadbackMismatch if one stays on, WireError or DeviceRefused if they cannot be read back.
        """
        with self._rounds.changing():
            self._outputs = [False] * OUTPUT_COUNT
            await self._off(range(OUTPUT_COUNT), "switching all outputs off")

    async def make_some_safe(self, points: Collection[str], *, fire: bool = False) -> None:  # noqa: ARG002 - as above
        """As :meth:`make_safe`, for these outputs (``do0``) alone."""
        numbers = sorted(int(point.removeprefix("do")) for point in points)
        with self._rounds.changing():
            for number in numbers:
                self._outputs[number] = False
            await self._off(numbers, f"switching {', '.join(f'do{number}' for number in numbers)} off")

    async def _off(self, numbers: Sequence[int], doing: str) -> None:
        outputs: tuple[bool, ...] = ()
        for attempt in (1, 2):
            with contextlib.suppress(WireError, DeviceRefused):  # a module that does not hear one hears none
                for index in numbers:
                    await self._write_coil(OUTPUTS + index, doing, on=False, stop=True)
            try:
                outputs = await self._coils(OUTPUTS, f"{doing} and reading them back", stop=True)
            except (WireError, DeviceRefused):
                if attempt == 2:
                    raise
                continue
            if not any(outputs[index] for index in numbers):
                return
        still = ", ".join(f"do{index}" for index in numbers if outputs[index])
        raise ReadbackMismatch(self.name, doing, f"{still} still on")

    async def _coils(self, base: int, doing: str, *, stop: bool = False) -> tuple[bool, ...]:
        return await self._module.wire.read_bits(
            "coils", base, OUTPUT_COUNT, unit=self._module.unit, device=self.name, doing=doing, stop=stop
        )

    async def _write_coil(self, address: int, doing: str, *, on: bool, stop: bool = False) -> None:
        await self._module.wire.write_bit(
            address, on=on, unit=self._module.unit, device=self.name, doing=doing, stop=stop
        )

    async def _set_coil(self, address: int, doing: str, *, on: bool) -> None:
        """Write one coil unless it reads so already, and read it back."""
        if await self._module.coil(address, doing) == on:
            return
        await self._write_coil(address, doing, on=on)
        if await self._module.coil(address, doing) != on:
            raise ReadbackMismatch(self.name, doing, f"it still reads {'0' if on else '1'}")


def _spans(_rating: Mapping[str, float]) -> Mapping[str, Span]:
    return {}


def _create(settings: DeviceSettings) -> Device:
    return M7002(settings)


MODEL = DriverModel(
    name="icpdas-m-7002",
    title="ICP DAS M-7002-class I/O, 5 inputs, 4 outputs, host watchdog",
    kind=DeviceKind.SWITCHES,
    schemes=("modbus-rtu", "modbus-tcp"),
    points={
        **{f"di{index}": PointKind.INPUT for index in range(INPUT_COUNT)},
        **{f"do{index}": PointKind.OUTPUT for index in range(OUTPUT_COUNT)},
    },
    rating_keys=(),
    min_poll_s=0.1,
    on_comm_loss=OnCommLoss.DEVICE_WATCHDOG,
    evidence=(
        "registers from the maker's address mapping, watchdog behaviour from its I-7000 manuals; simulator only. "
        "UNVERIFIED: which Modbus requests feed the host watchdog (taken: any; wrong means the outputs drop), "
        "polarity of the inputs, layout of the module-name registers"
    ),
    spans=_spans,
    create=_create,
    watchdog_max_s=WATCHDOG_MAX_S,
)
