"""Any module of relays, contacts and measurements on Modbus whose registers a point list names.

There is nothing of any maker in here: where a point lies is the page's word (docs/register-profiles.md). Functions 1 to
6 and, for a watchdog of two registers, 16 [MODBUS Application Protocol V1.1b3, chapter 6]. A point list knows no
register that tells who answers, so ``connect`` only proves that every used point can be read, and its constants; by the
last of these the module is known again after its port was opened anew.

Taken, and to be tried once on the real module: that any request feeds its watchdog. If it is wrong the outputs drop to
their safe side by themselves.
"""

from __future__ import annotations

import asyncio
import contextlib
import math
from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from functools import partial

from drivers.capabilities import Device, DeviceKind, DeviceSettings, DriverModel, Identity, OnCommLoss, PointKind, Span
from drivers.errors import DeviceError, DeviceRefused, ReadbackMismatch, WireError, WrongDevice
from drivers.page_constants import Constant
from drivers.point_blocks import blocks_of
from drivers.point_list import BIT_TABLES, QUANTITIES, ListedPoint, PointList, Table, parse
from drivers.reading import Quality, Reading
from drivers.rounds import Look, Rounds
from drivers.wires import ModbusWire

TRIES = 2
#: A stop waits no longer for the switching of another output that is under way.
SWITCHING_S = 0.3
#: Modbus exceptions "illegal function" and "illegal data address".
NOT_THERE = (1, 2)


class ModbusPoints:
    """A :class:`drivers.capabilities.Switches` whose registers ``page`` names.

    Outputs are not polled: what they did is told by an input wired to it. After a silence longer than the armed
    watchdog an output is no longer moved off its safe side: the module has let go, and nobody knows of what.
    """

    def __init__(self, page: PointList, settings: DeviceSettings) -> None:
        self._name = settings.name
        self._page = page
        self._unit = settings.unit
        self._serial = settings.serial
        self._wire: ModbusWire = settings.wire
        self._clock = settings.clock
        readable = {name: point for name, point in page.points.items() if point.kind in QUANTITIES}
        names = [name for name in settings.points if name in readable] if settings.points else list(readable)
        used = tuple(readable[name] for name in dict.fromkeys(names))
        self._channels = tuple(f"{settings.name}.{point.name}.{QUANTITIES[point.kind]}" for point in used)
        self._blocks = blocks_of(page.points.values(), used)
        self._turn = asyncio.Lock()
        self._stops = 0
        self._stopped_at: dict[str, int] = {}
        self._armed_s = math.inf
        self._heard_s = 0.0
        self._lapsed = False
        self._outputs: dict[str, bool] = {}  # as they were switched
        self._dog_words: tuple[int, ...] = ()
        self._rounds = Rounds(2)

    @property
    def name(self) -> str:
        return self._name

    @property
    def channels(self) -> tuple[str, ...]:
        return self._channels

    async def connect(self) -> Identity:
        """Read the page's constants, every used point, and every output, once; nothing is written.

        Raises WireError, DeviceRefused, and WrongDevice: another constant (its words swapped, say), an address or a
        function that the module does not have, or a serial number in the bench file, which cannot be compared.
        """
        if self._serial is not None:
            raise WrongDevice(
                self._name, "identifying it", "a point list tells no serial number", "take `serial` out of its device"
            )
        self._wire.forget(unit=self._unit)
        try:
            for constant in self._page.constants:
                table = _word_table(constant)
                words = await self._ask(table, constant.address, constant.count, "reading a constant", None)
                differs = constant.differs(words)
                if differs is not None:
                    fix = "correct the point list: word_order, type, or the address"
                    raise WrongDevice(self._name, "comparing its constants", differs, fix)
                self._wire.recognise(table, constant.address, words, unit=self._unit)
            await self.read()
            for output in self._page.outputs:
                await self._held(output, f"reading {output.name}")
        except DeviceRefused as refused:
            if refused.code not in NOT_THERE:
                raise
            fix = "correct the point list, or the address of its device in the bench file"
            error = f"it has not what its point list says ({refused.faults[0].error})"
            raise WrongDevice(self._name, refused.doing, error, fix) from None
        return Identity("point list", self._page.title, "", "not told")

    async def read(self) -> tuple[Reading, ...]:
        """One poll in the order of ``channels``; it also feeds the watchdog. Raises WireError, DeviceRefused."""
        found: list[Reading] = [Reading(channel, math.nan, 0.0, 0.0) for channel in self._channels]
        for block in self._blocks:
            held = await self._ask(block.table, block.address, block.count, "reading its points", block.timeout_s)
            mono_s, utc_s = self._clock.mono_s(), self._clock.utc_s()
            for place, first, point in block.members:
                value = point.value(held[first : first + point.count])
                quality = Quality.GOOD if math.isfinite(value) else Quality.OPEN
                found[place] = Reading(self._channels[place], value, mono_s, utc_s, quality)
        return tuple(found)

    async def deviations(self) -> tuple[str, ...]:
        """How the module differs now from how it was armed and switched: every output that was, its watchdog, its
        page's constants.

        Two requests a call. Raises WireError, DeviceRefused.
        """
        looks: dict[str, Look] = {name: partial(self._output_differs, name) for name in self._outputs}
        if self._dog_words:
            looks["watchdog"] = self._watchdog_differs
        looks |= {f"[{its.name}]": partial(self._constant_differs, its) for its in self._page.constants}
        return await self._rounds.go((), looks)

    async def _output_differs(self, name: str) -> str | None:
        output, wanted = self._page.points[name], self._outputs[name]
        if await self._held(output, "looking for deviations") == wanted:
            return None
        return f"{name} reads {'OFF' if wanted else 'ON'} where {'ON' if wanted else 'OFF'} was set"

    async def _constant_differs(self, constant: Constant) -> str | None:
        return constant.differs(
            await self._ask(_word_table(constant), constant.address, constant.count, "reading a constant", None)
        )

    async def _watchdog_differs(self) -> str | None:
        dog, words = self._page.watchdog, self._dog_words
        if dog is None:
            return None
        found = await self._ask("holding", dog.address, len(words), "looking for deviations", None)
        if tuple(found) == words:
            return None
        return f"its watchdog reads {dog.number.value(found):g} s where {dog.number.value(words):g} s was set"

    async def arm_watchdog(self, timeout_s: float) -> None:
        """Make every output go to its safe side after ``timeout_s`` without a request; read back.

        Raises ValueError (beyond the page's ``max`` or finer than its register), WireError, DeviceRefused (the page has
        no watchdog), ReadbackMismatch.
        """
        with self._rounds.changing():
            await self._arm(timeout_s, "setting its watchdog")

    async def _arm(self, timeout_s: float, doing: str) -> None:
        dog = self._page.watchdog
        if dog is None:
            fix = "take `watchdog` out of its device, and have another module drop the contactor"
            raise DeviceRefused(self._name, doing, "its point list has no watchdog", fix)
        step_s = dog.number.span().resolution
        if not (step_s <= timeout_s <= dog.max_s and timeout_s > 0.0):
            raise ValueError(f"a watchdog of {timeout_s:g} s is not above {step_s:g} and up to {dog.max_s:g} s")
        words = dog.number.words(timeout_s)
        output = self._page.outputs[0] if self._page.outputs else None
        within_s = output.timeout_s if output is not None else None
        await self._put("holding", dog.address, words, doing, within_s)
        found = await self._ask("holding", dog.address, len(words), f"{doing} and reading it back", within_s)
        if tuple(found) != words:
            raise ReadbackMismatch(self._name, doing, f"{timeout_s:g} s set, {dog.number.value(found):g} s read back")
        self._armed_s, self._lapsed, self._dog_words = timeout_s, False, words

    async def write(self, point: str, *, on: bool) -> None:
        """Switch one output once and read it back.

        Raises ValueError (no output of the page), WireError, ReadbackMismatch, and DeviceRefused: off its safe side
        after the watchdog ran out, or when a stop came meanwhile.
        """
        output = self._page.points.get(point)
        if output is None or output.kind is not PointKind.OUTPUT:
            raise ValueError(f"{point!r} is not an output of {self._page.name}")
        doing = f"switching {point} {'on' if on else 'off'}"
        async with self._turn:
            with self._rounds.changing():
                await self._switch(output, doing, on=on)

    async def _switch(self, output: ListedPoint, doing: str, *, on: bool) -> None:
        begun, stops = self._stops, -1
        while stops != self._stops:  # a stop of other outputs came between: look again at the register that they share
            stops = self._stops
            word = await self._word(output, doing)
            self._look_at_the_time()
            if on != output.safe and self._lapsed:
                raise DeviceRefused(
                    self._name,
                    doing,
                    f"its watchdog of {self._armed_s:g} s has run out and holds the outputs",
                    "find out why the host fell silent; the watchdog is armed again at the next start",
                )
            if self._stopped_at.get(output.name, 0) > begun:
                raise DeviceRefused(self._name, doing, "a stop came before it", "find out what stopped the bench")
        await self._put(output.table, output.address, (_with(word, output, on=on),), doing, output.timeout_s)
        if await self._held(output, f"{doing} and reading it back") != on:
            raise ReadbackMismatch(self._name, doing, f"{output.name} still reads {'OFF' if on else 'ON'}")
        if self._stopped_at.get(output.name, 0) <= begun:
            self._outputs[output.name] = on

    async def make_safe(self, *, fire: bool = False) -> None:  # noqa: ARG002 - the page's `safe` is meant for a fire too
        """Every output to its ``safe`` through the stop lane, tried twice, each read back; that alone decides.

        One output that fails keeps no other from its safe side. Raises ReadbackMismatch naming those that stay, or the
        last WireError or DeviceRefused of one that could not be read back.
        """
        self._stop_of(self._page.outputs)
        with self._rounds.changing():
            self._outputs = {output.name: output.safe for output in self._page.outputs}
            await self._safe(self._page.outputs, "driving every output to its safe side")

    async def make_some_safe(self, points: Collection[str], *, fire: bool = False) -> None:  # noqa: ARG002 - as above
        """As :meth:`make_safe`, for these outputs alone. A switching of another output that is under way is let end, or
        it would put back what a register that both share held before."""
        outputs = tuple(output for output in self._page.outputs if output.name in points)
        self._stop_of(outputs)
        with self._rounds.changing():
            self._outputs.update((output.name, output.safe) for output in outputs)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(SWITCHING_S), self._turn:
                    pass
            await self._safe(outputs, f"driving {', '.join(output.name for output in outputs)} to the safe side")

    def _stop_of(self, outputs: Iterable[ListedPoint]) -> None:
        self._stops += 1
        self._stopped_at.update((output.name, self._stops) for output in outputs)

    async def _safe(self, left: tuple[ListedPoint, ...], doing: str) -> None:
        lost: WireError | DeviceRefused | None = None
        for _ in range(TRIES):
            lost, stay = None, []
            for output in left:
                try:
                    await self._to_safe(output, doing)
                    if await self._held(output, f"{doing} and reading it back", stop=True) == output.safe:
                        continue
                except (WireError, DeviceRefused) as error:
                    lost = error
                stay.append(output)
            if not stay:
                return
            left = tuple(stay)
        if lost is not None:
            raise lost
        still = ", ".join(f"{output.name} still {'off' if output.safe else 'on'}" for output in left)
        raise ReadbackMismatch(self._name, doing, still)

    async def _to_safe(self, output: ListedPoint, doing: str) -> None:
        word = await self._word(output, doing, stop=True)
        with contextlib.suppress(WireError, DeviceRefused):  # whether it took effect is told by reading back
            written = (_with(word, output, on=output.safe),)
            await self._put(output.table, output.address, written, doing, output.timeout_s, stop=True)

    async def _word(self, output: ListedPoint, doing: str, *, stop: bool = False) -> int:
        """The register that an output shares with other bits, as it stands; 0 for a coil, which is its own."""
        if output.table in BIT_TABLES:
            return 0
        return (await self._ask(output.table, output.address, 1, doing, output.timeout_s, stop=stop))[0]

    async def _held(self, output: ListedPoint, doing: str, *, stop: bool = False) -> bool:
        held = await self._ask(output.table, output.address, 1, doing, output.timeout_s, stop=stop)
        return output.value(held) == 1.0

    async def _ask(
        self, table: Table, address: int, count: int, doing: str, within_s: float | None, *, stop: bool = False
    ) -> tuple[int, ...]:
        wire, unit, device = self._wire, self._unit, self._name
        held: tuple[int, ...]
        if table == "coil" or table == "discrete":
            held = await wire.read_bits(
                "coils" if table == "coil" else "discrete",
                address,
                count,
                unit=unit,
                device=device,
                doing=doing,
                stop=stop,
                deadline_s=within_s,
            )
        else:
            held = await wire.read_registers(
                table, address, count, unit=unit, device=device, doing=doing, stop=stop, deadline_s=within_s
            )
        self._look_at_the_time()
        self._heard_s = self._clock.mono_s()
        return held

    async def _put(
        self,
        table: Table,
        address: int,
        words: tuple[int, ...],
        doing: str,
        within_s: float | None,
        *,
        stop: bool = False,
    ) -> None:
        wire, unit, device = self._wire, self._unit, self._name
        if table == "coil":
            await wire.write_bit(
                address, on=words[0] == 1, unit=unit, device=device, doing=doing, stop=stop, deadline_s=within_s
            )
        elif len(words) == 1:
            await wire.write_register(
                address, words[0], unit=unit, device=device, doing=doing, stop=stop, deadline_s=within_s
            )
        else:
            await wire.write_registers(
                address, words, unit=unit, device=device, doing=doing, stop=stop, deadline_s=within_s
            )
        self._look_at_the_time()
        self._heard_s = self._clock.mono_s()

    def _look_at_the_time(self) -> None:
        """A silence as long as the armed watchdog means that it has run out."""
        if self._clock.mono_s() - self._heard_s >= self._armed_s:
            self._lapsed = True


def _word_table(constant: Constant) -> Table:
    return "holding" if constant.table == "holding" else "input"


def _with(word: int, output: ListedPoint, *, on: bool) -> int:
    """A register with this output's bit as it must be for ON or OFF, every other bit as it was."""
    mask = 1 << (output.bit or 0)
    return word | mask if on != output.invert else word & ~mask


def with_profile(text: str, where: str) -> DriverModel:
    """The model of a module that this page describes. Raises ConfigError with every fault of the page."""
    page = parse(text, where)

    def create(settings: DeviceSettings) -> Device:
        return ModbusPoints(page, settings)

    def spans(_rating: Mapping[str, float]) -> Mapping[str, Span]:
        return _spans(page)

    return replace(
        MODEL,
        points={name: point.kind for name, point in page.points.items()},
        on_comm_loss=OnCommLoss.NONE if page.watchdog is None else OnCommLoss.DEVICE_WATCHDOG,
        watchdog_max_s=None if page.watchdog is None else page.watchdog.max_s,
        evidence=page.evidence,
        spans=spans,
        create=create,
    )


def _spans(page: PointList) -> dict[str, Span]:
    """What every point of a quantity can show; several share the narrower range and the coarser step."""
    found: dict[str, Span] = {}
    for point in page.points.values():
        if point.number is None or point.kind is PointKind.INPUT:
            continue
        quantity, span = QUANTITIES[point.kind], point.number.span()
        other = found.get(quantity, span)
        found[quantity] = Span(
            max(span.low, other.low), min(span.high, other.high), max(span.resolution, other.resolution)
        )
    return found


def _no_spans(_rating: Mapping[str, float]) -> Mapping[str, Span]:
    return {}


def _unlisted(settings: DeviceSettings) -> Device:
    fix = 'add profile = "rig1-points", or a .toml file of yours, to its device in the bench file'
    raise DeviceError(settings.name, "making its driver", "it has no point list", fix)


MODEL = DriverModel(
    name="modbus-points",
    title="Any Modbus module of relays, contacts and measurements, by point list",
    kind=DeviceKind.SWITCHES,
    schemes=("modbus-tcp", "modbus-rtu"),
    points={},
    rating_keys=(),
    min_poll_s=0.1,
    on_comm_loss=OnCommLoss.NONE,
    evidence="the point list is the bench's own; simulator only",
    spans=_no_spans,
    create=_unlisted,
    with_profile=with_profile,
)
