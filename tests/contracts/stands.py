"""A stand: one registered driver, on one of its wires, against the project's simulator of the same model.

What the tests say about energy they take from the plant behind the simulator, never from the driver.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Mapping
from dataclasses import dataclass, replace
from typing import Any

import pytest

from drivers.capabilities import DeviceKind, DeviceSettings, DriverModel, PointKind, Setpoints, TerminalLimits
from drivers.clock import Clock
from drivers.models import driver_model, model_names
from drivers.profiles import builtin
from drivers.wires import Flight
from drivers.wires.opening import make_wire
from simulators.models import simulator_model
from simulators.plant.plant import Plant
from simulators.scene import Scene
from simulators.spec import CellSpec, ChannelSpec, DeviceSpec, PlaceSpec, SceneSpec, Signal
from simulators.virtual_time import VirtualLoop, run_virtual, virtual_loop

NAME = "dut"
START_UTC_S = 1_767_600_000.0
CELL = CellSpec(preset="nmc-25ah", mass_kg=0.45, thickness_mm=15.0, start_soc=0.5)
RATING = {"voltage_v": 60.0, "current_a": 170.0, "power_w": 5000.0, "high_c": 150.0, "low_c": -40.0}
RATING |= {"stroke_mm": 300.0, "speed_mm_s": 50.0, "force_n": 150e3}
#: A point list with the points that the tests know, beside one another as a maker would put them.
POINT_LIST = """
schema = "cellbench/point-list/1"
name = "contract"
title = "Four relays and five contacts"
evidence = "an example"
[watchdog]
timeout = { address = 100, type = "u16", scale = 0.1 }
max = "25 s"
[points]
""" + "".join(
    [f'do{at} = {{ kind = "output", table = "coil", address = {at}, safe = false }}\n' for at in range(4)]
    + [f'di{at} = {{ kind = "input", table = "discrete", address = {16 + at} }}\n' for at in range(5)]
)
#: The page that stands for all of a model that reads a register profile.
PROFILES: Mapping[str, str] = {"penetration-rig": builtin("reference"), "modbus-points": POINT_LIST}
#: What is wired to the points of a device, by the kind of point.
WIRED: Mapping[PointKind, Mapping[str, Signal]] = {
    PointKind.TEMPERATURE: {
        "ai0": Signal("surface", "box"),
        "ai1": Signal("surface", "box"),
        "ai3": Signal("air", "box"),
        "t1": Signal("surface", "box"),
    },
    PointKind.VOLTAGE: {"ai0": Signal("cell_voltage", "1")},
    PointKind.OUTPUT: {"do0": Signal("contactor", "1")},
    PointKind.INPUT: {
        "di0": Signal("feedback", "1"),
        "di1": Signal("door_closed", "box"),
        "di2": Signal("estop_released", "box"),
        "di3": Signal("smoke", "box"),
        "di4": Signal("flame", "box"),
        "door_closed": Signal("door_closed", "box"),
    },
}
#: What the tests arm a cycler with and set it to. The cell holds 25 Ah and stands at about 3.7 V.
WATCHDOG_S = 4.0
LIMITS = TerminalLimits(over_voltage_v=4.3, over_current_a=30.0, watchdog_s=WATCHDOG_S)
CHARGE = Setpoints(4.2, 10.0, 0.0, 5000.0, 5000.0)
DISCHARGE = Setpoints(2.8, 0.0, 10.0, 5000.0, 5000.0)
HOT_C = 60.0


def equipped(name: str) -> DriverModel:
    """A model, with its register profile where it has one."""
    model = driver_model(name)
    if model.with_profile is None:
        return model
    return model.with_profile(PROFILES[name], f"{name}.toml")


@dataclass(frozen=True)
class Case:
    """One model on one kind of wire."""

    model: str
    scheme: str

    def __str__(self) -> str:
        return f"{self.model}-{self.scheme}"

    @property
    def kind(self) -> DeviceKind:
        return driver_model(self.model).kind


def cases(*kinds: DeviceKind) -> list[Case]:
    """Every registered model of these kinds (of any, if none is named) on every wire that its simulator has too."""
    return [
        Case(name, scheme)
        for name in model_names()
        if not kinds or driver_model(name).kind in kinds
        for scheme in driver_model(name).schemes
        if scheme in simulator_model(name).schemes
    ]


def device_spec(case: Case, **changes: Any) -> DeviceSpec:
    model = equipped(case.model)
    points: dict[str, Signal] = {}
    for kind in set(model.points.values()):
        points |= {name: wired for name, wired in WIRED.get(kind, {}).items() if name in model.points}
    spec = DeviceSpec(
        NAME,
        case.model,
        case.scheme,
        "line",
        unit=3,
        rating={key: RATING[key] for key in model.rating_keys},
        points=points,
        place="box",
        channel="1",
        profile=PROFILES.get(case.model),
        profile_where=case.model,
    )
    if "model" in changes:
        changes.setdefault("profile", PROFILES.get(changes["model"]))
    return replace(spec, **changes)


class Stand:
    """A driver in front of its simulated device. ``heard`` is what reached the device, in order."""

    def __init__(self, case: Case, spec: DeviceSpec, scene: Scene, url: str, *, hasty: bool) -> None:
        self.case = case
        self.spec = spec
        self.scene = scene
        self.loop: VirtualLoop = virtual_loop()
        self.twin: Any = scene.personality(NAME)
        self.heard: list[bytes] = []
        self.overhearing = asyncio.Event()
        flight = Flight(self.loop.flight.left, self.loop.flight.arrived)
        self.wire: Any = make_wire(url, flight=flight, simulated=hasty)
        self.device: Any = self.driver()
        answer = self.twin.answer

        def overheard(request: bytes, now_s: float) -> Any:
            self.heard.append(request)
            self.overhearing.set()
            return answer(request, now_s)

        self.twin.answer = overheard
        self._answer = answer

    def driver(self, model: str | None = None, **changes: Any) -> Any:
        """Another driver on the same wire."""
        found = equipped(model or self.case.model)
        settings = DeviceSettings(
            name=NAME,
            wire=self.wire,
            clock=Clock(self.loop.time, lambda: START_UTC_S + self.loop.time()),
            unit=self.spec.unit,
            points=tuple(self.spec.points),
            rating={key: RATING[key] for key in found.rating_keys},
        )
        return found.create(replace(settings, **changes))

    @property
    def plant(self) -> Plant:
        """The physics, brought up to now."""
        self.scene.plant.advance(self.loop.time())
        return self.scene.plant

    @property
    def terminal(self) -> Any:
        return self.plant.terminal("1")

    @property
    def current_a(self) -> float:
        """The truth at the cell, charge positive."""
        return float(self.terminal.current_a)

    def panel(self, *lines: str) -> None:
        """What a person does at the device itself: it is told without the wire."""
        for line in lines:
            self._answer(line.encode(), self.loop.time())

    def written(self) -> list[bytes]:
        """What reached the device and is no question."""
        if self.case.scheme.startswith("modbus"):
            return [request for request in self.heard if request[0] not in (1, 2, 3, 4)]
        return [request for request in self.heard if b"?" not in request]

    def state(self) -> object:
        """What the device does to the plant."""
        terminal = self.terminal
        chamber = self.plant.chamber("box") if self.case.kind is DeviceKind.CHAMBER else None
        return terminal.setting, terminal.closed, chamber and (chamber.setpoint_c, chamber.running)

    async def found_on(self) -> None:
        """Somebody left the device energised, without this driver."""
        if self.case.kind is DeviceKind.CYCLER:
            self.plant.contactor("1", closed=True)
            self.panel("SYST:LOCK ON", "VOLT 2.8", "SINK:CURR 10", "OUTP ON", "SYST:LOCK OFF")
        elif self.case.kind is DeviceKind.CHAMBER:
            plant = self.plant.chamber("box")
            plant.setpoint_c, plant.running = HOT_C, True
        elif self.case.kind is DeviceKind.SWITCHES:
            self.plant.contactor("1", closed=True)
        self.heard.clear()

    async def energise(self) -> None:
        """The driver's own way to energy: discharge, heat, a closed contactor."""
        await self.device.connect()
        if self.case.kind is DeviceKind.CYCLER:
            self.plant.contactor("1", closed=True)
            await self.device.arm(LIMITS)
            await self.device.apply(DISCHARGE)
            await self.device.output(on=True)
            assert self.current_a == pytest.approx(-10.0)
        elif self.case.kind is DeviceKind.CHAMBER:
            await self.device.run_at(HOT_C)
            assert self.plant.chamber("box").running
        elif self.case.kind is DeviceKind.SWITCHES:
            await self.device.arm_watchdog(WATCHDOG_S)
            await self.device.write("do0", on=True)
            assert self.terminal.closed
        self.heard.clear()

    def at_rest(self) -> bool:
        """Whether this device gives the plant nothing any more."""
        if self.case.kind is DeviceKind.CYCLER:
            return self.current_a == 0.0 and not self.terminal.setting.on
        if self.case.kind is DeviceKind.CHAMBER:
            chamber = self.plant.chamber("box")
            return not chamber.running or 20.0 <= chamber.setpoint_c <= 25.0
        if self.case.kind is DeviceKind.SWITCHES:
            return not self.terminal.closed
        return True


Check = Callable[[Stand], Awaitable[None]]


def stand_up(case: Case, check: Check, *, hasty: bool = False, **changes: Any) -> None:
    """Run ``check`` on a stand in virtual time; ``changes`` are made to the simulated device.

    ``hasty``: a wire whose deadline is real (VISA) waits a tenth as long, for a check that has many replies lost and
    does not mind one more on a busy machine.
    """

    async def main() -> None:
        loop = virtual_loop()
        spec = device_spec(case, **changes)
        kind = driver_model(spec.model).kind
        chamber = NAME if kind is DeviceKind.CHAMBER else None
        rig = NAME if kind is DeviceKind.RIG else None
        scene = Scene(
            SceneSpec((spec,), (PlaceSpec("box", chamber, rig=rig),), (ChannelSpec("1", "box", CELL),), seed=5),
            flight=loop.flight,
        )
        urls = await scene.start()
        stand = Stand(case, spec, scene, urls[NAME], hasty=hasty)
        await stand.wire.open()
        try:
            await check(stand)
        finally:
            await stand.wire.close()
            await scene.close()

    run_virtual(main())


def on_every(*kinds: DeviceKind) -> Callable[[Callable[[Stand], Coroutine[Any, Any, None]]], Any]:
    """The test runs once for each case of these kinds, each time on a stand of its own."""

    def decorate(check: Callable[[Stand], Coroutine[Any, Any, None]]) -> Any:
        def test(case: Case) -> None:
            stand_up(case, check)

        test.__name__, test.__doc__, test.__module__ = check.__name__, check.__doc__, check.__module__
        return pytest.mark.parametrize("case", cases(*kinds), ids=str)(test)

    return decorate
