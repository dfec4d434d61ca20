"""Small devices in memory, and a log that only remembers."""

from __future__ import annotations

import asyncio
import math
from collections.abc import Coroutine
from typing import Any, TypeVar

from bench.notebook import TruthTotals
from drivers import DeviceError, Quality, Reading
from drivers.capabilities import Identity, Setpoints, TerminalLimits
from simulators.virtual_time import run_virtual

T = TypeVar("T")


def in_virtual_time(work: Coroutine[Any, Any, T]) -> T:
    """Run a coroutine on a loop whose clock jumps. Fails if a task is left over or a jump was forced."""

    async def checked() -> T:
        result = await work
        left = [task.get_name() for task in asyncio.all_tasks() if task is not asyncio.current_task()]
        assert not left, f"tasks left running: {left}"
        return result

    return run_virtual(checked())


class Events:
    """Remembers events in order: ``kinds`` and ``of(kind)``. It is called as ``RunLog.event`` is."""

    def __init__(self) -> None:
        self.all: list[tuple[str, dict[str, Any]]] = []
        self.failed: Exception | None = None

    def event(self, kind: str, /, **fields: Any) -> None:
        if self.failed is not None:
            raise self.failed
        self.all.append((kind, fields))

    @property
    def kinds(self) -> list[str]:
        return [kind for kind, _ in self.all]

    def of(self, kind: str) -> dict[str, Any]:
        return next(fields for name, fields in self.all if name == kind)


class World:
    """What the small devices act on: one cell behind one contactor, one chamber, all with simple truths.

    The cell is a voltage that rises straight with its charge, behind a resistance. Between two acts the current is
    what it was, so that the charge that really flowed is a sum done here and not by the product.
    """

    def __init__(self) -> None:
        self.acts: list[str] = []
        self.times_s: list[float] = []
        self.empty_v = 3.0
        self.slope_v_ah = 0.1
        self.resistance_ohm = 0.001
        self.contactor = False
        self.contactor_stuck: bool | None = None
        self.output = False
        self.setpoints = Setpoints(0.0, 0.0, 0.0, 0.0, 0.0)
        self.surface_c = [25.0, 25.0, 25.0]
        self.ambient_c = 25.0
        self.chamber_c: float | None = None
        self.inputs = {"di1": 1.0, "di2": 1.0, "di3": 1.0, "di4": 1.0}
        self.surface_quality = Quality.GOOD
        self.charge_ah = 5.0
        self.reversed = False
        self.charged_ah = self.discharged_ah = self.charged_wh = self.discharged_wh = 0.0
        self._at_s = 0.0

    @property
    def ocv_v(self) -> float:
        return self.empty_v + self.slope_v_ah * self.charge_ah

    @property
    def feedback(self) -> float:
        return float(self.contactor if self.contactor_stuck is None else self.contactor_stuck)

    def current_a(self) -> float:
        """What a two-quadrant instrument with these set values lets flow into the cell."""
        if not self.output or not self.feedback:
            return 0.0
        wanted_a = (self.setpoints.voltage_v - self.ocv_v) / self.resistance_ohm
        into_a = min(self.setpoints.source_current_a, self.setpoints.source_power_w / self.ocv_v)
        out_a = min(self.setpoints.sink_current_a, self.setpoints.sink_power_w / self.ocv_v)
        return min(max(wanted_a, -out_a), into_a)

    def cell_v(self) -> float:
        return (self.ocv_v + self.resistance_ohm * self.current_a()) * (-1.0 if self.reversed else 1.0)

    def terminal_v(self) -> float:
        return self.cell_v() if self.feedback else 0.0

    def advance(self, now_s: float) -> None:
        """Let the current flow up to now, in steps of at most a tenth of a second."""
        while self._at_s < now_s:
            step_s = min(0.1, now_s - self._at_s)
            current_a, power_w = self.current_a(), self.current_a() * self.cell_v()
            self.charge_ah += current_a * step_s / 3600.0
            self.charged_ah += max(0.0, current_a) * step_s / 3600.0
            self.discharged_ah += max(0.0, -current_a) * step_s / 3600.0
            self.charged_wh += max(0.0, power_w) * step_s / 3600.0
            self.discharged_wh += max(0.0, -power_w) * step_s / 3600.0
            self._at_s += step_s

    def totals(self, channel: str) -> TruthTotals:
        self.advance(asyncio.get_running_loop().time())
        return TruthTotals(
            self.charged_ah, self.discharged_ah, self.charged_wh, self.discharged_wh, max(self.surface_c)
        )

    def seen(self, _channel: str, /) -> dict[str, bool]:
        return {}


class SmallDevice:
    """The part that all of them share. ``fail`` raises on everything, ``hang`` never answers."""

    def __init__(self, name: str, world: World) -> None:
        self.name = name
        self.world = world
        self.fail: DeviceError | None = None
        self.hang = False
        self.reads = 0

    channels: tuple[str, ...] = ()

    async def connect(self) -> Identity:
        return Identity("tests", type(self).__name__, "1", "1")

    async def read(self) -> tuple[Reading, ...]:
        await self.reach("")
        self.reads += 1
        now_s = asyncio.get_running_loop().time()
        return tuple(
            Reading(channel, value, now_s, 1e9 + now_s, quality)
            for channel, (value, quality) in zip(self.channels, self.values(), strict=True)
        )

    def values(self) -> list[tuple[float, Quality]]:
        return []

    async def make_safe(self, *, fire: bool = False) -> None:
        await self.reach(f"{self.name} safe{' after fire' if fire else ''}")

    async def reach(self, act: str) -> None:
        """One exchange: takes a millisecond, or fails as told."""
        if self.hang:
            await asyncio.get_running_loop().create_future()
        await asyncio.sleep(0.001)
        if self.fail is not None:
            raise self.fail
        now_s = asyncio.get_running_loop().time()
        self.world.advance(now_s)
        if act:
            self.world.acts.append(act)
            self.world.times_s.append(now_s)


class SmallCycler(SmallDevice):
    def __init__(self, name: str, world: World) -> None:
        super().__init__(name, world)
        self.channels = (f"{name}.out.voltage_v", f"{name}.out.current_a")
        self.armed: TerminalLimits | None = None

    def values(self) -> list[tuple[float, Quality]]:
        return [(self.world.terminal_v(), Quality.GOOD), (self.world.current_a(), Quality.GOOD)]

    async def arm(self, limits: TerminalLimits) -> None:
        await self.reach("arm")
        self.armed = limits
        self.world.output = False

    async def apply(self, setpoints: Setpoints) -> None:
        await self.reach(
            f"apply {setpoints.voltage_v:.3g} V +{setpoints.source_current_a:g} -{setpoints.sink_current_a:g} A"
        )
        self.world.setpoints = setpoints

    async def output(self, *, on: bool) -> None:
        await self.reach(f"output {'on' if on else 'off'}")
        self.world.output = on

    async def make_safe(self, *, fire: bool = False) -> None:
        await super().make_safe(fire=fire)
        self.world.output = False
        self.world.setpoints = Setpoints(self.world.setpoints.voltage_v, 0.0, 0.0, 0.0, 0.0)

    async def release(self) -> None:
        await self.reach("release")


class SmallSwitches(SmallDevice):
    """``do0`` drives the contactor, ``di0`` is its feedback, ``di1..di4`` are interlocks."""

    def __init__(self, name: str, world: World) -> None:
        super().__init__(name, world)
        self.channels = tuple(f"{name}.{point}.on" for point in ("di0", "di1", "di2", "di3", "di4", "do0"))
        self.watchdog_s: float | None = None

    def values(self) -> list[tuple[float, Quality]]:
        world = self.world
        truths = [world.feedback, *world.inputs.values(), float(world.contactor)]
        return [(value, Quality.GOOD) for value in truths]

    async def arm_watchdog(self, timeout_s: float) -> None:
        await self.reach("arm watchdog")
        self.watchdog_s = timeout_s

    async def write(self, point: str, *, on: bool) -> None:
        await self.reach(f"{point} {'on' if on else 'off'}")
        self.world.contactor = on

    async def make_safe(self, *, fire: bool = False) -> None:
        await super().make_safe(fire=fire)
        self.world.contactor = False


class SmallChamber(SmallDevice):
    def __init__(self, name: str, world: World) -> None:
        super().__init__(name, world)
        self.channels = (f"{name}.air.temperature_c", f"{name}.air.setpoint_c")

    def values(self) -> list[tuple[float, Quality]]:
        setpoint_c = self.world.chamber_c if self.world.chamber_c is not None else 25.0
        return [(self.world.ambient_c, Quality.GOOD), (setpoint_c, Quality.GOOD)]

    async def run_at(self, temperature_c: float) -> None:
        await self.reach(f"run at {temperature_c:g}")
        self.world.chamber_c = temperature_c
        self.world.ambient_c = temperature_c

    async def stop(self) -> None:
        await self.reach("chamber off")


class SmallInputs(SmallDevice):
    """``ai0`` to ``ai2`` on the surface, ``ai3`` in the air - or one cell voltage."""

    def __init__(self, name: str, world: World, *, cell_voltage: bool = False) -> None:
        super().__init__(name, world)
        self._cell_voltage = cell_voltage
        points = ("ai0.voltage_v",) if cell_voltage else tuple(f"ai{n}.temperature_c" for n in range(4))
        self.channels = tuple(f"{name}.{point}" for point in points)

    def values(self) -> list[tuple[float, Quality]]:
        if self._cell_voltage:
            return [(self.world.cell_v(), Quality.GOOD)]
        quality = self.world.surface_quality
        surface = [(value if quality is Quality.GOOD else math.nan, quality) for value in self.world.surface_c]
        return [*surface, (self.world.ambient_c, Quality.GOOD)]


async def cancel(*tasks: asyncio.Task[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
